// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"strings"

	"supervisor/isolate"
	"supervisor/membership"
)

const (
	// paths is how many words that do not rest on each other prove a fence.
	paths = 2
	// hungLevels are those of the fence of a process that hangs.
	hungLevels = isolate.Clients | isolate.Reads | isolate.Process
	// killsMax bounds the orders of one fence; an end that does not come is a
	// person's business.
	killsMax = 3
)

// wantsFence ends a process that hangs, when it has hung for so long that it is
// no long collection and everything stands ready for its return.
func (t *turn) wantsFence(v membership.Verdict) {
	switch f := t.fenceFault(v); {
	case f == nil && t.w.mode(t.r.Datacenter) == Auto:
		t.beginFence(v)
	case f == nil:
		t.holdAsking(RuleFencing, fmt.Sprintf("mode %s asks before a fence: approve the plan to end process %s, or end it by hand", t.w.mode(t.r.Datacenter), v.Process), hungLevels)
	case f.held:
		t.hold(f.rule, f.reason)
	default:
		t.fenceWaits(*f)
	}
}

// fenceWaits says what a fence still waits for.
func (t *turn) fenceWaits(f fault) {
	if f.rule == RuleMinAge {
		t.wait(f.rule, "waits_fence", "age", seconds(t.w.Policy.Ages.Fence))
		return
	}
	t.wait(f.rule, "waits_fence_bar", "reason", f.reason)
}

// missingFault is the evidence that a fence lacks. What is only missing is waited
// for; late, a person is asked, who is told what it is like and what would change it.
func missingFault(missing []string, late bool, like, until string) *fault {
	rule, why, _ := strings.Cut(missing[0], ": ")
	if late {
		why = like + ": " + why + "; it goes on when nothing is missing, " + until
	}
	return &fault{Rule(rule), why, late}
}

// fenceFault holds a fence against all that must be true before a process is
// ended. What is only missing is waited for, as long again as the evidence has
// to be old; then a person is asked.
func (t *turn) fenceFault(v membership.Verdict) *fault {
	age := t.w.Policy.Ages.Fence
	late := t.w.InStep >= 2*age
	met, missing := membership.FenceBar(v, t.w.Policy.Bars(), age, t.w.Now)
	switch {
	case !met && t.w.InStep < age:
		return &fault{rule: RuleMinAge}
	case v.Own != membership.Good || v.Process == "":
		return &fault{RuleReach, fmt.Sprintf("nobody on %s can fence it: its agent is silent; restart the agent, or end the process", t.r.Node), late}
	case !met:
		return missingFault(missing, late, "it hangs, and is not fenced", "when it answers, or when its process is gone")
	case t.w.Storm != "":
		return &fault{RuleStorm, t.w.Storm, false}
	}
	return first(t.fenceRateFault, t.preflightFault, t.fenceQuorumFault)
}

// fenceRateFault puts a node that was fenced lately into quarantine: what makes
// it hang was not mended by its return.
func (t *turn) fenceRateFault() *fault {
	b := t.w.Policy.Budgets.told()
	n := within(t.ledger.Fences[t.r.Node], t.w.Wall, b.FencesWindow)
	if n < b.FencesMax {
		return nil
	}
	what, mend := "it hangs", "mend what makes it hang, then end its process"
	if t.r.Cause != membership.Hung {
		what, mend = "its host is silent", "mend its host or its network, then end its process"
	}
	return &fault{RuleQuarantine, fmt.Sprintf("%s again, fenced %d times within %s: quarantine, out of its pools; %s", what, n, b.FencesWindow, mend), true}
}

// fenceQuorumFault: a node that may serve is not kept from it while a range
// needs it.
func (t *turn) fenceQuorumFault() *fault {
	if why := t.quorumFault(); why != "" {
		return &fault{QuorumSurvives, why, false}
	}
	return nil
}

// beginFence writes what is wanted and who ends the process, in one decision:
// the gate lets none start, and a process that wakes up meanwhile is kept from
// clients and readers.
func (t *turn) beginFence(v membership.Verdict) {
	t.r.Fenced = &Fenced{Process: v.Process}
	t.ledger = t.ledger.fenced(t.r.Node, t.w.Wall, t.w.Policy.Budgets.told().FencesWindow)
	t.enter(Fencing)
	t.say(Decided, "decided_fence", "node", string(t.r.Node), "process", string(v.Process), "age", seconds(t.w.Now.Sub(v.Since)))
	t.cite(v)
	t.fence(hungLevels, isolate.Refuse)
	t.orderEnd()
}

