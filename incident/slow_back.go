// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// slowIsOver gives a node back that has not been slow for long enough, or about
// which nothing is to be done any more.
func (t *turn) slowIsOver() bool {
	over := t.r.Slow.Over && t.w.InStep >= t.w.Policy.slow().OverAfter
	switch f := t.slowAgainFault(); {
	case !over && t.w.Policy.slow().Act:
		return false
	case over && f != nil:
		t.hold(f.rule, f.reason)
	default:
		t.giveBackSlow()
	}
	return true
}

// slowAgainFault keeps a node as it is that is slow again and again.
func (t *turn) slowAgainFault() *fault {
	b := t.w.Policy.Budgets.told()
	n := within(t.ledger.Silences[t.r.Node], t.w.Wall, b.StartsWindow)
	if n <= b.SilencesMax {
		return nil
	}
	return &fault{RuleQuarantine, fmt.Sprintf("it was slow or silent %d times in %s: quarantine, it stays as it is until it has been quiet for %s; look for what comes and goes",
		n, b.StartsWindow, t.w.Policy.slow().QuietFor), true}
}

// giveBackSlow begins the way back.
func (t *turn) giveBackSlow() {
	code := "decided_slow_over"
	if !t.r.Slow.Over {
		code = "decided_slow_undone"
	}
	t.r.Slow.Step = LettingIn
	t.enter(Verifying)
	t.say(Decided, code, "node", string(t.r.Node))
}

// slowVerifying gives a node back that is not slow any more: to readers first,
// then to clients, a few of them at first if it had none.
func (t *turn) slowVerifying(v membership.Verdict) {
	switch {
	case slowNow(v) && t.w.Policy.slow().Act:
		t.slowAgain()
	case !answers(v):
		t.wait(RuleEvidence, "waits_slow", "node", string(t.r.Node))
	case !t.readersIn():
	case t.r.Slow.Step == LettingIn:
		t.rampSlow()
	case t.r.Slow.Step == SlowRamping:
		t.slowRamping()
	default:
		t.slowFull()
	}
}

// slowAgain takes the node out again, or gives it its lower weight where the
// others cannot spare it.
func (t *turn) slowAgain() {
	t.enter(Draining)
	t.countSlow()
	t.say(Saw, "slow_again", "node", string(t.r.Node))
	if f := first(func() *fault { return t.w.slowFault(t.r.Node, t.r.Datacenter) }, t.slowFloorFault); f != nil {
		t.lower()
		return
	}
	t.r.Slow.Step = SlowDraining
	t.wantPools(loadbalancer.Wish{Want: loadbalancer.Drain})
}

// readersIn lets readers choose a node again that they were to avoid, and tells
// whether every peer knows. One that nobody was to avoid is read anyway.
func (t *turn) readersIn() bool {
	f, stands := t.w.Fences[t.r.Node]
	switch {
	case !stands || !f.LeavesStart():
		return true
	case f.Avoids():
		t.nextStep()
		t.say(Did, "did_let_in", "node", string(t.r.Node))
		t.fence(0, isolate.Wait)
		return false
	}
	known, rest := t.readersKnow()
	if !known {
		t.wait(RuleVerify, "waits_open", "peers", names(rest))
	}
	return known
}

func (t *turn) readersKnow() (known bool, rest []cluster.Name) {
	own, told := t.w.own(t.r.Node)
	known, rest = isolate.AllUp(t.sights(), t.w.livePeers(t.r.Node), own.Generation, false)
	return known && told && own.Applied, rest
}

// rampSlow gives the first weight to a node that has none, and the full one to
// one that has some.
func (t *turn) rampSlow() {
	wish := rampWish(Ramping)
	drained := false
	for _, d := range t.w.Policy.PoolsOf(t.r.Node) {
		drained = drained || t.pool(d).Wants[t.r.Node].Want != loadbalancer.Ready
	}
	t.slowTo(SlowRamping)
	if !drained {
		t.slowTo(SlowFull)
		wish = loadbalancer.Full
	}
	if len(t.w.Policy.PoolsOf(t.r.Node)) > 0 {
		t.say(Decided, "decided_ramp", "node", string(t.r.Node), "weight", count(wish.Weight))
		t.wantPools(wish)
	}
}

func (t *turn) slowRamping() {
	if !t.slowGiven(rampWish(Ramping)) || t.w.InStep < t.w.Policy.Return.RampEvery {
		return
	}
	t.slowTo(SlowFull)
	t.say(Decided, "decided_ramp", "node", string(t.r.Node), "weight", count(loadbalancer.Full.Weight))
	t.wantPools(loadbalancer.Full)
}

func (t *turn) slowFull() {
	if t.slowGiven(loadbalancer.Full) {
		t.close("closed_slow_over")
	}
}

// slowGiven waits until the proxies have the weight.
func (t *turn) slowGiven(wish loadbalancer.Wish) bool {
	t.wantPoolsStill(wish)
	given, rest, left := t.poolsGive()
	if !given || !t.wanted(wish) {
		t.wait(RuleVerify, "waits_pools", "pools", fmt.Sprint(rest))
		return false
	}
	if !t.marked(StageServing) {
		t.leave(left)
		t.mark(StageServing)
	}
	return true
}

// slowHeld waits for a person, or until the node has not been slow for long enough.
// What a person stopped goes on by itself only where nothing keeps readers off.
func (t *turn) slowHeld() {
	_, fenced := t.w.Fences[t.r.Node]
	byWord := t.r.HeldRule == RuleOperator
	switch {
	case t.r.HeldRule == NoSilentWait, t.w.mode(t.r.Datacenter) == Observe, byWord && fenced:
	case t.quorumNeeds():
	default:
		t.slowLetGo(!byWord && t.renewed())
	}
}

// renewed tells whether a person has changed what an incident is held by since.
func (t *turn) renewed() bool {
	return t.r.HeldRule == RuleMode || t.r.HeldRule == RulePaused || t.r.HeldRule == RulePolicy || t.w.Policy.version() > t.r.Policy
}

// slowLetGo goes back to where the incident was held: to its answer when a person
// wants that, to the way back when the node was quiet.
func (t *turn) slowLetGo(renewed bool) {
	bars := t.w.Policy.slow()
	quiet := bars.OverAfter
	if t.r.HeldRule == RuleQuarantine {
		quiet = bars.QuietFor
	}
	from := t.r.HeldFrom
	switch {
	case renewed:
		t.r.Slow.Asked = t.w.Elapsed
		t.release(from)
	case t.r.Slow.Over && t.w.InStep >= quiet:
		t.release(from)
		if from != Suspected {
			t.giveBackSlow()
		}
	case from == Verifying && t.r.HeldRule == RuleDeadline && t.slowProvable():
		t.release(from)
	}
}

// slowProvable tells whether what a way back waited for until its deadline is there.
func (t *turn) slowProvable() bool {
	known, _ := t.readersKnow()
	f, stands := t.w.Fences[t.r.Node]
	stand, _ := t.poolsStand()
	return stand && (known || !stands || !f.LeavesStart())
}
