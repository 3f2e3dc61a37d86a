// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math/bits"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
)

// place is where the writes of one range stand.
type place struct {
	replicas []*node
	must     replicas   // those of permitted datacenters
	homes    []replicas // of each replica: those of its datacenter
}

// replicas is a set of a place's replicas, a bit each.
type replicas uint32

func (p *place) bit(n *node) replicas {
	for i, r := range p.replicas {
		if r == n {
			return 1 << i
		}
	}
	return 0
}

// places are those of the ring.
func (w *world) makePlaces() {
	for _, placed := range w.ring {
		p := &place{}
		for i, name := range placed.Replicas {
			r := w.byName[name]
			p.replicas = append(p.replicas, r)
			if w.allowed(r) {
				p.must |= 1 << i
			}
		}
		for _, r := range p.replicas {
			var home replicas
			for i, m := range p.replicas {
				if m.home() == r.home() {
					home |= 1 << i
				}
			}
			p.homes = append(p.homes, home)
		}
		w.places = append(w.places, p)
	}
}

// write is one acknowledged (or not) write of one range.
type write struct {
	at       moment
	place    *place
	held     replicas // who has it on its disk
	forgiven replicas // whose lack of it is nobody's fault
	acked    bool
}

// holds tells whether a node has a write.
func (w *world) holds(n *node, id int) bool {
	x := &w.writes[id]
	return x.held&x.place.bit(n) != 0
}

// forgive says that nobody could have seen that a node lacks these writes.
func (w *world) forgive(n *node, ids ...int) {
	for _, id := range ids {
		x := &w.writes[id]
		x.forgiven |= x.place.bit(n)
	}
}

// loses takes a write off a node's disk.
func (w *world) loses(n *node, id int) {
	x := &w.writes[id]
	x.held &^= x.place.bit(n)
	n.owes = append(n.owes, id)
	if !slices.Contains(w.unsettled, id) {
		w.unsettled = append(w.unsettled, id) // a repair had given it to the last that lacked it
	}
}

// writeOn has clients write for ever.
func (w *world) writeOn() {
	w.after(w.between(50*time.Millisecond, 400*time.Millisecond), func() {
		w.clientWrites()
		w.writeOn()
	})
}

// clientWrites writes one row at LOCAL_QUORUM through one coordinator.
func (w *world) clientWrites() {
	var can []*node
	for _, n := range w.nodes {
		if n.answers() && w.allowed(n) {
			can = append(can, n)
		}
	}
	if len(can) == 0 {
		return
	}
	coordinator := can[w.rng.Intn(len(can))]
	p := w.places[w.rng.Intn(len(w.places))]
	id, homes := len(w.writes), 0
	w.writes = append(w.writes, write{at: w.now, place: p})
	for _, r := range p.replicas {
		// A coordinator sends to whom it sees up, and to itself.
		if s := coordinator.sees[r.name]; (r == coordinator || s.up && w.linked(coordinator, r)) && r.takes() {
			r.store(id)
			if r.home() == coordinator.home() {
				homes++
			}
			continue
		}
		r.owes = append(r.owes, id)
		// The window is persistent: how long it has been away counts, not for how
		// long it has been seen so.
		if w.awayFor(coordinator, r) < w.hintWindow {
			coordinator.hints[r.name] = append(coordinator.hints[r.name], id)
		} else if r.takes() && !w.awayForMost(r) {
			w.forgive(r, id)
		}
		switch gone := r.mode == normal && w.judgedGone(r); {
		case r.takes() && (coordinator.deaf || !w.led()), r.mode == normal && !gone:
			w.forgive(r, id)
		case gone:
			r.passes(id)
		}
	}
	w.writes[id].acked = homes >= cluster.Quorum(w.factor)
	w.unsettled = append(w.unsettled, id)
}

// led tells whether somebody leads who can see and write, under a policy that
// can be read.
func (w *world) led() bool {
	if _, readable := get[*incident.Policy](w, store.Policy); w.journal.away || w.journal.full || !readable {
		return false
	}
	for _, name := range w.control {
		if a := w.byName[name].agent; a.answers() && a.term && a.reaches() && !a.fooled && !a.behind && !w.passesForGone(a.n) {
			return true
		}
	}
	return false
}

// awayFor is how long a replica has been out of a coordinator's reach. The
// window is persistent: a process that starts or hibernates goes on using it up.
func (w *world) awayFor(c, r *node) time.Duration {
	switch {
	case r.mode == draining:
		return w.now.Sub(r.drainedAt)
	case !r.runs(), r.mode == starting:
		return w.now.Sub(r.wentAt)
	case r.hung:
		return w.now.Sub(r.hungAt)
	case r.takes():
		lost, is := w.apart[[2]cluster.Name{c.name, r.name}]
		if lost.down {
			return w.now.Sub(lost.convicted)
		}
		if is || !w.linked(c, r) {
			return 0 // not given up
		}
	}
	return w.hintWindow
}

