// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"cmp"
	"fmt"
	"strings"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/membership"
)

// cutLevels are those of the fence of a host that nobody reaches. Its peers keep
// the ring from it; the rest is for its own agent and its gate, should it wake up.
const cutLevels = isolate.Clients | isolate.Reads | isolate.Process | isolate.Ring

// cutOff tells whether its peers are to keep the node's host out of the ring.
func (r Record) cutOff() bool { return r.Fenced != nil && r.Fenced.Cut }

// outOfReach tells whether a node may act and nobody can end it: nobody reaches its
// host, or its kernel takes connections and neither Cassandra nor agent answers.
func outOfReach(v membership.Verdict) bool {
	switch v.Cause {
	case membership.HostGone, membership.Isolated:
		return true
	case membership.Hung:
		return v.Own != membership.Good && v.Own != membership.Exited
	}
	return false
}

// wantsCut has the peers of a host that nobody reaches cut it off from the ring,
// when the evidence is as old as a fence needs it: what stands still may go on at
// any moment, and believes then that it serves. Where they cannot, its power is
// turned off by the site's hook, and without one a person is asked.
func (t *turn) wantsCut(v membership.Verdict) {
	levels := t.cutOrOff()
	switch f := t.cutFault(v, levels); {
	case f == nil && t.w.mode(t.r.Datacenter) == Auto:
		t.beginCut(v, levels)
	case f == nil && levels.Has(isolate.Power):
		t.holdAsking(RuleFencing, fmt.Sprintf("%s; mode %s asks before it turns a host off: approve the plan, or bring the host of %s back",
			t.unguarded(), t.w.mode(t.r.Datacenter), t.r.Node), levels)
	case f == nil:
		t.holdAsking(RuleFencing, fmt.Sprintf("mode %s asks before a fence: approve the plan to have its peers cut %s off from the ring, or bring its host back",
			t.w.mode(t.r.Datacenter), t.r.Node), levels)
	case f.held:
		t.holdAsking(f.rule, f.reason, byHand)
	default:
		t.fenceWaits(*f)
	}
}

// cutFault holds a cut against all that must be true before it. What is only
// missing is waited for, as long again as the evidence has to be old.
func (t *turn) cutFault(v membership.Verdict, levels isolate.Levels) *fault {
	age := t.w.Policy.Ages.Fence
	late := t.w.InStep >= 2*age
	met, missing := membership.FenceBar(v, t.w.Policy.Bars(), age, t.w.Now)
	guard := t.guardFault()
	switch {
	case !met && t.w.InStep < age:
		return &fault{rule: RuleMinAge}
	case guard != nil && !levels.Has(isolate.Power):
		return guard
	case !met:
		return missingFault(missing, late, "nobody reaches its host, and it is not cut off", "when the node answers, or when its process is gone")
	case t.w.Storm != "":
		return &fault{RuleStorm, t.w.Storm, false}
	}
	return first(t.fenceRateFault, t.schemaFault, t.fenceQuorumFault)
}

// guardFault wants a guard of ports on every host that may speak to the node, now
// or when its own Cassandra is back. One that was away with its agent is asked by
// its gate when it comes.
func (t *turn) guardFault() *fault {
	why := t.unguarded()
	if why == "" {
		return nil
	}
	return &fault{RuleFencing, why + "; it goes on when the node answers or its process is gone" + t.orPower(), true}
}

// unguarded names who could not cut the node off; empty: everybody can.
func (t *turn) unguarded() string {
	without := t.w.members(t.r.Node, func(m cluster.Name) bool {
		a, there := t.w.agent(m)
		return !a.Cuts && (there || t.w.mayRead(m))
	})
	if len(without) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: its peers would have to cut it off from the ring, and no guard of ports answers on %s%s", cluster.Title(t.r.Cause.String()), names(without), t.w.silentRegions(without))
}

// beginCut writes what every peer is to do, and what keeps the node from clients
// and readers when it wakes up; with level power, who turns its host off as well.
func (t *turn) beginCut(v membership.Verdict, levels isolate.Levels) {
	t.r.Fenced = &Fenced{Process: t.r.Process, Cut: true}
	t.ledger = t.ledger.fenced(t.r.Node, t.w.Wall, t.w.Policy.Budgets.told().FencesWindow).with(t.r, HoldsFence)
	if levels.Has(isolate.Power) {
		t.beginPower(v, t.unguarded())
		return
	}
	t.enter(Fencing)
	t.raiseCut(v)
	t.cite(v)
}

// raiseCut writes the fence of a host that is to be cut off.
func (t *turn) raiseCut(v membership.Verdict) {
	t.say(Decided, "decided_cut", "node", string(t.r.Node), "peers", names(t.w.livePeers(t.r.Node)), "age", seconds(t.w.Now.Sub(v.Since)))
	t.fence(cutLevels, isolate.Refuse)
}

