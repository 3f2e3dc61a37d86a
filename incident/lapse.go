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
	return v.Answer == membership.Gone && (v.Cause == membership.Hung || v.Cause == membership.HostGone || v.Cause == membership.Isolated)
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
