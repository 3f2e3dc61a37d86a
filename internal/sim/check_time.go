// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"maps"
	"slices"
	"time"

	"supervisor/incident"
	"supervisor/internal/store"
)

// The bounds of time. They count while everything is well that has to be: no
// fault stands, somebody leads, and every agent is in order.
const (
	// detectMax is how long a node may be gone without an incident.
	detectMax = 30 * time.Second
	// returnMax is how long an incident may go on before it is closed or held, if
	// all other nodes are well: what it needs of them is there.
	returnMax = 3 * time.Minute
	// tellMax is how long nobody may be told why nothing goes on.
	tellMax = time.Minute
)

// inTime holds what goes on against the bounds.
func (w *world) inTime() {
	if !w.fit() || w.ended != w.rep.Kills {
		w.unfitAt, w.ended = w.now, w.rep.Kills
	}
	for _, n := range w.nodes {
		w.detected(n)
	}
	for _, r := range w.open() {
		if r.Phase == incident.Held || w.waits() || w.policy.ModeOf(r.Datacenter) == incident.Observe {
			continue
		}
		w.saysWhy(r)
		w.overInTime(r)
	}
	for _, id := range slices.Sorted(maps.Keys(w.said)) {
		if w.longFit(w.said[id]) > tellMax {
			w.broken(refusalsTold, "word %s lies in the inbox and is not answered", id)
		}
	}
}

// fit tells whether everything is well that has to be.
func (w *world) fit() bool {
	return len(w.standing) == 0 && w.led() && !w.stuck() && !slices.ContainsFunc(w.nodes, func(n *node) bool {
		a := n.agent
		return n.doomed > 0 || n.twice() || !a.answers() || !a.reaches() || !a.knows() || w.now.Sub(a.laggedAt) < steady
	})
}

// actMax is longer than any act lasts that is not stuck: those have a limit of
// minutes.
const actMax = 30 * time.Second

func (w *world) stuck() bool {
	for resource := range w.acting { // order: whether there is one
		if w.now.Sub(w.actedAt[resource]) > actMax {
			return true
		}
	}
	return false
}

// longFit is for how long something lasts, as far as everything is well.
func (w *world) longFit(since moment) time.Duration { return w.now.Sub(max(since, w.unfitAt)) }

// detected wants an incident about a node that is gone.
func (w *world) detected(n *node) {
	if _, open := w.store.Get(store.Open(n.name)); open || n.goneAt == 0 || n.takes() || !w.judgedGone(n) || n.mode == starting || !w.allowed(n) {
		n.untoldAt = w.now
		return
	}
	if w.longFit(n.untoldAt) > detectMax {
		w.broken(detectedInTime, "%s is gone for %s and no incident is open", n.name, w.now.Sub(n.goneAt))
	}
}

// goesOnAlone tells whether all others serve, and no incident is about them, so
// that nothing keeps a node from coming back. One whose clients alone are shut out
// is left so for a quarter of an hour before a person is asked.
func (w *world) goesOnAlone(n *node) bool {
	_, fenced := w.raised[n.name]
	shut := n.takes() && !n.native && !fenced
	return w.allowed(n) && !w.mayBePaused(n) && !shut && !slices.ContainsFunc(w.nodes, func(m *node) bool {
		_, open := w.store.Get(store.Open(m.name))
		return m != n && (open || !m.answers() || m.severity != 0)
	})
}

// overInTime wants an incident to come to its end, or to a person.
func (w *world) overInTime(r incident.Record) {
	at, n := w.stands[r.ID], w.byName[r.Node]
	if !w.goesOnAlone(n) {
		at.open = w.now
		w.stands[r.ID] = at
	}
	if long := w.longFit(at.open); long > returnMax {
		w.broken(returnedInTime, "%s about %s goes on for %s, is %s and waits for %q", r.ID, r.Node, long, r.Phase, r.Waits)
	}
}

// saysWhy wants an incident that stands still to name what it waits for.
func (w *world) saysWhy(r incident.Record) {
	if len(r.Pending) == 0 && r.Waits == "" && w.longFit(w.stands[r.ID].since) > tellMax {
		w.broken(refusalsTold, "%s about %s stands still, is %s, and does not say why", r.ID, r.Node, r.Phase)
	}
}

// standsWritten notes where an incident stands, and wants one that is held to
// say why.
func (w *world) standsWritten(r incident.Record) {
	at, known := w.stands[r.ID]
	if !known || at.step != r.Step {
		at.step, at.since = r.Step, w.now
	}
	switch {
	case r.Phase != incident.Held:
		if at.open == 0 {
			at.open = w.now
		}
	case r.Held == "" || r.HeldRule == "":
		w.broken(refusalsTold, "%s about %s is held and does not say why", r.ID, r.Node)
	default:
		at.open = 0
	}
	w.stands[r.ID] = at
}
