// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"strings"

	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// held waits for a person. Where the reason itself can pass without one, the
// incident goes back to where it came from; a new policy is a person's word
// and lets everything be tried again that a policy can change. A broken
// invariant and a failed disk stay.
func (t *turn) held() {
	if t.r.HeldRule == RuleOperator {
		t.heldByWord()
		return
	}
	if t.lateDrain() {
		return
	}
	failed := t.r.HeldRule == FenceBeforeReplace
	if t.r.HeldRule == NoSilentWait || t.w.mode(t.r.Datacenter) == Observe {
		return
	}
	if t.fenceAgain() {
		return
	}
	if t.r.HeldRule == RuleEra {
		t.rederive()
		return
	}
	renewed := t.renewed()
	if t.tellRead(); (failed || !renewed) && t.unproven() && t.quorumAllows() {
		// The others could not spare it when it was held, and now they can; or
		// another process runs than the one that was proven.
		t.r.Held, _, _ = strings.Cut(t.r.Held, readMeanwhile)
		t.nextStep()
		t.say(Decided, "decided_fence_reads", "node", string(t.r.Node))
		t.fence(isolate.Clients|isolate.Reads, isolate.Hibernate)
		return
	}
	if failed || t.r.HeldRule == RuleSize && !renewed {
		return // the same would be decided again
	}
	if t.r.HeldRule == RuleRate && !renewed && t.rateFault() != nil {
		return // that somebody started it is no reason: it must end less often, or a person says so
	}
	if t.quarantined() && !renewed {
		return
	}
	t.letGo(renewed)
}

// letGo goes back to where the incident was held, if that leads on.
func (t *turn) letGo(renewed bool) bool {
	if t.r.OfSlowness() {
		t.slowLetGo(renewed)
		return t.r.Phase != Held
	}
	switch t.r.HeldFrom {
	case Suspected, Draining:
		t.heldDrained(renewed)
	case Returning, Verifying:
		t.heldReturn(renewed)
	case Fencing, Deciding:
		t.heldFenced(renewed)
	case PhaseUnknown, Replacing, Closed, Held:
	}
	return t.r.Phase != Held
}

// lateDrain takes a held node out of its pools when what forbade it is over
// and a majority still says that it is gone.
func (t *turn) lateDrain() bool {
	if t.r.HeldFrom != Draining || t.w.Storm != "" || t.w.mode(t.r.Datacenter) == Observe || !Worth(t.w.verdict(t.r.Node)) {
		return false
	}
	t.wantPoolsStill(loadbalancer.Wish{Want: loadbalancer.Drain})
	return len(t.effects) > 0
}

// heldDrained lets go of a drained node that answers, or whose process is
// known to be gone or to be another one.
func (t *turn) heldDrained(renewed bool) {
	if diskFailed(t.w.verdict(t.r.Node)) && costsWrites(t.r.Cause) {
		t.wantsReplacement()
		return
	}
	if renewed || t.answersAsAsked() || t.goneAsAsked() || t.fencesAsAsked() || t.opensUnread(t.w.verdict(t.r.Node)) || t.r.HeldFrom == Draining && t.restarted() {
		t.release(t.r.HeldFrom)
	}
}

// answersAsAsked tells whether a held node answers and the phase it goes back
// to can act on that: some of them must know which process it is, unless any
// would be repaired.
func (t *turn) answersAsAsked() bool {
	v := t.w.verdict(t.r.Node)
	_, known := t.sameProcess(t.r.Process)
	unproven := t.r.Return == nil || t.r.Return.Step < Ramping
	return answers(v) && (known || t.beyondHints(v) || t.r.HeldFrom == Draining && unproven)
}

// goneAsAsked tells whether the process of a held node is known to be gone,
// which needs no fence any more. From Suspected only what opens an incident
// leads on.
func (t *turn) goneAsAsked() bool {
	v := t.w.verdict(t.r.Node)
	if v.Answer != membership.Gone || v.Cause != membership.ProcessDown || t.r.HeldRule == RuleRate {
		return false
	}
	return t.r.HeldFrom == Draining || Worth(v)
}

// heldReturn lets go of a return when what it waited for is there. The very
// reason is tested: a release that leads back to the same reason would go round
// for ever, and write to the store each time.
func (t *turn) heldReturn(renewed bool) {
	if t.r.Return == nil || t.r.Return.Step >= Ramping {
		if renewed || t.provableAgain() {
			t.release(Verifying)
		}
		return
	}
	switch {
	case renewed:
		t.r.Return.Tries, t.r.Return.Kills, t.r.Return.Rounds, t.r.Return.Uncertain = 0, 0, 0, 0
		t.again()
	case t.restarted():
		// Somebody started it; what keeps it from readers stands.
		if t.canComeBack() && (t.r.HeldRule != RuleHibernation || t.sleepsUnseen()) {
			t.again()
		}
	case t.r.Return.Step == Preflight && t.r.HeldRule != RuleHibernation:
		v := t.w.verdict(t.r.Node)
		ended := v.Own == membership.Exited && t.r.HeldRule != RuleRate
		if answers(v) && (t.canComeBack() || t.livesOn(v)) || ended && t.preflightFault() == nil {
			t.again()
		}
	case t.r.HeldRule == QuorumSurvives:
		if t.keptFromReaders() && t.budgetFault() == nil {
			t.behindFence()
			t.ledger = t.ledger.with(t.r, HoldsReturn)
			t.release(Returning)
		}
	case t.r.Return.Step == AwaitDown || t.r.Return.Step == AwaitUp:
		if t.peersSpoke() && t.budgetFault() == nil && t.plannable() {
			t.ledger = t.ledger.with(t.r, HoldsReturn)
			t.release(Returning)
		}
	case t.r.Return.Step == Joining && (t.r.HeldRule == RulePreflight || t.r.HeldRule == RuleReach):
		free := t.budgetFault() == nil
		if t.sleeps() && len(t.seesSleeper()) > 0 || t.joinFault() == nil && free {
			if free {
				t.ledger = t.ledger.with(t.r, HoldsReturn)
			}
			t.release(Returning)
		}
	case t.r.HeldRule == RuleDeadline && t.r.Return.Uncertain <= uncertainMax:
		t.heldForOthers()
	}
}