// orderEnd orders the end of the process that hangs, and of no other.
func (t *turn) orderEnd() {
	t.ledger = t.ledger.with(t.r, HoldsFence)
	t.r.Fenced.Tries++
	t.order(Once{Verb: VerbKill, Process: t.r.Fenced.Process, Silent: true}, shortMax)
}

// fencing waits until two paths say that the process has ended. One that
// answers is left alone, whatever was ordered: it is shut out by now, perhaps,
// and is repaired where it is.
func (t *turn) fencing() {
	v := t.w.verdict(t.r.Node)
	switch {
	case t.r.cutOff():
		t.behindCut(v)
	case diskFailed(v):
		t.wantsReplacement()
	case t.ended(v) && len(membership.RefusedTo(v)) > 0:
		t.fenceProven(v)
	case t.wokeUp(v):
		t.r.Pending = nil
		t.waitAside()
		t.say(Saw, "saw_awake", "node", string(t.r.Node))
		t.inPlace()
	case len(t.r.Pending) == 0:
		t.fenceGoesOn(v)
	}
}

// ended tells whether the own agent says that nothing runs there any more. Which
// process it was the agent may not know by now: it was started after its end.
func (t *turn) ended(v membership.Verdict) bool { return v.Own == membership.Exited }

// wokeUp tells whether somebody has an answer of the node, or another process
// runs there: who started it went past its gate.
func (t *turn) wokeUp(v membership.Verdict) bool {
	same, known := t.sameProcess(t.r.Fenced.Process)
	return answers(v) || len(membership.Answering(v)) > 0 || known && !same
}

// fenceProven notes the words of both paths. The end of the process is ours
// and counts as none of its own.
func (t *turn) fenceProven(v membership.Verdict) {
	token := t.w.Fences[t.r.Node].Token
	refused := names(membership.RefusedTo(v))
	t.r.Fenced.Proof = []string{
		fmt.Sprintf("its own agent saw it end, behind fence %s", token),
		fmt.Sprintf("%s refused on both ports, behind fence %s", refused, token),
	}
	t.r.Pending = nil
	if t.r.Latest == t.r.Fenced.Process {
		t.r.Latest = ""
	}
	t.enter(Deciding)
	t.mark(StageFenced)
	t.say(Proved, "proved_fence", "process", string(t.r.Fenced.Process), "node", string(t.r.Node), "proof", strings.Join(t.r.Fenced.Proof, "; "))
	t.cite(v)
}

// fenceGoesOn waits for a word that is missing, or orders the end again. All of
// it is bounded: no answer comes from what hangs.
func (t *turn) fenceGoesOn(v membership.Verdict) {
	met, _ := membership.FenceBar(v, t.w.Policy.Bars(), t.w.Policy.Ages.Fence, t.w.Now)
	late := t.w.InStep > sightMax
	switch {
	case t.ended(v) && late:
		t.hold(RuleVerify, fmt.Sprintf("its own agent says that %s ended, and no neighbour is refused on both of its ports: look what listens there", t.r.Fenced.Process))
	case t.ended(v):
		t.wait(RuleVerify, "waits_proof", "process", string(t.r.Fenced.Process))
	case v.Own != membership.Good && late:
		t.hold(RuleReach, fmt.Sprintf("nobody on %s can say whether its process ended: restart its agent", t.r.Node))
	case v.Own != membership.Good:
		t.wait(RuleReach, "waits_fencer", "node", string(t.r.Node))
	case !met && late:
		t.hold(RuleEvidence, "its process runs, and not enough observers say that it hangs; it goes on when it answers, or has ended")
	case t.w.InStep < retryAfter:
		t.wait(RuleVerify, "waits_proof", "process", string(t.r.Fenced.Process))
	case !met:
		t.wait(RuleEvidence, "waits_evidence", "for", count(v.For), "heard", count(v.Heard), "of", count(v.Of))
	case t.budgetFault() != nil:
		t.wait(RuleBudget, "waits_fence_bar", "reason", t.budgetFault().reason)
	case t.w.Storm != "":
		t.wait(RuleStorm, "waits_fence_bar", "reason", t.w.Storm)
	case t.r.Fenced.Tries >= killsMax:
		t.hold(RuleFencing, fmt.Sprintf("%s hangs on after %d orders to end it: end it by hand, or the host's power", t.r.Fenced.Process, t.r.Fenced.Tries))
	default:
		t.nextStep()
		t.say(Decided, "decided_fence_again", "process", string(t.r.Fenced.Process), "node", string(t.r.Node), "try", count(t.r.Fenced.Tries+1))
		t.orderEnd()
	}
}

