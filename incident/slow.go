// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// A node that answers, and slower than its peers, lacks nothing and is right: it
// gets fewer clients, then none, then fewer readers, and all of it is undone when
// it is not slow any more. Its process, its ports and its data are left alone.

// Slowed is how far the answer to a node's slowness has come.
type Slowed struct {
	Step SlowStep `json:"step"`
	// Over is true while the node is not slow, for all that was seen since this step
	// of the record began.
	Over bool `json:"over,omitempty"`
	// Left is true from the node's announcement that it stops until it runs again.
	Left bool `json:"left,omitempty"`
	// Asked is how old the incident was when a person was asked last.
	Asked time.Duration `json:"asked,omitempty"`
	// Gone is the wall time at which the node was seen to be gone after all; the
	// incident is about that from then on.
	Gone time.Time `json:"gone,omitzero"`
}

// SlowStep is where the answer to a slow node stands.
type SlowStep uint8

// The steps. Lowering to Avoided happen in phase Draining, the others in phase
// Verifying.
const (
	Lowering     SlowStep = iota // its lower weight is written
	Lowered                      // and stands at the proxies
	SlowDraining                 // no weight is written
	SlowDrained                  // and stands at the proxies
	Avoiding                     // its Severity is to be raised
	Avoided                      // and is
	LettingIn                    // its Severity is to be zero again, seen by all peers
	SlowRamping                  // first weight in the pools
	SlowFull                     // full weight
)

var slowWords = cluster.Words{"lowering", "lowered", "draining", "drained", "avoiding", "avoided", "letting_in", "ramping", "ramping_full"}

// SlowSteps lists every wire word, in order.
func SlowSteps() []string { return append([]string(nil), slowWords...) }

// String is the wire word.
func (s SlowStep) String() string { return slowWords.Word(uint8(s)) }

// MarshalText spells the step.
func (s SlowStep) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a wire word.
func (s *SlowStep) UnmarshalText(text []byte) error {
	v, err := slowWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("slow step: %w", err)
	}
	*s = SlowStep(v)
	return nil
}

// slowWeight is the weight of a node that is slow, in percent: enough to see
// whether fewer clients are what it needs.
const slowWeight = 30

var lowerWeight = loadbalancer.Wish{Want: loadbalancer.Ready, Weight: slowWeight}

// saysMin is how many observers must find a node slow before anything is done.
const saysMin = 2

// slowNow tells whether a node is slow by the judge's word; calm whether it is
// known not to be. What is neither is not known.
func slowNow(v membership.Verdict) bool {
	return answers(v) && v.Cause == membership.Slow && len(v.Slow.Says) >= saysMin
}

func calm(v membership.Verdict) bool {
	return answers(v) && v.Cause != membership.Slow && v.Cause != membership.Planned
}

// WorthSlow is the verdict that opens an incident about a node of a datacenter
// that is slow: of one alone, where nothing else is out.
func WorthSlow(w World, dc cluster.Datacenter) (membership.Verdict, bool) {
	slow := w.slowNodes(dc)
	_, paused := w.Holds.Paused(dc, w.Wall)
	if len(slow) != 1 || paused || w.slowMode(dc) != "" || w.slowFault(slow[0], dc) != nil {
		return membership.Verdict{}, false
	}
	v := w.verdict(slow[0])
	if v.Since = v.Slow.Since; v.Since == 0 {
		v.Since = v.At.Add(-v.Slow.For)
	}
	return v, true
}

// slowNodes lists the nodes of a datacenter that are slow now, by name.
func (w *World) slowNodes(dc cluster.Datacenter) []cluster.Name {
	return slices.DeleteFunc(w.nodes(), func(n cluster.Name) bool {
		return w.Topology.Nodes[n].Datacenter != dc || !slowNow(w.verdict(n))
	})
}

// slowMode says why slow nodes of a datacenter are only told of; empty: they are
// answered.
func (w *World) slowMode(dc cluster.Datacenter) string {
	switch {
	case w.Policy == nil:
		return "no policy stands"
	case w.mode(dc) == Observe:
		return "mode observe only looks"
	case !w.Policy.slow().Act:
		return "slow.act is false"
	}
	return ""
}

