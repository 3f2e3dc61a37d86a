// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math/bits"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/internal/store"
	"supervisor/membership"
)

// excuse notes why a plain start is nobody's fault: those of the gate that
// nobody answered, and of a ring that was all down.
func (n *node) excuse(rule string) {
	n.w.note("%s starts plainly: %s", n.name, rule)
	switch rule {
	case "mode":
		n.pardoned = true
	case "clean-drain":
		n.trusting = true
	case "gate-unasked":
		n.excused = true
	case "cold-start":
		n.excused, n.trusting = true, true
		n.wentWithAll()
	}
}

// trustedHints forgives what was lost with who kept it for a node that is back
// after a clean drain, or with a ring that was all down, while it was down or started.
func (n *node) trustedHints() {
	if n.trusting {
		n.forgiveUnhinted()
	}
	n.unhinted = nil
}

func (n *node) forgiveUnhinted() {
	n.w.forgive(n, n.unhinted...)
	n.unhinted = nil
}

// wentWithAll forgives what a node lost with the whole ring and not after it.
func (n *node) wentWithAll() {
	for _, id := range n.w.lacks(n, n.w.now) {
		if n.w.writes[id].at <= n.wentAt.Add(4*second) {
			n.w.forgive(n, id)
		}
	}
}

// leftAlone forgives what a node lacks of which nobody knows, or which nobody is
// to repair: its incident ends in mode observe.
func (w *world) leftAlone(n *node) { w.forgive(n, w.lacks(n, w.now)...) }

// passesForGone tells whether most who watch a node do not reach it.
func (w *world) passesForGone(n *node) bool { return !w.passesForWell(n) }

// passesForWell tells whether a node that misses writes looks well to most who
// watch it: a cut between two of many, or gossip that ended alone. Nobody can
// judge that by looking, and Cassandra itself does not tell.
func (w *world) passesForWell(r *node) bool {
	return most(w.topo.Watch[r.name], func(o cluster.Name) bool { return w.talks(o, r.name) })
}

// most tells whether more than half of the names are so.
func most(names []cluster.Name, so func(cluster.Name) bool) bool {
	k := 0
	for _, n := range names {
		if so(n) {
			k++
		}
	}
	return k*2 > len(names)
}

// judgedGone tells whether who watches a node can know that it misses writes: most
// of those that are heard and in order do not reach it, and two at least. Where
// one sees it well, one not, and the third is not in order, nobody can tell who
// of them is cut off.
func (w *world) judgedGone(r *node) bool {
	bad, of := 0, 0
	for _, o := range w.topo.Watch[r.name] {
		m := w.byName[o]
		silent := !r.takes() || !w.talks(o, r.name)
		if !m.agent.answers() || m.agent.blind || m.twice() || silent && !m.agent.knows() {
			continue
		}
		of++
		if silent {
			bad++
		}
	}
	return bad >= 2 && bad*2 > of
}

// awayForMost tells whether most who watch a node miss it for longer than hints
// are kept. One whose cut is older than theirs keeps none, and nobody knows.
func (w *world) awayForMost(r *node) bool {
	long, of := 0, 0
	for _, o := range w.topo.Watch[r.name] {
		if c := w.byName[o]; c != r {
			of++
			if _, apart := w.apart[[2]cluster.Name{c.name, r.name}]; apart && w.awayFor(c, r) >= w.hintWindow {
				long++
			}
		}
	}
	return long*2 > of
}

// noticed is how long an agent and its judges need to know of a silence.
const noticed = 4 * second

// passes notes a write that a running node misses while it can be judged gone.
func (n *node) passes(id int) {
	if n.missedFrom == 0 {
		n.missedFrom = n.w.now
	}
	n.missed = append(n.missed, id)
}

// tooShort forgives what nodes missed in silences that were over before anybody
// could have known of them.
func (w *world) tooShort() {
	for _, n := range w.nodes {
		if n.missedFrom == 0 || n.mode == normal && w.judgedGone(n) {
			continue
		}
		if n.takes() && w.now.Sub(n.missedFrom) < noticed {
			w.forgive(n, n.missed...)
		}
		n.missedFrom, n.missed = 0, n.missed[:0]
	}
}