// behindCut waits until the host is heard again, and has its process ended then:
// it believes what was true before, and its peers may have gone on without it for
// longer than hints are kept. It is let in again when nothing runs there.
func (t *turn) behindCut(v membership.Verdict) {
	_, told := t.w.own(t.r.Node)
	nothing := t.ended(v) && len(membership.Answering(v)) == 0
	t.heardAgain(v)
	switch {
	case !t.w.Fences[t.r.Node].Levels.Has(isolate.Ring):
		t.cutAnew(v)
	case diskFailed(v):
		t.wantsReplacement()
	case nothing && told:
		t.letIn(v)
	case nothing: // its gate may know of no fence yet, and start something
		t.wait(RuleReach, "waits_own", "node", string(t.r.Node))
	case v.Own == membership.Good && v.Process != "":
		t.endBehindCut(v)
	case t.r.Phase == Fencing && t.r.Fenced.Power.Wanted:
		t.awaitPower(v)
	case t.r.Phase == Fencing:
		t.awaitCut(v)
	case t.w.InStep < exitBelieved:
		t.wait(RuleReach, "waits_fencer", "node", string(t.r.Node)) // a word about it may be on its way
	case t.r.Fenced.Power.Off != "":
		t.hold(RuleReach, fmt.Sprintf("its host was turned off: when it is mended turn the host of %s on again; its gate lets nothing start, and it returns by itself", t.r.Node))
	default:
		t.hold(RuleReach, fmt.Sprintf("its host is cut off from the ring, and nobody is heard there: bring the host of %s back; the agent ends what runs there, and it returns by itself", t.r.Node))
	}
}

// staysCut tells whether a host that an earlier era had cut off is still one that
// nobody reaches. One that answers by now was let in meanwhile, perhaps, and serves;
// it is repaired where it is, like any other of that era.
func (t *turn) staysCut() bool {
	if !t.r.cutOff() {
		return false
	}
	v := t.w.verdict(t.r.Node)
	if v.Answer == membership.Gone && outOfReach(v) {
		return true
	}
	t.r.Fenced.Cut, t.r.Fenced.Let = false, true
	t.changed = true
	return false
}

// cutAnew raises the cut that a recovered store did not know, if it still has to be.
func (t *turn) cutAnew(v membership.Verdict) {
	switch {
	case !t.staysCut():
		t.inPlace()
	case t.quorumAllows():
		t.r.Fenced.Power = PowerOff{} // what a hook said is of an earlier era
		t.nextStep()
		t.raiseCut(v)
	}
}

// awaitCut waits for the word of every peer, and for nobody to have an answer.
func (t *turn) awaitCut(v membership.Verdict) {
	silent, cut, rest := t.cutStands(v)
	switch late := t.w.InStep > sightMax; {
	case silent && cut:
		t.cutProven(v)
	case t.schemaFault() != nil:
		t.preflightWaits(*t.schemaFault())
	case !silent && late && v.Answer != membership.Alive && len(membership.Answering(v)) == 0:
		t.hold(RuleEvidence, fmt.Sprintf("not enough observers say any more that %s is gone; it goes on when they do, or when its agent is heard", t.r.Node))
	case !silent && late:
		t.hold(RuleReach, fmt.Sprintf("%s answers clients, cut off from the ring, and nobody on its host can end it: restart its agent", t.r.Node))
	case !silent:
		t.wait(RuleReach, "waits_fencer", "node", string(t.r.Node))
	case late:
		t.notCut(v, rest)
	default:
		t.wait(RuleVerify, "waits_cut", "peers", names(rest), "node", string(t.r.Node))
	}
}

// cutStands tells whether nobody has an answer of the host, and names the peers
// that have not said that they keep it out. Where its host is to be turned off a
// peer may have no guard, and while it is away itself nobody could ask it.
func (t *turn) cutStands(v membership.Verdict) (silent, cut bool, rest []cluster.Name) {
	cut, rest = isolate.AllCut(t.sights(), t.w.keepers(t.r.Node), t.w.Fences[t.r.Node].Token)
	if cut && t.r.Fenced.Power.Wanted {
		cut = len(t.w.members(t.r.Node, func(m cluster.Name) bool { a, _ := t.w.agent(m); return !a.Cuts })) == 0
	}
	return v.Answer == membership.Gone && len(membership.Answering(v)) == 0, cut, rest
}

// uncut is what the first peer that has not cut the node off says of it.
func (t *turn) uncut(rest []cluster.Name) string {
	for _, p := range rest {
		if why := t.sights()[p].Uncut; why != "" {
			return fmt.Sprintf("%s says %q", p, why)
		}
	}
	return "no word; look at their agents, and supervisor port-guard show there"
}

// cutProven notes the words of both paths: the peers' own, and the silence.
func (t *turn) cutProven(v membership.Verdict) {
	token := t.w.Fences[t.r.Node].Token
	t.r.Fenced.Proof = []string{
		fmt.Sprintf("%s drop what it says on the storage port, behind fence %s", names(t.w.keepers(t.r.Node)), token),
		fmt.Sprintf("nobody has an answer of its host, behind fence %s", token),
	}
	t.enter(Deciding)
	t.mark(StageFenced)
	t.say(Proved, "proved_cut", "node", string(t.r.Node), "proof", strings.Join(t.r.Fenced.Proof, "; "))
	t.cite(v)
}