// lacks lists acknowledged writes of before that the node should hold and
// does not, though a repair with a quorum would have found them.
func (w *world) lacks(n *node, before moment) []int {
	var out []int
	kept := n.owes[:0]
	for _, id := range n.owes {
		x := &w.writes[id]
		me := x.place.bit(n)
		if !x.acked || x.held&me != 0 || x.forgiven&me != 0 || x.place.must&me == 0 {
			continue // and it never will be lacking, but for a disk that goes back
		}
		kept = append(kept, id)
		if x.at <= before && w.findable(x, me) {
			out = append(out, id)
		}
	}
	n.owes = kept
	return out
}

// findable tells whether any quorum that a node can be repaired with has a write: a
// quorum of its datacenter holds it, or too few lack it with nobody's fault to
// make a quorum with the node.
func (w *world) findable(x *write, me replicas) bool {
	home, quorum := x.place.homes[bits.TrailingZeros32(uint32(me))], cluster.Quorum(w.factor)
	held := bits.OnesCount32(uint32(x.held & home))
	blameless := bits.OnesCount32(uint32(x.forgiven & home &^ x.held &^ me))
	return held >= quorum || held > 0 && 1+blameless < quorum
}

// settleWrites forgets what every replica has on its disk: nobody can lack it
// any more.
func (w *world) settleWrites() {
	kept := w.unsettled[:0]
	for _, id := range w.unsettled {
		x := &w.writes[id]
		if w.now.Sub(x.at) <= second || x.held&x.place.must != x.place.must {
			kept = append(kept, id)
		}
	}
	w.unsettled = kept
}

// reconsider counts every write as unsettled again: a node's disk went back.
func (w *world) reconsider(n *node) {
	w.unsettled, n.owes = w.unsettled[:0], n.owes[:0]
	for id := range w.writes {
		w.unsettled = append(w.unsettled, id)
		if x := &w.writes[id]; x.held&x.place.bit(n) == 0 {
			n.owes = append(n.owes, id)
		}
	}
	w.dirty()
}

// hears tells whether gossip of one node reaches another, straight or through
// others: a single cut link keeps nothing secret.
func (w *world) hears(n, of *node) bool {
	if n == of {
		return true
	}
	if !n.gossips() || !of.gossips() {
		return false
	}
	if w.linked(n, of) {
		return true
	}
	if w.net.whole() && w.cutting == 0 {
		return true
	}
	return w.parts()[n.name] == w.parts()[of.name]
}

// parts names for each node the part of the ring that it gossips with.
func (w *world) parts() map[cluster.Name]cluster.Name {
	if w.partsAt == w.now && w.partOf != nil {
		return w.partOf
	}
	of := map[cluster.Name]cluster.Name{}
	for _, n := range w.nodes {
		if of[n.name] != "" || !n.gossips() {
			continue
		}
		of[n.name] = n.name
		for front := []*node{n}; len(front) > 0; {
			at := front[0]
			front = front[1:]
			for _, m := range w.nodes {
				if of[m.name] == "" && m.gossips() && w.linked(at, m) {
					of[m.name] = n.name
					front = append(front, m)
				}
			}
		}
	}
	w.partOf, w.partsAt = of, w.now
	return of
}

// dispatch has every node try, as Cassandra does each ten seconds, to hand over
// the hints that it keeps for nodes that it sees up.
func (w *world) dispatch() {
	w.after(10*second, w.dispatch)
	for _, keeper := range w.nodes {
		if len(keeper.hints) == 0 {
			continue
		}
		for _, to := range w.nodes {
			if len(keeper.hints[to.name]) > 0 && keeper.sees[to.name].up {
				keeper.replay(to)
			}
		}
	}
}

// convictAfter is about when Cassandra's failure detector gives a silent peer up.
const convictAfter = 7 * time.Second

// apart is one node that does not hear another: since when, and since when it
// believes it down, which is what its hints are counted from.
type apart struct {
	since     moment
	down      bool
	convicted moment
}

// gossip lets nodes that a cut set apart lose each other, and find each other
// again with what they stored for one another. Processes that ended tell for
// themselves.
func (w *world) gossip() {
	w.after(second, w.gossip)
	if w.net.whole() && w.cutting == 0 && len(w.apart) == 0 && !w.anyDeaf() {
		return
	}
	for _, n := range w.nodes {
		for _, of := range w.nodes {
			if n != of && n.takes() && (of.mode == normal || of.mode == starting && of.sleeps) && !of.hung {
				w.acquaint(n, of)
			}
		}
	}
}

func (w *world) acquaint(n, of *node) {
	k := [2]cluster.Name{n.name, of.name}
	is, lost := w.apart[k]
	direct := w.linked(n, of)
	switch heard := w.hears(n, of); {
	case heard && direct:
		delete(w.apart, k)
		if !lost {
			break
		}
		if of.mode == starting {
			break // a sleeper that was given up stays so
		}
		n.sees[of.name] = sight{true, of.generation, of.severity}
		w.after(w.between(0, 15*second), func() { n.replay(of) })
	case !lost:
		w.apart[k] = apart{since: w.now}
	case !heard && !is.down && w.now.Sub(is.since) > convictAfter:
		w.apart[k] = apart{is.since, true, w.now}
		s := n.sees[of.name]
		s.up = false
		n.sees[of.name] = s
	}
}

func (w *world) anyDeaf() bool {
	for _, n := range w.nodes {
		if n.deaf {
			return true
		}
	}
	return false
}