// slowFault is what keeps the answer to a slow node from beginning, or from going
// further: one node of a datacenter at a time, and none beside another that is out.
func (w *World) slowFault(n cluster.Name, dc cluster.Datacenter) *fault {
	slow := w.slowNodes(dc)
	others := slices.DeleteFunc(slices.Clone(slow), func(o cluster.Name) bool { return o == n })
	out := w.outBeside(n, dc)
	switch {
	case w.Storm != "":
		return &fault{RuleStorm, w.Storm, false}
	case len(others) > 0:
		return &fault{RuleBudget, fmt.Sprintf("%d nodes of %s are slow (%s): look at what they share", len(slow), dc, names(slow)), false}
	case len(out) > 0:
		return &fault{RuleBudget, fmt.Sprintf("%s out already in %s: nobody else is taken out because it is slow", names(out), dc), false}
	}
	return nil
}

// outBeside lists the other nodes of a datacenter that are out, whoever took them.
func (w *World) outBeside(n cluster.Name, dc cluster.Datacenter) (out []cluster.Name) {
	for _, r := range w.Open {
		if r.Datacenter == dc && r.Node != n {
			out = append(out, r.Node)
		}
	}
	for _, h := range w.Ledger.Holders {
		if h.Node != n && !slices.Contains(out, h.Node) {
			out = append(out, h.Node)
		}
	}
	slices.Sort(out)
	return out
}

// OfSlowness tells whether an open incident is about nothing but a node's
// slowness: the node runs, serves, and lacks no write.
func (r Record) OfSlowness() bool {
	return r.Cause == membership.Slow && r.Slow != nil && r.Return == nil && r.Phase != Closed
}

// beganSlow opens the story of a slow node.
func (t *turn) beganSlow(v membership.Verdict) {
	t.r.Slow = &Slowed{}
	t.r.Outage = Outage{} // it took every write
	t.say(Judged, "judged_slow", "node", string(t.r.Node), "evidence", slowEvidence(v.Slow))
	t.cite(v)
}

// slowEvidence says how slow a node is, and by whose word.
func slowEvidence(s membership.Slowness) string {
	words := fmt.Sprintf("answers in %s, its peers in %s, for %s by %d of %d observers that compare (%s)",
		s.Typical, s.Peers, seconds(s.For), len(s.Says), s.Of, names(s.Says))
	if len(s.Inside) > 0 {
		words += "; inside: " + strings.Join(s.Inside, "; ")
	}
	return words
}

// slow moves an incident about a slow node by at most one step.
func (t *turn) slow() {
	v := t.w.verdict(t.r.Node)
	if t.notOnlySlow(v) || t.trackOver(v) {
		return
	}
	switch t.r.Phase {
	case Suspected:
		t.slowSuspected(v)
	case Draining:
		t.slowDraining(v)
	case Verifying:
		t.slowVerifying(v)
	case Held:
		t.slowHeld()
	case PhaseUnknown, Fencing, Deciding, Returning, Replacing, Closed:
	}
}

// notOnlySlow tells whether more befell the node than that it is slow, and has the
// incident be about that from now on.
func (t *turn) notOnlySlow(v membership.Verdict) bool {
	lapsed := t.w.Agents[t.r.Node].Unrepaired || t.w.Lapsed[t.r.Node]
	switch {
	case v.Cause == membership.Planned:
		t.r.Slow.Left, t.changed = true, t.changed || !t.r.Slow.Left
		return false
	case Worth(v) || diskFailed(v):
		t.say(Saw, "slow_gone", "node", string(t.r.Node), "cause", v.Cause.String())
		t.cite(v)
		t.nowAbout(v.Cause)
		return true
	case lapsed || t.restarted() && !t.cameAsAnnounced(v):
		t.nowAbout(membership.ProcessDown)
		t.slowInPlace()
		return true
	}
	if same, known := t.sameProcess(t.r.Process); t.r.Slow.Left && known && same {
		t.r.Slow.Left, t.changed = false, true // it stayed after all
	}
	return false
}

// slowInPlace repairs a node that runs and may lack writes like any other that was
// started past us; of a held incident as soon as that is let go.
func (t *turn) slowInPlace() {
	if t.r.Phase != Held {
		t.wantPools(loadbalancer.Wish{Want: loadbalancer.Drain})
		t.inPlace()
		return
	}
	t.r.Return = &Return{Step: Preflight, InPlace: true}
	if t.r.HeldRule != RuleOperator {
		t.r.HeldFrom = Draining
	}
}

// cameAsAnnounced takes the process of a node that said that it stops, and runs
// again, for the one that the incident is about: like any other announced stop it
// costs nothing. That it is as slow as before has to be seen anew.
func (t *turn) cameAsAnnounced(v membership.Verdict) bool {
	known := t.r.Process != ""
	if known && !t.r.Slow.Left {
		return false
	}
	t.r.Process, t.r.Latest = v.Process, v.Process
	t.r.Slow.Left, t.r.Slow.Over = false, false
	if known {
		t.nextStep()
		t.say(Saw, "slow_restarted", "node", string(t.r.Node), "process", string(v.Process))
	}
	t.changed = true
	return true
}

