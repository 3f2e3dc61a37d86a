// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// held waits for a person. Where the reason itself can pass without one, the
// incident goes back to where it came from; a new policy is a person's word
// and lets everything be tried again that a policy can change. A broken
// invariant and a failed disk stay.
func (t *turn) held() {
	if t.lateDrain() {
		return
	}
	if t.r.HeldRule == NoSilentWait || t.r.HeldRule == FenceBeforeReplace || t.w.mode(t.r.Datacenter) == Observe {
		return
	}
	renewed := t.r.HeldRule == RuleMode || t.r.HeldRule == RulePolicy || t.w.Policy.version() > t.r.Policy
	switch t.r.HeldFrom {
	case Suspected, Draining:
		t.heldDrained(renewed)
	case Returning, Verifying:
		t.heldReturn(renewed)
	case PhaseUnknown, Fencing, Deciding, Replacing, Closed, Held:
	}
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
	v := t.w.verdict(t.r.Node)
	gone := v.Answer == membership.Gone && v.Cause == membership.ProcessDown && t.r.HeldRule != RuleRate
	if !renewed && !answers(v) && !gone && !t.restarted() {
		return
	}
	if gone {
		t.r.Cause = v.Cause
	}
	t.release(t.r.HeldFrom)
}

// heldReturn lets go of a return when what it waited for is there.
func (t *turn) heldReturn(renewed bool) {
	if t.r.Return == nil {
		if ok, _ := t.poolsStand(); renewed || ok || t.restarted() {
			t.release(Verifying)
		}
		return
	}
	if t.r.Return.Step >= Ramping {
		if ok, _ := t.poolsStand(); renewed || ok && answers(t.w.verdict(t.r.Node)) || t.restarted() || t.exited() {
			t.release(Verifying)
		}
		return
	}
	switch {
	case renewed:
		t.r.Return.Tries, t.r.Return.Rounds, t.r.Return.Uncertain = 0, 0, 0
		t.again()
	case t.restarted() && t.quorumFault() == "":
		t.again() // somebody started it; what keeps it from readers stands
	case t.r.Return.Step == Preflight && t.r.HeldRule != RuleHibernation:
		v := t.w.verdict(t.r.Node)
		if answers(v) && t.quorumFault() == "" || v.Own == membership.Exited && t.preflightFault() == nil {
			t.again()
		}
	case t.r.Return.Step == AwaitDown || t.r.Return.Step == AwaitUp:
		if t.peersSpoke() && t.plannable() && t.budgetFault() == nil {
			t.ledger = t.ledger.with(t.r, HoldsReturn)
			t.release(Returning)
		}
	}
}

// peersSpoke tells whether the peers' word that was missing is there now.
func (t *turn) peersSpoke() bool {
	peers, seen := t.w.livePeers(t.r.Node), t.sights()
	if t.r.Return.Step == AwaitDown {
		down, up, _ := isolate.AllDown(seen, peers, t.r.Return.Generation)
		return down || len(up) > 0
	}
	ok, _ := isolate.AllUp(seen, peers, t.r.Return.Generation, true)
	return ok
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
	busy := t.r.Phase == Draining || t.r.Phase == Returning || t.r.Phase == Verifying
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
