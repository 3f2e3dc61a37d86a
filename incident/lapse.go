// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"supervisor/loadbalancer"
	"supervisor/membership"
	"supervisor/replace"
)

// SilenceSpoils tells whether a silence of the node is not made good any more:
// its last repair runs or has ended, and does not have what the node misses now,
// or it waits for its replacement. Of one that is only slow nobody expects any.
func SilenceSpoils(r Record) bool {
	late := r.Return != nil && r.Return.Step >= RepairingAgain
	return r.OfSlowness() || late && (r.Phase == Returning || r.Phase == Verifying || r.Phase == Held) || r.HeldRule == FenceBeforeReplace
}

// Spoils tells whether such a silence goes on now.
func Spoils(r Record, v membership.Verdict) bool {
	return SilenceSpoils(r) && (Silent(v) || diskFailed(v) && v.Drain)
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

func diskFailed(v membership.Verdict) bool {
	return v.Answer == membership.Gone && v.Cause == membership.DiskFailed
}

// ReachedBroken tells whether a node is gone by its own agent's word about its
// disk alone: the others reach it, and read from it.
func ReachedBroken(v membership.Verdict) bool { return diskFailed(v) && !v.Drain }

// costsWrites tells whether a node that was gone by this cause lacks what was
// written meanwhile.
func costsWrites(c membership.Cause) bool { return silentCause(c) || c == membership.ProcessDown }

// brokenUnread tells whether a node whose disk failed took no writes before or
// after that. Its answer is the same in both, so nobody can say how long it was
// silent, and what it has is to be replaced anyway.
func (t *turn) brokenUnread() bool {
	v := t.w.verdict(t.r.Node)
	failed := t.r.HeldRule == FenceBeforeReplace || diskFailed(v)
	before := silentCause(t.r.Cause) || t.r.Cause == membership.NoCause // over before it was judged
	return failed && (before || Silent(v) || diskFailed(v) && v.Drain || t.w.Lapsed[t.r.Node])
}

// wantsReplacement hands a node to people whose disk failed.
func (t *turn) wantsReplacement() {
	_, why := replace.Needed(replace.Case{DiskFailed: true})
	t.hold(FenceBeforeReplace, "a replacement is needed: "+why.Sentence())
}

// opensUnread tells whether a node that was silent beyond the hints, or that its
// gate started unasked, is back with its clients shut out: it answers nobody, but
// coordinators read from it. One that is back behind the fence of its return can
// answer nobody before it is proven.
func (t *turn) opensUnread(v membership.Verdict) bool {
	back := v.Answer == membership.Gone && v.Cause == membership.CQLDead
	silent := silentCause(t.r.Cause) && (t.w.ByWall || BeyondHints(t.w.Elapsed, t.w.hintWindow()))
	return back && (silent || t.keptFromReaders() || t.w.Agents[t.r.Node].Unrepaired)
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
	// Also in a storm: it answers with old rows, and less is no loss.
	t.wantPools(loadbalancer.Wish{Want: loadbalancer.Drain})
	return true
}