// nowAbout makes the incident one about a node that went, as if it had begun now.
// What stands because it was slow stands until that is decided upon.
func (t *turn) nowAbout(cause membership.Cause) {
	v := t.w.verdict(t.r.Node)
	t.r.Cause = cause
	t.r.Slow.Gone, t.r.Slow.Over = t.w.Wall.UTC(), false
	t.r.Outage = outage(t.r, v, t.w)
	t.r.Outage.Unseen = false // it was alive when it was found slow, so the outage did not begin before that
	t.changed = true
}

// takenOver has an incident that was only about slowness go on as one about a node
// of which more is unknown: a person fenced it, or the store forgot what befell it.
func (t *turn) takenOver() {
	if t.r.OfSlowness() {
		t.nowAbout(membership.NoCause)
	}
}

// failed is when the node went: later than the incident began, of one that was
// only slow at first.
func (r Record) failed() time.Time {
	if r.Slow != nil && !r.Slow.Gone.IsZero() {
		return r.Slow.Gone
	}
	return r.Began
}

// trackOver notes when the node stops being slow, or is slow again, or nobody
// knows: only a stretch without a doubt counts.
func (t *turn) trackOver(v membership.Verdict) bool {
	over := calm(v) && !t.r.Slow.Left
	if over == t.r.Slow.Over {
		return false
	}
	ack, policy := t.r.Ack, t.r.Policy
	t.r.Slow.Over = over
	t.nextStep()
	if t.r.Phase == Held {
		t.r.Ack, t.r.Policy = ack, policy
	}
	return true
}

// slowSuspected begins with the answer, or leaves the node as it is.
func (t *turn) slowSuspected(v membership.Verdict) {
	why := t.w.slowMode(t.r.Datacenter)
	if f := t.w.slowFault(t.r.Node, t.r.Datacenter); why == "" && f != nil {
		why = f.reason
	}
	switch {
	case t.r.Slow.Over:
		t.close("closed_slow_untouched")
	case why != "":
		t.close("closed_slow_left", "reason", why)
	case !slowNow(v):
		t.wait(RuleEvidence, "waits_slow", "node", string(t.r.Node))
	default:
		t.enter(Draining)
		t.countSlow()
		t.lower()
	}
}

// countSlow notes in the ledger that the node is slow: one that comes and goes is
// out of its pools until it is quiet, as one that is silent again and again.
func (t *turn) countSlow() {
	t.ledger = t.ledger.silent(t.r.Node, t.w.Wall, t.w.Policy.Budgets.StartsWindow)
}

// lower gives the node fewer clients.
func (t *turn) lower() {
	t.r.Slow.Step = Lowering
	if len(t.w.Policy.PoolsOf(t.r.Node)) == 0 {
		t.say(Decided, "decided_no_pool", "node", string(t.r.Node))
		return
	}
	t.say(Decided, "decided_lower", "node", string(t.r.Node), "weight", count(slowWeight))
	t.wantPools(lowerWeight)
}

// slowTo moves to a step of the answer.
func (t *turn) slowTo(s SlowStep) {
	t.r.Slow.Step = s
	t.nextStep()
}

// slowDraining takes the next step while the node is slow, and gives it back when
// it has not been for long enough.
func (t *turn) slowDraining(v membership.Verdict) {
	bars := t.w.Policy.slow()
	switch {
	case t.quorumNeeds(), t.slowIsOver():
	case t.r.Slow.Over:
		t.wait(RuleMinAge, "waits_slow_over", "node", string(t.r.Node), "age", seconds(bars.OverAfter))
	case !slowNow(v):
		t.wait(RuleEvidence, "waits_slow", "node", string(t.r.Node))
	case t.w.Elapsed-t.r.Slow.Asked >= bars.AskAfter:
		t.r.Slow.Asked = t.w.Elapsed
		t.hold(RuleMinAge, fmt.Sprintf("it %s; %s; why is it slow? mend it, or restart it; it goes back by itself when it has not been slow for %s",
			slowEvidence(v.Slow), t.r.Slow.Step.done(), seconds(bars.OverAfter)))
	default:
		t.slowFurther(bars)
	}
}

// done says what a step has done to a slow node.
func (s SlowStep) done() string {
	switch s {
	case SlowDrained, Avoiding:
		return "it is out of its pools"
	case Avoided:
		return "it is out of its pools, and readers avoid it"
	case Lowering, Lowered, SlowDraining, LettingIn, SlowRamping, SlowFull:
	}
	return fmt.Sprintf("it has at most %d %% of its weight", slowWeight)
}

