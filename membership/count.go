// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"slices"

	"supervisor/cluster"
)

// judge counts the ballots about the node on a seat and writes its verdict.
func (u *turn) judge(seat int) {
	n, watchers := u.t.seats.names[seat], u.t.seats.watchers[seat]
	prev, known := u.v.Verdicts[n]
	u.next = never
	x := Verdict{Node: n, At: u.now, LastAlive: prev.LastAlive, Process: prev.Process,
		Ballots: make([]Ballot, len(watchers)), Of: len(watchers)}
	onsets := u.collect(&x, watchers)
	if p := u.witness(seat).heard.Process; p != "" {
		x.Process = p
	}
	if !known || pictureChanged(&prev, &x) {
		u.change(n)
	}
	planned := u.planned(n, &x)
	u.answer(&x, &prev, onsets)
	u.slow(&x, &prev)
	if planned {
		x.Cause, x.Drain = Planned, false
	}
	u.ownVerdicts()
	u.v.Verdicts[n] = x
	u.v.Due[n] = u.next
}

// collect fills in ballots and counts, and returns the onsets of those who
// vote For, earliest first.
func (u *turn) collect(x *Verdict, watchers []watcher) (onsets []cluster.Moment) {
	var racks []place
	for i := range watchers {
		t := &x.Ballots[i]
		began := u.ballot(t, x.Node, &watchers[i])
		switch t.Vote {
		case For:
			onsets = append(onsets, began)
			x.For++
			if at := t.place(); !t.Own && !slices.Contains(racks, at) {
				racks = append(racks, at)
			}
		case Against:
			x.Against++
		case Abstains:
			x.Abstain++
		}
		if r := t.look(CQL); r.answered() && !t.Duplicate {
			x.LastAlive = max(x.LastAlive, r.At)
		}
		if t.Own {
			x.Own = ownWord(t)
		}
	}
	x.Heard, x.Racks = x.For+x.Against, len(racks)
	slices.Sort(onsets)
	return onsets
}

// place is a rack of one datacenter: racks of two may share a name.
type place struct {
	dc   cluster.Datacenter
	rack cluster.Rack
}

func (t *Ballot) place() place { return place{t.Datacenter, t.Rack} }

// ownWord is what the node's own agent says of the process.
func ownWord(t *Ballot) Outcome {
	r := t.look(Process)
	if t.Duplicate || t.Unwell && r.Outcome != Exited {
		return NoWord
	}
	return r.Outcome
}

func pictureChanged(a, b *Verdict) bool {
	if a.Own != b.Own || len(a.Ballots) != len(b.Ballots) {
		return true
	}
	for i := range a.Ballots {
		if x, y := &a.Ballots[i], &b.Ballots[i]; x.Observer != y.Observer || x.Vote != y.Vote {
			return true
		}
	}
	return false
}

// change notes that the ballots about n changed now.
func (u *turn) change(n cluster.Name) {
	u.ownChanged()
	last, ever := u.v.Changed[n]
	if !ever || u.now.Sub(last) >= u.b.Stable {
		u.v.Unrest[n] = u.now
	}
	u.v.Changed[n] = u.now
}

// planned follows what the own agent announced: believed for PlannedMax from
// the first announcement, over when it says that the process runs.
func (u *turn) planned(n cluster.Name, x *Verdict) bool {
	for i := range x.Ballots {
		t := &x.Ballots[i]
		if !t.Own || t.Duplicate {
			continue
		}
		switch r := t.look(Process); r.Outcome {
		case Leaving:
			if _, ok := u.v.Planned[n]; !ok {
				u.ownPlanned()
				u.v.Planned[n] = r.onset()
			}
		case Good:
			if _, ok := u.v.Planned[n]; ok {
				u.ownPlanned()
				delete(u.v.Planned, n)
			}
		}
	}
	began, ok := u.v.Planned[n]
	if !ok {
		return false
	}
	end := began.Add(u.b.PlannedMax)
	u.wait(end)
	return u.now < end
}

// answer decides on answer, cause, since and drain. Once Gone, a node stays
// Gone as long as the majority does, however the ballots shift.
func (u *turn) answer(x, prev *Verdict, onsets []cluster.Moment) {
	turned := turnedBad(onsets, x.Heard)
	e := weigh(x, u.b, turned)
	majority := x.For >= 2 && 2*x.For > x.Heard
	alive := x.Against >= max(1, min(2, x.Of)) && 2*x.Against > x.Heard
	u.wait(u.v.Began.Add(u.b.Fresh))
	warm := u.now.Sub(u.v.Began) >= u.b.Fresh
	if majority || e.disk {
		cause, sure := e.cause()
		settled := u.settled(x.Node, sure)
		if prev.Answer == Gone || settled && warm {
			x.Answer, x.Cause = Gone, cause
			unreached := majority && (!e.disk || x.unreachedByOthers())
			x.Drain = unreached && x.Of >= u.b.ObserversMin && (settled || prev.Drain)
		}
	} else if alive && (prev.Answer == Alive || answeredAny(x)) {
		x.Answer, x.Cause = Alive, e.aliveCause(warm)
	}
	switch {
	case x.Answer != Alive && x.For > 0:
		x.Since = onsets[0]
	case prev.Answer == x.Answer && (x.Answer == Alive || prev.For == 0) && prev.At != 0:
		x.Since = prev.Since
	default:
		x.Since = u.now
	}
}

// unreachedByOthers tells whether most of the others that are heard do not reach
// the node. That a disk failed is its own agent's word alone, and a copy of the
// host says so too: that word does not count as a look at the node besides.
func (x *Verdict) unreachedByOthers() bool {
	bad, heard := x.For, x.Heard
	for i := range x.Ballots {
		switch t := &x.Ballots[i]; {
		case t.Own && t.Vote == For:
			bad, heard = bad-1, heard-1
		case t.Own && t.Vote == Against:
			heard--
		}
	}
	return 2*bad > heard
}

// answeredAny tells whether an observer that speaks for the node has an answer
// from it. Others that began to look a moment ago speak for it too, because a
// silence or two says nothing; they leave a node that answered Alive, and make
// none Alive that did not.
func answeredAny(x *Verdict) bool {
	return slices.ContainsFunc(x.Ballots, func(t Ballot) bool { return t.Vote == Against && t.look(CQL).answered() })
}

// turnedBad is when a majority began to see the node badly. One observer that
// has seen it so for hours does not make old good words count as new.
func turnedBad(onsets []cluster.Moment, heard int) cluster.Moment {
	if len(onsets) == 0 {
		return 0
	}
	return onsets[min(heard/2, len(onsets)-1)]
}

// settled tells whether the picture stood still for Stable, or moved for
// StableMax already. A cause that one more word may overturn waits for the latter.
func (u *turn) settled(n cluster.Name, sure bool) bool {
	quiet, longest := u.v.Changed[n].Add(u.b.Stable), u.v.Unrest[n].Add(u.b.StableMax)
	u.wait(quiet)
	u.wait(longest)
	return sure && u.now >= quiet || u.now >= longest
}