// sawSilent notes which leaders to be saw the silence of a node that goes on now,
// or ends, if none of them could write it down.
func (n *node) sawSilent() {
	n.witnesses, n.spokeAt = nil, 0
	if _, open := n.w.store.Get(store.Open(n.name)); open {
		return
	}
	n.spokeAt = n.w.now
	for _, c := range n.w.control {
		if a := n.w.byName[c].agent; a.up {
			n.witnesses = append(n.witnesses, a.id)
		}
	}
}

// forgotten forgives what nodes lack of a silence of which nobody knows any more:
// all who saw it ended before the store took a word of it.
func (w *world) forgotten() {
	for _, n := range w.nodes {
		if len(n.witnesses) == 0 {
			continue
		}
		if _, open := w.store.Get(store.Open(n.name)); open && n.takes() {
			n.witnesses, n.spokeAt = nil, 0
			continue
		}
		n.witnesses = slices.DeleteFunc(n.witnesses, func(id cluster.Boot) bool {
			return !slices.ContainsFunc(w.nodes, func(m *node) bool { return m.agent.up && m.agent.id == id })
		})
		n.unremembered()
	}
}

// unremembered forgives what a node lacks of its last silence if nobody is left
// who saw it: for all that anybody knows a process that ended in it went then.
func (n *node) unremembered() {
	if n.spokeAt == 0 || len(n.witnesses) > 0 {
		return
	}
	for _, id := range n.w.lacks(n, n.spokeAt) {
		if n.w.writes[id].at >= n.hungAt {
			n.w.forgive(n, id)
		}
	}
	if !n.runs() {
		n.wentAt = max(n.wentAt, n.spokeAt)
	}
}

// knows tells whether an agent could say by now that a node is silent, and is
// believed.
func (a *agent) knows() bool {
	return a.w.now.Sub(a.begun) > noticed && a.closed == "" && !a.state.Stalled(a.now())
}

// twice tells whether two agents bore the name lately: then neither is believed.
func (n *node) twice() bool { return n.clonedAt != 0 && n.w.now.Sub(n.clonedAt) < time.Minute }

// memoryLost forgives what was missed until now by nodes without an incident when
// no control agent runs any more: what they had seen and could not write down is
// gone with them.
func (w *world) memoryLost() {
	for _, name := range w.control {
		if w.byName[name].agent.up {
			return
		}
	}
	for _, n := range w.nodes {
		if _, open := w.store.Get(store.Open(n.name)); !open {
			w.leftAlone(n)
		}
	}
}

// missing are the writes that a node lacks, without those whose hint is kept by
// a node that cannot hand it over, or could not a while ago: who was silent for
// less than the hint window is given back on its peers' word, as Cassandra does.
func (w *world) missing(n *node) []int {
	return slices.DeleteFunc(w.lacks(n, w.now.Add(-second)), func(id int) bool {
		return slices.ContainsFunc(w.nodes, func(keeper *node) bool {
			late := !keeper.takes() || !w.linked(keeper, n) || w.now.Sub(max(keeper.changedAt, keeper.shakenAt)) < grace
			return late && slices.Contains(keeper.hints[n.name], id)
		})
	})
}

// needed tells whether a range of a node is left without its quorum when the node
// is kept from readers: whatever it lacks, it must be read. Counted on are replicas
// that serve and that most who watch them see.
func (w *world) needed(n *node) bool {
	for _, p := range w.places {
		me := p.bit(n)
		if me == 0 {
			continue
		}
		home, serve, all := p.homes[bits.TrailingZeros32(uint32(me))], 0, 0
		for i, r := range p.replicas {
			if r == n || !w.countedOn(r) {
				continue
			}
			all++
			if home&(1<<i) != 0 {
				serve++
			}
		}
		if serve < cluster.Quorum(w.factor) || all < cluster.Quorum(len(p.replicas)) {
			return true
		}
	}
	return false
}

// countedOn tells whether a replica serves, and can be known to: whether one whose
// clients' port a hand closed serves others nobody says, one whose disk fails may
// stop at the next write, and one whose fence is written is about to.
func (w *world) countedOn(r *node) bool {
	return r.answers() && r.severity == 0 && r.gossips() && r.diskSays == membership.Good && w.raised[r.name].Levels == 0 && !w.passesForGone(r)
}