// slowFurther is the ladder of the answer: fewer clients, none, fewer readers.
func (t *turn) slowFurther(bars SlowBars) {
	switch t.r.Slow.Step {
	case Lowering:
		t.slowStands(lowerWeight, Lowered, "proved_lower")
	case Lowered:
		t.slowDrain(bars.DrainAfter)
	case SlowDraining:
		t.slowStands(loadbalancer.Wish{Want: loadbalancer.Drain}, SlowDrained, "proved_drain")
	case SlowDrained:
		t.slowAvoid(bars.SeverityAfter)
	case Avoiding:
		if own, known := t.w.own(t.r.Node); !known || !own.Applied {
			t.wait(RuleReach, "waits_own", "node", string(t.r.Node))
			return
		}
		t.slowTo(Avoided)
		t.say(Proved, "proved_avoid", "node", string(t.r.Node))
	case Avoided:
	case LettingIn, SlowRamping, SlowFull: // of phase Verifying
		t.slowTo(Lowered)
	}
}

// slowStands waits until the proxies have the node as wanted. One that answers
// nobody is left behind after a while.
func (t *turn) slowStands(wish loadbalancer.Wish, next SlowStep, code string) {
	t.wantPoolsStill(wish)
	stand, rest, left := t.poolsGive()
	if !stand || !t.wanted(wish) {
		t.wait(RuleVerify, "waits_pools", "pools", fmt.Sprint(rest))
		return
	}
	t.slowTo(next)
	t.leave(left)
	if next == SlowDrained {
		t.mark(StageDrained)
	}
	if len(t.w.Policy.PoolsOf(t.r.Node)) > 0 {
		t.say(Proved, code, "node", string(t.r.Node), "pools", t.poolNames(), "weight", count(slowWeight))
	}
}

// slowDrain takes a node out of its pools that is slow at its lower weight too.
func (t *turn) slowDrain(after time.Duration) {
	switch f := first(func() *fault { return t.w.slowFault(t.r.Node, t.r.Datacenter) }, t.slowFloorFault); {
	case t.w.InStep < after:
		t.wait(RuleMinAge, "waits_slow_drain", "age", seconds(after))
	case f != nil:
		t.wait(f.rule, "waits_slow_further", "reason", f.reason)
	default:
		t.slowTo(SlowDraining)
		t.say(Decided, "decided_drain", "node", string(t.r.Node), "margin", t.marginWords())
		t.wantPools(loadbalancer.Wish{Want: loadbalancer.Drain})
	}
}

// slowFloorFault wants every pool to spare the node: one that only some of them
// let go is not drained.
func (t *turn) slowFloorFault() *fault {
	if f := t.floorRefusal(); f != nil {
		return &fault{f.Rule, f.Reason, false}
	}
	return nil
}

// slowAvoid has coordinators choose other replicas than a node that is slow
// without clients too.
func (t *turn) slowAvoid(after time.Duration) {
	switch f := t.avoidFault(); {
	case t.w.InStep < after:
		t.wait(RuleMinAge, "waits_slow_avoid", "age", seconds(after))
	case f != nil:
		t.wait(f.rule, "waits_slow_further", "reason", f.reason)
	default:
		t.slowTo(Avoiding)
		t.say(Decided, "decided_avoid", "node", string(t.r.Node), "margin", t.marginWords())
		t.fence(isolate.Reads, isolate.Normal)
	}
}

// avoidFault holds the fence of a slow node against what holds for every fence of
// a node that serves. Where Severity has no effect it would only look as if.
func (t *turn) avoidFault() *fault {
	return first(func() *fault { return t.w.slowFault(t.r.Node, t.r.Datacenter) }, t.schemaFault, t.snitchFault, t.untoldFault,
		t.changeFault, t.residencyFault, t.fenceQuorumFault)
}

// quorumNeeds lets readers choose a slow node again that a range needs by now:
// slow answers are better than none.
func (t *turn) quorumNeeds() bool {
	f, stands := t.w.Fences[t.r.Node]
	if !stands || !f.Avoids() {
		return false
	}
	why := t.quorumFault()
	if why == "" {
		return false
	}
	if t.r.Phase == Draining {
		t.slowTo(SlowDrained)
	} else {
		t.nextStep()
	}
	t.say(Decided, "decided_let_in", "node", string(t.r.Node), "reason", why)
	t.under(QuorumSurvives)
	t.fence(0, isolate.Wait)
	return true
}
