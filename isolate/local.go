// SPDX-License-Identifier: Apache-2.0

package isolate

import "time"

// Local is what an agent keeps on its own disk for the gate, so that the gate
// can answer without agent and store.
type Local struct {
	// Returning is true from the order to start hibernated until the incident
	// is closed: a restart at any step hibernates again.
	Returning bool `json:"returning,omitempty"`
	// Retired is true once the node's identity was given to another host.
	Retired bool `json:"retired,omitempty"`
	// Deadline is the moment after which the data here must not be read again;
	// zero when there is none. Wall time: an upper bound, it only forbids.
	Deadline time.Time `json:"deadline,omitzero"`
	// Clean is the marker of a verified clean drain. The gate consumes it.
	Clean bool `json:"clean,omitempty"`
	// CleanFrom is when the node was last seen to serve before that drain; zero
	// when nobody saw it. Wall time: it only takes the marker's worth away.
	CleanFrom time.Time `json:"clean_from,omitzero"`
	// HintWindow is how long the other nodes keep what this one misses, as it was
	// known at the drain; zero: not known.
	HintWindow time.Duration `json:"hint_window,omitempty"`
	// Fence is the agent's copy of the standing fence.
	Fence *Fence `json:"fence,omitempty"`
	// Incident names the incident that Fence and Returning belong to.
	Incident string `json:"incident,omitempty"`
	// Unasked is what the policy says for a gate that nobody answers.
	Unasked Start `json:"unasked,omitempty"`
	// EverServed is true once the agent saw this Cassandra in mode NORMAL.
	EverServed bool `json:"ever_served,omitempty"`
}

// startAllowance is how long a start may take until the other nodes say UP:
// what they write meanwhile must still find a hint.
const startAllowance = time.Minute

// whole tells whether a node that was drained has missed nothing that hints do
// not bring back: its peers still keep them, and no incident is open whose
// return would repair it. An age that is not known, or that a clock which went
// back makes negative, is too old.
func (l Local) whole(wall time.Time) bool {
	if !l.Clean || l.CleanFrom.IsZero() || l.Incident != "" || !l.Deadline.IsZero() {
		return false
	}
	away := wall.Sub(l.CleanFrom)
	return away >= 0 && away < l.HintWindow-startAllowance
}

// Fenced is what is kept while a fence stands.
func (l Local) Fenced(f Fence) Local {
	if l.Fence == nil || *l.Fence != f {
		l.Fence = &f
	}
	l.Incident = f.Incident
	return l
}

// Starting is what stands on the disk before a start by order, so that the gate
// hibernates also without agent and store.
func (l Local) Starting(f Fence) Local {
	l.Returning, l.Incident, l.Clean = f.Start == Hibernate, f.Incident, false
	return l
}

// Over is what is kept when the incident is over.
func (l Local) Over() Local {
	l.Fence, l.Returning, l.Incident = nil, false, ""
	return l
}

// Drained is what is kept of a clean drain: when the node was last seen to serve
// before it, and how long the others keep what it misses.
func (l Local) Drained(from time.Time, hints time.Duration) Local {
	l.Clean, l.CleanFrom, l.HintWindow = true, from, hints
	return l
}

// MayLack tells whether a node that starts by an answer that only this host gave
// may lack writes, so that a leader must hear of it. One that hibernates by what
// stands here does: that may be older than the end of its return, and then no
// fence stands for it. One that the policy starts does if it has served; asleep it
// can be joined to the ring by hand.
func (l Local) MayLack(a Answer) bool {
	if a.Unasked() {
		return l.EverServed && a.Start != Refuse
	}
	return a.Start == Hibernate
}
