// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// SilenceSpoils tells whether a return has come so far that a silence of its
// node is not made good any more: its last repair runs or has ended, and does
// not have what the node misses now.
func SilenceSpoils(r Record) bool {
	late := r.Return != nil && r.Return.Step >= RepairingAgain
	return late && (r.Phase == Returning || r.Phase == Verifying || r.Phase == Held)
}

// Silent tells whether a node is gone and takes no writes: its closed transport
// alone does not explain it.
func Silent(v membership.Verdict) bool {
	return v.Answer == membership.Gone && silentCause(v.Cause)
}

// silentCause tells whether a node of this cause takes no writes, though its
// process may live.
func silentCause(c membership.Cause) bool {
	return c == membership.Hung || c == membership.HostGone || c == membership.Isolated
}

// opensUnread tells whether a node that was silent beyond the hints, or that its
// gate started unasked, is back with its clients shut out: it answers nobody, but
// coordinators read from it.
func (t *turn) opensUnread(v membership.Verdict) bool {
	back := v.Answer == membership.Gone && v.Cause == membership.CQLDead
	silent := silentCause(t.r.Cause) && (t.w.ByWall || BeyondHints(t.w.Elapsed, t.w.hintWindow()))
	return back && (silent || t.w.Agents[t.r.Node].Unrepaired)
}

// lapsed takes back a proof over a silence that came and went while nobody could
// decide anything: the node is kept from readers and repaired anew.
func (t *turn) lapsed() bool {
	if t.r.Return == nil || !t.w.Lapsed[t.r.Node] {
		return false
	}
	t.r.Pending = nil
	t.waitAside()
	t.inPlace()
	t.wantPools(loadbalancer.Wish{Want: loadbalancer.Drain})
	return true
}