// endBehindCut orders the end of what runs on a host that is heard again. The
// own agent has read the fence by then, so no client is lost with it.
func (t *turn) endBehindCut(v membership.Verdict) {
	_, told := t.w.own(t.r.Node)
	switch {
	case len(t.r.Pending) > 0:
	case !told:
		t.wait(RuleReach, "waits_own", "node", string(t.r.Node))
	case t.r.Fenced.Tries >= killsMax:
		t.hold(RuleFencing, fmt.Sprintf("%s goes on after %d orders to end it: end it by hand, or the host's power", v.Process, t.r.Fenced.Tries))
	case t.r.Fenced.Tries > 0 && t.w.InStep < retryAfter:
		t.wait(RuleVerify, "waits_end", "process", string(v.Process))
	case t.budgetFault() != nil:
		t.wait(RuleBudget, "waits_fence_bar", "reason", t.budgetFault().reason)
	default:
		t.ledger = t.ledger.with(t.r, HoldsFence)
		t.r.Fenced.Process = v.Process
		t.r.Fenced.Tries++
		t.nextStep()
		t.say(Decided, "decided_end_cut", "node", string(t.r.Node), "process", string(v.Process), "try", count(t.r.Fenced.Tries))
		t.order(Once{Verb: VerbKill, Process: v.Process}, shortMax)
	}
}

// letIn lifts the cut of a host on which nothing runs, and returns its node. The
// gate has it hibernate from now on, however it is started; it is started by us
// when every peer has said that it lets it in.
func (t *turn) letIn(v membership.Verdict) {
	ours := t.r.Fenced.Tries > 0
	t.r.Fenced.Cut, t.r.Fenced.Let = false, true
	t.r.Pending = nil
	t.r.Process = t.r.Fenced.Process
	if ours && t.r.Latest == t.r.Fenced.Process {
		t.r.Latest = "" // its end is ours
	}
	t.say(Proved, "proved_ended", "node", string(t.r.Node), "process", cmp.Or(string(t.r.Fenced.Process), "an unknown process"))
	t.cite(v)
	t.fence(isolate.Clients|isolate.Reads, isolate.Hibernate)
	if t.r.Return == nil {
		t.r.Return = &Return{}
	}
	t.r.Return.Process, t.r.Return.Generation, t.r.Return.InPlace = "", 0, false
	t.r.Return.Step, t.r.Return.Job = Preflight, nil
	t.enter(Returning) // who is held from here on is held in its return
	t.beginReturn()
}

// letInFault keeps a node that was cut off from starting before all its peers let
// it in: it would find no seed, or only some.
func (t *turn) letInFault() *fault {
	if t.r.Fenced == nil || !t.r.Fenced.Let {
		return nil
	}
	rest := isolate.StillCut(t.sights(), t.w.livePeers(t.r.Node), t.w.Fences[t.r.Node].Token)
	if len(rest) == 0 {
		return nil
	}
	return &fault{RuleVerify, fmt.Sprintf("no word from %s yet that it is let into the ring again", names(rest)), t.w.InStep > sightMax}
}

// heldBehindCut lets go of a cut that is held when the host is heard again, or
// the word that was missing is there.
func (t *turn) heldBehindCut(v membership.Verdict, renewed bool) {
	heard := v.Own == membership.Exited || v.Own == membership.Good && t.r.Fenced.Tries < killsMax
	silent, cut, _ := t.cutStands(v)
	p := t.r.Fenced.Power
	proven := silent && (cut || p.Off != "")
	// Somebody can turn it off by now, and nobody need be asked.
	turnsOff := silent && (p.Wanted || t.w.mode(t.r.Datacenter) == Auto) && p.Tries < offsMax && t.powerAgent("") != "" && t.powerFault(v) == nil
	switch {
	case diskFailed(v):
		t.wantsReplacement()
	case renewed:
		t.r.Fenced.Tries, t.r.Fenced.Power.Tries, t.r.Fenced.Power.Why = 0, 0, ""
		t.release(t.r.HeldFrom)
	case heard, t.r.HeldFrom == Fencing && (proven || turnsOff):
		t.release(t.r.HeldFrom)
	}
}

// mayCut holds a cut that a person has approved against all that holds where
// nobody is asked.
func (t *turn) mayCut(levels isolate.Levels) *Refusal {
	v := t.w.verdict(t.r.Node)
	if v.Answer != membership.Gone || !outOfReach(v) {
		return refuse(RuleEvidence, "%s is %s by now, and its host is reached", t.r.Node, v.Answer)
	}
	if f := t.cutFault(v, levels); f != nil {
		return refuse(f.rule, "cutting %s off: %s", t.r.Node, cmp.Or(f.reason, "the evidence is not as old yet as a fence needs it"))
	}
	return nil
}
