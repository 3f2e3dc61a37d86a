// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
)

// FenceBar holds a verdict against what a fence needs and a verdict can show:
// a majority of all eligible observers without any answer, in two racks where
// the eligible ones stand in two; the own agent's word, or phi of 5 and more
// on two peers while the own agent is silent; no fresh sign of life; and
// evidence that has stood for age, the own agent's too. Budget and storm are asked elsewhere.
// Each sentence of missing begins with the name of its rule.
//
// An isolated node whose own agent is heard does not meet the bar: that agent
// still has answers from it, and one answer is a veto.
func FenceBar(x Verdict, b Bars, age time.Duration, now cluster.Moment) (met bool, missing []string) {
	lack := func(format string, args ...any) { missing = append(missing, fmt.Sprintf(format, args...)) }
	if x.Answer != Gone {
		lack("evidence: the verdict is %s, needs Gone", cluster.Title(x.Answer.String()))
	}
	switch x.Cause {
	case CQLDead:
		lack("evidence: the JVM lives and a person may have turned CQL off, so it is never fenced")
	case Planned:
		lack("evidence: the stop was announced")
	}
	if x.Of < b.ObserversMin {
		lack("evidence: %d eligible observers, needs %d", x.Of, b.ObserversMin)
	}
	need := max(2, x.Of/2+1)
	onsets, racks, all := deafTo(x, b)
	if len(onsets) < need {
		lack("evidence: %d of %d eligible observers get no answer, needs %d", len(onsets), x.Of, need)
	}
	if all >= 2 && racks < 2 {
		lack("evidence: observers in %d racks say so, needs 2", racks)
	}
	if why := ownOrPhi(x); why != "" {
		lack("evidence: %s", why)
	}
	if why := signOfLife(x); why != "" {
		lack("evidence: %s", why)
	}
	if len(onsets) >= need {
		if stood := now.Sub(onsets[need-1]); stood < age {
			lack("min-age: a majority has stood for %s, needs %s", stood.Round(100*time.Millisecond), age)
		}
	}
	if since, says := ownSilence(x); says {
		if stood := now.Sub(since); stood < age {
			lack("min-age: its own agent has no answer for %s, needs %s", stood.Round(100*time.Millisecond), age)
		}
	}
	if old := now.Sub(x.At); old > b.Fresh {
		lack("min-age: the verdict itself is %s old, at most %s", old.Round(100*time.Millisecond), b.Fresh)
	}
	return len(missing) == 0, missing
}

// deafTo returns since when each observer that votes For has no answer,
// earliest first, the racks of those but the own agent, and the racks of all
// eligible but the own agent. The own agent counts when it saw the process
// end, or gets no CQL answer itself.
func deafTo(x Verdict, b Bars) (onsets []cluster.Moment, racks, all int) {
	var deaf, every []place
	for _, t := range x.Ballots {
		if !t.Own && !slices.Contains(every, t.place()) {
			every = append(every, t.place())
		}
		if t.Vote != For {
			continue
		}
		switch process, cql := t.look(Process), t.look(CQL); {
		case t.Own && process.Outcome == Exited:
			onsets = append(onsets, process.onset())
		case cql.bad(b):
			onsets = append(onsets, cql.onset())
		default:
			continue
		}
		if !t.Own && !slices.Contains(deaf, t.place()) {
			deaf = append(deaf, t.place())
		}
	}
	slices.Sort(onsets)
	return onsets, len(deaf), len(every)
}

// ownSilence is since when the own agent has no CQL answer, of one that sees the
// process run. The others may have missed the node before that because of a cut,
// and their age proves no hang.
func ownSilence(x Verdict) (since cluster.Moment, says bool) {
	for _, t := range x.Ballots {
		if t.Own && t.Vote == For && t.look(Process).Outcome == Good {
			return t.look(CQL).onset(), true
		}
	}
	return 0, false
}

// ownOrPhi tells what is missing of the second witness.
func ownOrPhi(x Verdict) string {
	silent, high := true, 0
	for _, t := range x.Ballots {
		switch {
		case t.Own && t.Vote == For:
			return ""
		case t.Own:
			silent = t.Vote == Unheard
		case t.Vote == For && t.look(Phi).Outcome == Silent:
			high++
		}
	}
	switch {
	case !silent:
		return "its own agent is heard and does not say so"
	case high < 2:
		return fmt.Sprintf("its own agent is silent and Cassandra on %d peers misses it, needs 2", high)
	}
	return ""
}

// signOfLife names a fresh answer of the node, by anybody, also by observers
// that abstain: a veto needs no vote.
func signOfLife(x Verdict) string {
	peers, low := 0, 0
	for _, t := range x.Ballots {
		if t.look(CQL).answered() {
			return fmt.Sprintf("%s has a CQL answer", t.Observer)
		}
		if t.Own || t.Vote == Unheard {
			continue
		}
		peers++
		if t.look(Phi).Outcome == Good {
			low++
		}
	}
	ownSays := x.Cause == DiskFailed || x.Cause == Hung && x.Own == Good
	if 2*low > peers && !ownSays {
		return fmt.Sprintf("Cassandra on %d of %d peers hears it", low, peers)
	}
	return ""
}
