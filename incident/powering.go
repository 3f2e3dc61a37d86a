// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/membership"
)

const (
	// offLevels are those of the fence of a host whose power is turned off. The cut
	// is raised with it: whoever can keep the host out does, should it be turned on.
	offLevels = cutLevels | isolate.Power
	// offsMax bounds the orders of one fence to turn a host off: one, and two more.
	offsMax = 3
)

// PowerOff is how far the power of a host that nobody reaches has come to be off.
type PowerOff struct {
	Wanted bool         `json:"wanted,omitempty"` // the fence has that level
	Tries  int          `json:"tries,omitempty"`  // orders to turn it off
	By     cluster.Name `json:"by,omitempty"`     // whose hook was asked last
	Why    string       `json:"why,omitempty"`    // why the last of them was not done
	// Off is the control agent whose hook, asked once more when the order was done,
	// said that the power is off. It is one of two paths and proves nothing alone.
	Off cluster.Name `json:"off,omitempty"`
}

// Powers is what a control agent says of the site's hook that turns hosts off: of
// which hosts the hook told whether they are on, and why not of the others.
type Powers struct {
	Can    []cluster.Name          `json:"can,omitempty"`
	Cannot map[cluster.Name]string `json:"cannot,omitempty"`
}

// powerAgents are the control agents that can turn the host of a node off, by
// name. The node's own is none of them: nobody turns himself off.
func (w *World) powerAgents(n cluster.Name) []cluster.Name {
	var list []cluster.Name
	for name, a := range w.Agents { // order: sorted below
		if name != n && a.Control && a.Power != nil && slices.Contains(a.Power.Can, n) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// powerAgent is who can turn the host off, another than the one named if there is
// another; empty: nobody.
func (t *turn) powerAgent(other cluster.Name) cluster.Name {
	list := t.w.powerAgents(t.r.Node)
	for _, n := range list {
		if n != other {
			return n
		}
	}
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// orPower ends the reason of a hold where nobody can turn the host off.
func (t *turn) orPower() string {
	var cannot []string
	for name, a := range t.w.Agents { // order: sorted below
		if a.Power != nil && a.Power.Cannot[t.r.Node] != "" {
			cannot = append(cannot, fmt.Sprintf("%s cannot turn it off: %s", name, a.Power.Cannot[t.r.Node]))
		}
	}
	if len(cannot) == 0 {
		return "; or give a power hook to a control agent"
	}
	return "; " + slices.Min(cannot)
}

// cutOrOff are the levels of the fence of a host that nobody reaches: those of the
// cut, which can be undone, and its power only where the cut cannot be had.
func (t *turn) cutOrOff() isolate.Levels {
	if t.guardFault() != nil && t.powerAgent("") != "" {
		return offLevels
	}
	return cutLevels
}

// powerFault holds the end of a host's power against all that must be true before
// it, also where the cut stands already: the same bar, at this moment.
func (t *turn) powerFault(v membership.Verdict) *fault {
	met, missing := membership.FenceBar(v, t.w.Policy.Bars(), t.w.Policy.Ages.Fence, t.w.Now)
	switch {
	case !outOfReach(v):
		return &fault{RuleEvidence, "its host is reached", false}
	case !met:
		return missingFault(missing, false, "", "")
	case t.w.Storm != "":
		return &fault{RuleStorm, t.w.Storm, false}
	}
	return first(t.schemaFault, t.fenceQuorumFault)
}

// notCut is a cut that a peer does not confirm: the host's power is turned off
// where somebody can, and a person is asked elsewhere. The cut stays raised.
func (t *turn) notCut(v membership.Verdict, rest []cluster.Name) {
	why := fmt.Sprintf("%s is not cut off by %s%s: %s", t.r.Node, names(rest), t.w.silentRegions(rest), t.uncut(rest))
	switch f := t.powerFault(v); {
	case t.powerAgent("") == "":
		t.hold(RuleVerify, why+t.orPower())
	case f != nil:
		t.hold(RuleVerify, fmt.Sprintf("%s; its power is left on: %s", why, f.reason))
	case t.w.mode(t.r.Datacenter) != Auto:
		t.holdAsking(RuleFencing, fmt.Sprintf("%s; mode %s asks before it turns a host off: approve the plan, or bring the host back", why, t.w.mode(t.r.Datacenter)), offLevels)
	default:
		t.beginPower(v, why)
	}
}

// beginPower writes what is wanted and who turns the power off, in one decision.
func (t *turn) beginPower(v membership.Verdict, why string) {
	t.r.Fenced.Power = PowerOff{Wanted: true}
	t.ledger = t.ledger.with(t.r, HoldsFence)
	t.enter(Fencing)
	t.say(Decided, "decided_power", "node", string(t.r.Node), "agent", string(t.powerAgent("")), "reason", why, "age", seconds(t.w.Now.Sub(v.Since)))
	t.cite(v)
	t.fence(offLevels, isolate.Refuse)
	t.orderOff()
}

// orderOff orders the end of the power of another agent than the last time, if
// there is another that can.
func (t *turn) orderOff() {
	p := &t.r.Fenced.Power
	p.Tries, p.By = p.Tries+1, t.powerAgent(p.By)
	t.order(Once{Verb: VerbPowerOff, Agent: p.By}, LimitMax)
}

// awaitPower waits for two paths: a hook says that the power is off, and nobody has
// an answer of the host. A cut that all peers confirm after all is as good.
func (t *turn) awaitPower(v membership.Verdict) {
	silent, cut, _ := t.cutStands(v)
	off := t.r.Fenced.Power.Off
	switch late := t.w.InStep > sightMax; {
	case silent && cut:
		t.r.Pending = nil
		t.cutProven(v)
	case silent && off != "":
		t.powerProven(v)
	case len(t.r.Pending) > 0:
		t.wait(RuleVerify, "waits_power", "node", string(t.r.Node))
	case off != "" && late:
		t.hold(RuleVerify, fmt.Sprintf("the power hook of %s says that %s is off, and not everybody misses its host: look whether power.plugs names another host's plug; it goes on when nobody has an answer of it", off, t.r.Node))
	case off != "":
		t.wait(RuleVerify, "waits_silence", "node", string(t.r.Node), "agent", string(off))
	default:
		t.powerGoesOn(v, late)
	}
}

// powerGoesOn orders the end of the power again, or has a person asked. All of it
// is bounded.
func (t *turn) powerGoesOn(v membership.Verdict, late bool) {
	p := t.r.Fenced.Power
	why := cmp.Or(p.Why, "nothing tells that it is off")
	switch f := t.powerFault(v); {
	case p.Tries >= offsMax:
		t.hold(RuleFencing, fmt.Sprintf("the host of %s is not known to be off after %d orders, the last to %s: %s; mend that and retry, or turn it off by hand", t.r.Node, p.Tries, p.By, why))
	case t.powerAgent("") == "":
		t.hold(RuleFencing, fmt.Sprintf("no control agent can turn the host of %s off any more; the last said: %s%s", t.r.Node, why, t.orPower()))
	case t.w.InStep < retryAfter:
		t.wait(RuleVerify, "waits_power", "node", string(t.r.Node))
	case f != nil && (late || f.held):
		t.hold(f.rule, fmt.Sprintf("the host of %s is not turned off: %s; it goes on when that is over", t.r.Node, f.reason))
	case f != nil:
		t.wait(f.rule, "waits_fence_bar", "reason", f.reason)
	default:
		t.nextStep()
		t.say(Decided, "decided_power_again", "node", string(t.r.Node), "agent", string(t.powerAgent(p.By)), "try", count(p.Tries+1), "reason", why)
		t.orderOff()
	}
}

// powerEnded folds in what became of an order about the host's power. Done is the
// claim of a hook; it is asked once more, through another agent if one can.
func (t *turn) powerEnded(e Effect, ev Finished) {
	p := &t.r.Fenced.Power
	agent, node := string(e.Once.Agent), string(t.r.Node)
	t.nextStep() // the next order waits a little
	switch ev.Outcome {
	case Done:
		p.Why = ""
		if e.Once.Verb == VerbPowerStatus {
			p.Off = e.Once.Agent
			t.say(Saw, "saw_off", "node", node, "agent", agent)
			return
		}
		t.say(Did, "did_power_off", "node", node, "agent", agent)
		if other := t.powerAgent(e.Once.Agent); other != "" {
			t.order(Once{Verb: VerbPowerStatus, Agent: other}, LimitMax)
		}
	case Failed, TurnedAway:
		p.Why = ev.Result.Why
		kind := Saw
		if ev.Outcome == TurnedAway {
			kind = Refused
		}
		t.say(kind, "order_failed", "verb", e.Once.Verb.String(), "agent", agent, "detail", ev.Result.Why)
		t.under(ev.Result.Rule)
	case NoOutcome, Uncertain:
		p.Why = cmp.Or(ev.Result.Why, "nobody knows how the order ended")
	}
}

// powerProven notes the words of both paths: the hook's, and the silence.
func (t *turn) powerProven(v membership.Verdict) {
	token := t.w.Fences[t.r.Node].Token
	t.r.Fenced.Proof = []string{
		fmt.Sprintf("the power hook of %s says that its host is off, behind fence %s", t.r.Fenced.Power.Off, token),
		fmt.Sprintf("nobody has an answer of its host, behind fence %s", token),
	}
	t.enter(Deciding)
	t.mark(StageFenced)
	t.say(Proved, "proved_power", "node", string(t.r.Node), "proof", strings.Join(t.r.Fenced.Proof, "; "))
	t.cite(v)
}

// heardAgain forgets that the power is off when the host's own agent is heard:
// somebody turned it on, or it never was. An order that nobody has begun with is
// taken back, for what answers is never ended.
func (t *turn) heardAgain(v membership.Verdict) {
	if v.Own != membership.Good && v.Own != membership.Exited {
		return
	}
	p := &t.r.Fenced.Power
	about := func(e Effect) bool { return e.Once != nil && e.Once.Verb.power() }
	if i := slices.IndexFunc(t.r.Pending, about); i >= 0 {
		t.r.Pending = slices.DeleteFunc(t.r.Pending, about)
		t.say(Saw, "saw_heard", "node", string(t.r.Node))
	}
	if p.Off != "" && t.r.Phase == Fencing { // behind the proof it is history
		p.Off, t.changed = "", true
	}
}

// power tells whether a verb is about the power of a host, which goes to a control
// agent.
func (v Verb) power() bool { return v == VerbPowerOff || v == VerbPowerStatus }

// mayTurnOff holds the end of a host's power that a person has approved against
// all that holds where nobody is asked.
func (t *turn) mayTurnOff() *Refusal {
	v := t.w.verdict(t.r.Node)
	f := t.powerFault(v)
	switch {
	case t.powerAgent("") == "":
		return refuse(RuleFencing, "no control agent can turn the host of %s off by now%s", t.r.Node, t.orPower())
	case !t.r.cutOff():
		return t.mayCut(offLevels)
	case f != nil:
		return refuse(f.rule, "turning the host of %s off: %s", t.r.Node, f.reason)
	}
	return nil
}