// killEnded folds in what became of an order to end the process. Done is the
// executor's claim; the proof is looked for.
func (t *turn) killEnded(e Effect, ev Finished) {
	if e.Once.Verb.power() {
		t.powerEnded(e, ev)
		return
	}
	switch ev.Outcome {
	case Done:
		t.nextStep() // its end may take a moment to be seen
		t.say(Did, "did_kill", "node", string(t.r.Node))
	case Failed, TurnedAway:
		kind := Saw
		if ev.Outcome == TurnedAway {
			kind = Refused
		}
		t.say(kind, "order_failed", "verb", e.Once.Verb.String(), "agent", string(e.Once.Agent), "detail", ev.Result.Why)
		t.under(ev.Result.Rule)
		t.nextStep() // the next order waits a little
	case NoOutcome, Uncertain:
	}
}

// deciding chooses the way on behind a proven fence. Nothing replaces a node
// yet, so it returns, like one whose process ended by itself.
func (t *turn) deciding() {
	v := t.w.verdict(t.r.Node)
	if t.r.cutOff() {
		t.behindCut(v)
		return
	}
	t.r.Process = t.r.Fenced.Process
	if t.r.Return != nil {
		t.r.Return.Process, t.r.Return.Generation, t.r.Return.InPlace = "", 0, false
	}
	switch {
	case diskFailed(v):
		t.wantsReplacement()
	case t.restarted():
		t.inPlace()
	default:
		t.beginReturn()
	}
}

// fencesAsAsked tells whether a node that is held because it could not be
// fenced can be fenced now: that it hangs, and is no host that went, its own
// agent may be the first to say.
func (t *turn) fencesAsAsked() bool {
	v := t.w.verdict(t.r.Node)
	if t.w.mode(t.r.Datacenter) != Auto || t.r.HeldFrom != Draining || v.Answer != membership.Gone {
		return false
	}
	return v.Cause == membership.Hung && t.fenceFault(v) == nil || outOfReach(v) && t.cutFault(v, t.cutOrOff()) == nil
}

// heldFenced lets go of a fence that is held when the word that was missing is
// there, or the process that hung is gone or answers.
func (t *turn) heldFenced(renewed bool) {
	v := t.w.verdict(t.r.Node)
	if t.r.cutOff() {
		t.heldBehindCut(v, renewed)
		return
	}
	heard := t.r.HeldRule == RuleReach && (v.Own == membership.Good || v.Own == membership.Exited)
	proven := t.ended(v) && len(membership.RefusedTo(v)) > 0
	met, _ := membership.FenceBar(v, t.w.Policy.Bars(), t.w.Policy.Ages.Fence, t.w.Now)
	switch {
	case diskFailed(v):
		t.wantsReplacement()
	case renewed:
		t.r.Fenced.Tries = 0
		t.release(t.r.HeldFrom)
	case t.r.HeldFrom == Deciding, heard, proven, t.wokeUp(v), t.r.HeldRule == RuleEvidence && met:
		t.release(t.r.HeldFrom)
	}
}

// countSilence notes in the ledger that the node is drained because it is
// silent.
func (t *turn) countSilence() {
	if silentCause(t.r.Cause) {
		t.ledger = t.ledger.silent(t.r.Node, t.w.Wall, t.w.Policy.Budgets.StartsWindow)
	}
}

// silenceFault keeps a node out of its pools that comes and goes: each way back
// would cost its clients the next silence.
func (t *turn) silenceFault() *fault {
	b := t.w.Policy.Budgets.told()
	n := within(t.ledger.Silences[t.r.Node], t.w.Wall, b.StartsWindow)
	if n <= b.SilencesMax {
		return nil
	}
	return &fault{RuleQuarantine, fmt.Sprintf("it was silent %d times in %s: quarantine, out of its pools until it is quiet; look for long collections, or its network", n, b.StartsWindow), true}
}

// quarantined tells whether a node that is held because it comes and goes has
// still to be quiet for a while. That it is gone by now leads on.
func (t *turn) quarantined() bool {
	back := t.r.HeldFrom == Verifying && (t.r.Return == nil || t.r.Return.Step >= Ramping)
	return t.r.HeldRule == RuleQuarantine && back && t.silenceFault() != nil && !t.goneNow(t.w.verdict(t.r.Node))
}
