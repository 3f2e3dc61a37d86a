// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"time"

	"supervisor/incident"
	"supervisor/isolate"
)

// snitchOff is somebody who turns the dynamic snitch of a running node off: from
// then on it reads from whom it sees, whatever the Severity there.
func snitchOff(b *blow) bool {
	n := b.n
	if n.snitchOff {
		return false
	}
	n.snitchOff, n.snitchAt = true, n.w.now
	n.w.dirty()
	return b.lasts(20*second, 80*second, func() { n.snitchOff = false })
}

// unheeded tells whether a peer that coordinates reads whatever the node's
// Severity is, and has been so for a while, in everybody's sight.
func (n *node) unheeded(lately time.Duration) bool {
	w := n.w
	return slices.ContainsFunc(w.nodes, func(p *node) bool {
		if !p.snitchOff || p == n || !p.answers() || !w.linked(p, n) {
			return false
		}
		return lately == 0 || w.now.Sub(max(p.snitchAt, p.changedAt, p.shakenAt)) >= lately && !w.passesForGone(p)
	})
}

// joinOrdered holds the order to join the ring against what is known: no fence
// keeps those off that ignore Severity.
func (w *world) joinOrdered(o incident.Order) {
	if o.State == incident.Open && o.Once.Verb == incident.VerbJoinRing {
		n := w.byName[o.Once.Agent]
		n.letIn = n.unheeded(grace)
	}
}

// past tells whether the node is read past its fence and nobody can help that: it
// was in the ring when a peer began to ignore Severity, or a hand took it there.
func (n *node) past() bool {
	return !n.native && n.severity >= isolate.SeverityFenced && !n.letIn
}
