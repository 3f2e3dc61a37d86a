// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"maps"

	"supervisor/internal/obey"
	"supervisor/isolate"
)

// snapshot is a copy of a host's disk.
type snapshot struct {
	held       map[int]bool
	marks      obey.Marks
	local      isolate.Local
	unrepaired bool
	etcd       string
	era        uint32
}

// photograph keeps a copy of the disk, for a host that comes back on it.
func (n *node) photograph() {
	held := map[int]bool{}
	for id := range n.w.writes {
		if n.w.holds(n, id) {
			held[id] = true
		}
	}
	n.snapshot = &snapshot{held, maps.Clone(n.marks), n.local, n.unrepaired, n.etcd, n.era}
}

// restore puts the copy in the disk's place.
func (n *node) restore() {
	n.marks, n.local = maps.Clone(n.snapshot.marks), n.snapshot.local
	n.unrepaired = n.snapshot.unrepaired
	n.etcd, n.era = n.snapshot.etcd, n.snapshot.era
	n.fresh, n.freshAt = nil, nil
	for id := range n.w.writes {
		if !n.snapshot.held[id] {
			x := &n.w.writes[id]
			x.held &^= x.place.bit(n)
		}
	}
	n.restoredAt = n.w.now
	n.w.reconsider(n)
}

// sync forgets what is on disk by now from the list of what is not.
func (n *node) sync() {
	for len(n.freshAt) > 0 && n.w.now.Sub(n.freshAt[0]) > syncLag {
		n.fresh, n.freshAt = n.fresh[1:], n.freshAt[1:]
	}
}

// store puts a write on the node's disk.
func (n *node) store(id int) {
	x := &n.w.writes[id]
	x.held |= x.place.bit(n)
	n.fresh, n.freshAt = append(n.fresh, id), append(n.freshAt, n.w.now)
	n.sync()
}

// photographs keeps old copies of disks for hosts that come back on them.
func (w *world) photographs() {
	w.after(20*second, w.photographs)
	for _, n := range w.nodes {
		if w.rng.Intn(4) == 0 {
			n.photograph()
		}
	}
}
