// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/isolate"
)

// linked tells whether two Cassandras reach each other on the storage port: by
// the network, and by the rules of both hosts.
func (w *world) linked(a, b *node) bool {
	if w.cutting > 0 && (a.cuts[b.name] || b.cuts[a.name]) {
		return false
	}
	return w.talks(a.name, b.name)
}

// shutOut tells whether every other Cassandra that runs, or may, is cut off from
// a node by somebody's rules.
func (w *world) shutOut(n *node) bool {
	return w.cutting > 0 && !slices.ContainsFunc(w.nodes, func(m *node) bool { return m != n && m.runs() && !n.cuts[m.name] && !m.cuts[n.name] })
}

// cuts or lets in another host, in this one's kernel.
func (n *node) cutsOff(name cluster.Name, cut bool) {
	if n.cuts[name] == cut {
		return
	}
	n.w.note("%s cuts %s off: %v", n.name, name, cut)
	if cut {
		n.cuts[name] = true
		n.w.cutting++
	} else {
		delete(n.cuts, name)
		n.w.cutting--
	}
	n.w.partOf = nil
	n.w.dirty()
}

// keepCuts makes the fences of others stand in this host's kernel, and lifts what
// no fence wants any more. An agent that has not read the store changes nothing.
func (a *agent) keepCuts() {
	p := a.state.Picture
	if !a.whole || a.closed != "" || a.n.guardless || !p.Trusted() {
		return
	}
	for _, m := range a.w.nodes {
		f, _, stands := p.Standing(m.name)
		if _, written := p.Fences[m.name]; written && !stands {
			continue // of an earlier era: neither obeyed nor undone
		}
		wanted := stands && f.Levels.Has(isolate.Ring) && m != a.n
		if wanted && a.w.bug(halfCut) && a.control {
			continue
		}
		a.n.cutsOff(m.name, wanted)
	}
}

// cutProven holds the proof of a cut against the truth: nobody in the ring says
// anything to the node or hears it.
func (w *world) cutProven(r incident.Record) {
	n := w.byName[r.Node]
	for _, m := range w.nodes {
		settled := w.now.Sub(max(m.changedAt, m.shakenAt, m.helplessAt)) >= grace
		if m != n && m.takes() && settled && !m.unasked && !m.cuts[n.name] && !n.cuts[m.name] {
			w.broken(fenceProven, "%s takes %s for cut off, and %s is not cut off from it", r.ID, n.name, m.name)
		}
	}
}

// notAsked notes who has no guard and could not say so when a cut was proven: it
// may come back later, and nobody foresees that.
func (w *world) notAsked() {
	for _, m := range w.nodes {
		m.unasked = m.guardless && !m.runs() && !m.agent.answers()
	}
}

// cutsHold wants what was proven to stand until it is lifted. Nothing rests on the
// cut of a host that was to be turned off.
func (w *world) cutsHold() {
	if w.cutting == 0 {
		return
	}
	for _, r := range w.open() {
		if r.Fenced != nil && r.Fenced.Cut && len(r.Fenced.Proof) > 0 && !r.Fenced.Power.Wanted && w.raised[r.Node].Levels.Has(isolate.Ring) {
			w.cutProven(r)
		}
	}
}

// saysCut is what an agent reads of its own host's rules.
func (a *agent) saysCut(name cluster.Name, f isolate.Fence) bool {
	if a.w.bug(halfCut) {
		return f.Levels.Has(isolate.Ring)
	}
	return a.n.cuts[name]
}