// awaitAnew is where a repair begins that is planned anew: with the peers' word.
func (r *Record) awaitAnew() {
	if r.Return.Step == Repairing {
		r.Return.Step, r.Return.Job = AwaitDown, nil
		return
	}
	r.Return.Step, r.Return.Job = AwaitUp, nil
}

// heldForOthers lets go of a repair or a proof that had to wait for other nodes
// until its deadline, when they are there.
func (t *turn) heldForOthers() {
	if t.budgetFault() != nil {
		return
	}
	switch t.r.Return.Step {
	case Repairing, RepairingAgain:
		if t.stillPressed() {
			return
		}
		try := *t
		try.r = t.r.clone()
		if try.r.awaitAnew(); try.peersSpoke() && try.plannable() {
			t.r.awaitAnew()
			t.release(Returning)
		}
	case Previewing, Reading:
		try := *t
		try.r = t.r.clone()
		if !t.w.compares(t.r.Node) || try.proofWaits() {
			return
		}
		t.ledger = t.ledger.with(t.r, HoldsReturn)
		t.release(Verifying)
		if t.r.Return.Step == Reading && t.keptFromReaders() && !t.w.Lapsed[t.r.Node] {
			t.open() // its fence was raised when it was held
		}
	case Preflight, Starting, AwaitDown, Killing, Joining, AwaitUp, Opening, Ramping, RampingFull:
	}
}

// provableAgain tells whether a node whose proof is held can be proven now, or
// is gone again, which leads elsewhere.
func (t *turn) provableAgain() bool {
	v := t.w.verdict(t.r.Node)
	stand, _ := t.poolsStand()
	if t.goneNow(v) {
		return true
	}
	if t.r.Return != nil {
		return stand && answers(v) || t.restarted() || t.exited()
	}
	same, known := t.sameProcess(t.r.Process)
	return known && (t.closedToClients() || answers(v) && (stand || !same)) || answers(v) && t.beyondHints(v)
}

// canComeBack tells whether a node that runs could be taken up where it is.
func (t *turn) canComeBack() bool {
	_, told := t.ownInPlace()
	return t.inPlaceFault() == nil && t.quorumFault() == "" && (told || !t.keptFromReaders())
}

// sleepsUnseen tells whether the process that runs need not be ended: it is in
// the ring, or every peer says DOWN of it. One that a peer sees was started by a
// unit, perhaps, and would be ended and started for ever.
func (t *turn) sleepsUnseen() bool {
	own, known := t.w.own(t.r.Node)
	down, _, _ := isolate.AllDown(t.sights(), t.w.livePeers(t.r.Node), own.Generation)
	return known && (own.Mode == normalMode || down)
}

// peersSpoke tells whether the word that was missing is there now.
func (t *turn) peersSpoke() bool {
	if t.r.Return.Step == AwaitUp {
		ok, _ := t.upUnderSeverity()
		return ok
	}
	down, up, _ := isolate.AllDown(t.sights(), t.w.livePeers(t.r.Node), t.r.Return.Generation)
	return down || len(up) > 0
}

// plannable tries whether a repair could be planned now.
func (t *turn) plannable() bool {
	try := *t
	try.r = t.r.clone()
	return t.w.Schema != nil && try.planRepair(Repairing)
}

// again begins the return anew with its preflight.
func (t *turn) again() {
	t.r.Return.Step, t.r.Return.Job = Preflight, nil
	t.release(Returning)
}

func (t *turn) release(to Phase) {
	t.r.Held, t.r.HeldRule, t.r.HeldFrom = "", "", PhaseUnknown
	t.enter(to)
	t.say(Decided, "released", "node", string(t.r.Node))
}

// lookedAway holds an incident in whose datacenter only observing is allowed
// since it began: nothing more is done, nothing that stands is undone.
func (t *turn) lookedAway() bool {
	busy := t.r.Phase == Draining || t.r.Phase == Fencing || t.r.Phase == Deciding || t.r.Phase == Returning || t.r.Phase == Verifying
	if !busy || t.w.mode(t.r.Datacenter) != Observe {
		return false
	}
	if t.w.Policy == nil {
		t.hold(RulePolicy, "no policy stands any more; what was done stays; it goes on when one is applied")
		return true
	}
	t.hold(RuleMode, "the datacenter is in mode observe now; what was done stays; it goes on in another mode")
	return true
}
