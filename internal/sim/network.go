// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"

	"supervisor/cluster"
)

// The places of the network that are no hosts.
const (
	storeAt cluster.Name = "(store)"
	proxyAt cluster.Name = "(proxy)"
)

// link is one direction between two places.
type link struct{ from, to cluster.Name }

// quality is how a link behaves; the zero value is a good one.
type quality struct {
	cuts  int           // faults that cut it now
	loss  float64       // share of packets lost
	delay time.Duration // added to each packet
	twice float64       // share of packets delivered twice
	mixed bool          // packets overtake one another
	spoil float64       // share of packets that arrive broken: as good as lost
}

// network is what lies between the places. Streams (CQL, gossip between
// Cassandras, the store's client) need both directions; a datagram needs one.
type network struct {
	links map[link]*quality
	cuts  int // links that are cut now
}

// whole tells whether nothing is cut.
func (n *network) whole() bool { return n.cuts == 0 }

func (n *network) at(from, to cluster.Name) *quality {
	l := link{from, to}
	q := n.links[l]
	if q == nil {
		q = &quality{}
		n.links[l] = q
	}
	return q
}

func (n *network) cut(from, to cluster.Name) bool {
	q := n.links[link{from, to}]
	return q != nil && q.cuts > 0
}

// talks tells whether a stream between two places works.
func (w *world) talks(a, b cluster.Name) bool {
	return w.net.whole() || a == b || !w.net.cut(a, b) && !w.net.cut(b, a)
}

// datagram carries one packet: lost, late, twice or broken as the link is.
func (w *world) datagram(from, to cluster.Name, deliver func()) {
	copies, delay := 1, w.between(time.Millisecond, 40*time.Millisecond)
	if q := w.net.links[link{from, to}]; q != nil && from != to {
		if q.cuts > 0 || w.rng.Float64() < q.loss || w.rng.Float64() < q.spoil {
			return
		}
		if w.rng.Float64() < q.twice {
			copies = 2
		}
		delay += q.delay
		if q.mixed {
			delay += w.between(0, 3*second)
		}
	}
	for range copies {
		w.after(delay, deliver)
		delay += w.between(time.Millisecond, second)
	}
}

// stretch makes links differ from good ones until undone.
func (w *world) stretch(pairs []link, change func(*quality)) (undo func()) {
	before := make([]quality, len(pairs))
	for i, l := range pairs {
		q := w.net.at(l.from, l.to)
		before[i] = *q
		change(q)
	}
	return func() {
		for i, l := range pairs {
			q := w.net.at(l.from, l.to)
			cuts := q.cuts
			*q = before[i]
			q.cuts = cuts
		}
	}
}

// sever cuts links until undone; cuts of several faults add up.
func (w *world) sever(pairs []link) (undo func()) {
	turn := func(by int) {
		for _, l := range pairs {
			w.net.at(l.from, l.to).cuts += by
			w.net.cuts += by
		}
		w.partOf = nil
	}
	turn(1)
	return func() { turn(-1) }
}

// shaken notes that the world around some hosts changed, and by nobody of us.
func (w *world) shaken(pairs []link) {
	for _, l := range pairs {
		for _, name := range []cluster.Name{l.from, l.to} {
			if n := w.byName[name]; n != nil {
				n.shakenAt = w.now
			}
		}
	}
	w.partOf = nil
	w.dirty()
}

// around lists the links between one host and every other place.
func (w *world) around(n *node, in, out bool) []link {
	var pairs []link
	for _, m := range w.nodes {
		if m == n {
			continue
		}
		if out {
			pairs = append(pairs, link{n.name, m.name})
		}
		if in {
			pairs = append(pairs, link{m.name, n.name})
		}
	}
	return pairs
}
