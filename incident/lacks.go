// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// lacksToo tells whether a peer may lack the very writes that the
// node lacks, so that a repair with it proves nothing. What nobody lost that
// acknowledged it stands on one of any two replicas of three, whatever either of
// them was away for; so one process of the two must have ended, which lost what
// it had not synced. And the peer took what was written since it is back: only
// what the node lacks from before that can be missing on both.
func (t *turn) lacksToo(peer cluster.Name) bool {
	r, lacks := t.w.lacking(peer)
	if !lacks || r.HeldRule == FenceBeforeReplace {
		return lacks
	}
	back := t.w.verdict(peer)
	ended := r.ended(back) || t.r.ended(t.w.verdict(t.r.Node))
	since, known := t.w.backSince(peer, r)
	return ended && (t.w.ByWall || !known || since >= t.outageBegan())
}

// Joined is since when a process behind a fence is seen in the ring, on this
// leader's clock.
type Joined struct {
	Process cluster.Boot
	Since   cluster.Moment
}

// NowJoined goes on from what was known a turn before. What was written since has
// been taken. A leader that began later saw it later, and supposes that more is lacking.
func (w *World) NowJoined(was map[cluster.Name]Joined) map[cluster.Name]Joined {
	now := make(map[cluster.Name]Joined)
	for n := range w.Fences { // order: each node for itself
		if !w.InRing(n) {
			continue
		}
		j, known := was[n]
		if p := w.verdict(n).Process; !known || j.Process != p {
			j = Joined{p, w.Now}
		}
		now[n] = j
	}
	return now
}

// backSince is since when a node that lacks writes takes them again, for all that is
// known: since the process of its incident answers, or since another one is seen in
// the ring behind its fence. That another one was quicker than the verdict, and the
// verdict's own age is no age of it.
func (w *World) backSince(n cluster.Name, r Record) (cluster.Moment, bool) {
	v := w.verdict(n)
	if v.Answer == membership.Alive && v.Process == r.Process {
		return v.Since, true
	}
	j, known := w.Joined[n]
	return j.Since, known && j.Process == v.Process
}

// compares tells whether a node can be compared with: it serves, or it is in the
// ring behind its fence. Such a one takes writes and gossips.
func (w *World) compares(n cluster.Name) bool {
	if w.Serves(n) {
		return true
	}
	return w.InRing(n)
}

// InRing tells whether a node's process is a member of the ring that lives, by
// its own agent's word, whether or not it takes clients.
func (w *World) InRing(n cluster.Name) bool {
	v := w.verdict(n)
	own, known := w.own(n)
	_, there := w.Agents[n]
	normal := known && there && own.Running && own.Mode == normalMode && own.Process == v.Process && v.Own == membership.Good
	return normal && (v.Answer == membership.Alive || v.Answer == membership.Gone && v.Cause == membership.CQLDead)
}

// keeperSkew is by how much two leaders' wall clocks may differ.
const keeperSkew = 10 * time.Second

// lostKeeper tells whether a process of another node ended, or its disk failed,
// after this silence had begun: it may have kept hints for the node, which are
// gone with it. Who was away before kept none. One that is only cut off hands
// them over when it is back.
func (t *turn) lostKeeper() bool {
	return slices.ContainsFunc(t.w.Open, t.lostHints) || slices.ContainsFunc(t.w.foreigners(), func(n cluster.Name) bool {
		r := t.w.Abroad[n].Record
		return r != nil && t.lostHints(*r)
	})
}

func (t *turn) lostHints(o Record) bool {
	lost := o.Cause == membership.ProcessDown || o.Cause == membership.DiskFailed
	return o.Node != t.r.Node && lost && o.failed().After(t.r.failed().Add(-keeperSkew))
}

// outageBegan is when the node began to lack writes, on this leader's clock.
func (t *turn) outageBegan() cluster.Moment {
	return t.w.Now.Add(-t.w.Elapsed - t.r.Began.Sub(t.r.Outage.From))
}

// lacking is the open incident of a node that lacks writes, for all that is
// known, though it may serve: because the others cannot spare it, say. What its
// gate started unasked may lack some before anybody opened an incident.
func (w *World) lacking(n cluster.Name) (Record, bool) {
	r := Record{Node: n}
	if f, foreign := w.Abroad[n]; foreign {
		if f.Record != nil {
			r = *f.Record
		}
		return r, f.lacks(w, n)
	}
	i := slices.IndexFunc(w.Open, func(o Record) bool { return o.Node == n })
	if i >= 0 {
		r = w.Open[i]
	}
	return r, w.Agents[n].Unrepaired || w.Lapsed[n] || i >= 0 && r.lacks(w.verdict(n))
}

// lacks tells whether the node of an open incident lacks writes, if it answers.
func (r Record) lacks(v membership.Verdict) bool {
	same := v.Own == membership.Good && v.Process == r.Process
	switch {
	case r.HeldRule == FenceBeforeReplace:
		return true
	case r.Return != nil:
		return r.Return.Step < Opening
	case r.Phase == Verifying:
		return !same // its peers keep hints for the process that was silent, and for no other
	}
	return costsWrites(r.Cause)
}

// unrepaired lists the nodes of the datacenter that lack writes, were not repaired
// yet and may be in the ring, if nobody there serves. A fence makes others avoid a
// node and no more: where it stands on every replica of a range, whoever is the
// first to serve would read from them.
func (t *turn) unrepaired() []cluster.Name {
	var rest []cluster.Name
	for _, n := range t.w.nodes() {
		if n == t.r.Node || t.w.Topology.Nodes[n].Datacenter != t.r.Datacenter {
			continue
		}
		if t.w.Serves(n) {
			return nil
		}
		own, known := t.w.own(n)
		sleeps := known && own.Mode != normalMode && own.Process == t.w.verdict(n).Process
		r, lacks := t.w.lacking(n)
		repaired := r.Return != nil && r.Return.Step > RepairingAgain && !t.w.Lapsed[n]
		if lacks && !repaired && !sleeps && t.w.mayRead(n) {
			rest = append(rest, n)
		}
	}
	return rest
}

// ended tells whether a process of the node ended since its incident began, for
// all that is known.
func (r Record) ended(v membership.Verdict) bool {
	same := v.Own == membership.Good && v.Process != "" && v.Process == r.Process
	return !same || r.Return != nil && (r.Return.Tries > 0 || r.Return.Kills > 0)
}
