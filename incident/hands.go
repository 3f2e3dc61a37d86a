// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// Said is a person's word about an incident.
type Said struct{ Ask Ask }

func (Said) event() {}

// Hand is a fence that a person asked for. Until a person lifts it, nothing
// else is done about the node.
type Hand struct {
	By     string         `json:"by"`
	Why    string         `json:"why"`
	Levels isolate.Levels `json:"levels"`
	Lifted string         `json:"lifted,omitempty"` // who lifted it
}

// Ack is a person's word that he has seen the incident. It says nothing about
// another reason for which it is Held later, nor about a storm that grew.
type Ack struct {
	By    string    `json:"by"`
	Why   string    `json:"why"`
	At    time.Time `json:"at"`
	Storm string    `json:"storm,omitempty"` // the storm that is not waited for
}

// Proposal is what would be done if a person approved it, with all that it
// rests on: what moves changes its hash.
type Proposal struct {
	Hash   string           `json:"hash"`
	Levels isolate.Levels   `json:"levels"` // of the fence that would be raised
	Cause  membership.Cause `json:"cause"`
	Latest cluster.Boot     `json:"latest,omitempty"` // the process it is about
	Policy int64            `json:"policy"`
}

// byHand are the levels that a person may raise on a live host: each can be
// undone by lifting the fence.
const byHand = isolate.Clients | isolate.Reads

// propose is the plan of a fence as the world stands now.
func (t *turn) propose(levels isolate.Levels) Proposal {
	p := Proposal{Levels: levels, Cause: t.w.verdict(t.r.Node).Cause, Latest: t.r.Latest, Policy: t.w.Policy.version()}
	sum := sha256.Sum256(fmt.Appendf(nil, "fence %q %q %q %s %s %q %d", t.r.ID, t.r.Node, t.r.HostID, p.Levels, p.Cause, p.Latest, p.Policy))
	p.Hash = hex.EncodeToString(sum[:])[:12]
	return p
}

// Propose is what an incident proposes as the world stands now; r has a
// proposal. Who does not judge knows only how it stood when it was made.
func Propose(r Record, w World) Proposal {
	if w.View.Began == 0 {
		return *r.Proposal
	}
	return newTurn(r, w).propose(r.Proposal.Levels)
}

// holdAsking hands the incident to people with a plan that one of them may
// approve.
func (t *turn) holdAsking(rule Rule, reason string, levels isolate.Levels) {
	t.hold(rule, reason)
	p := t.propose(levels)
	t.r.Proposal = &p
	t.lines[len(t.lines)-1].Args["plan"] = p.Hash
}

// said follows a person's word about the incident, or says why not.
func (t *turn) said(a Ask) {
	var f *Refusal
	switch a.Verb {
	case AskFence:
		f = t.fenceAsked(a)
	case AskUnfence:
		f = t.unfenceAsked(a)
	case AskApprove:
		f = t.approved(a)
	case AskAbort:
		f = t.aborted(a)
	case AskAck:
		f = t.acknowledged(a)
	case AskRetry:
		f = t.retried(a)
	case AskPause, AskResume, AskMute, AskUnmute, AskRepair:
		f = refuse(RuleOperator, "%s is no word about an incident", a.Verb)
	}
	if f != nil {
		t.lines = append(t.lines, a.refused(f))
		t.changed = true
	}
}

// follow writes the word before what is done because of it.
func (t *turn) follow(a Ask, code string, pairs ...string) {
	t.lines = append(t.lines, a.followed(code, append([]string{"node", string(t.r.Node)}, pairs...)...))
	t.changed = true
}

// allowed is what forbids any new act in the datacenter, whoever asks for it.
func (t *turn) allowed() *Refusal {
	switch p, paused := t.paused(); {
	case t.w.Policy == nil:
		return refuse(RulePolicy, "no policy stands, so no bound is known")
	case t.w.Recovery.Waits():
		return refuse(RuleEra, "the store was recovered, era %d, and everything is only looked at before supervisor store acknowledge --era %d", t.w.Era, t.w.Era)
	case t.w.mode(t.r.Datacenter) == Observe:
		return refuse(RuleMode, "%s is in mode observe: it is only looked at; apply a policy with another mode", t.r.Datacenter)
	case paused:
		return refuse(RulePaused, "%s; resume first", p.Words())
	}
	return nil
}

// mayFence holds a fence that a person wants against the rules that hold for
// everybody.
func (t *turn) mayFence(levels isolate.Levels) *Refusal {
	if f := t.allowed(); f != nil {
		return f
	}
	switch why := t.quorumFault(); {
	case levels == 0:
		return refuse(RuleFencing, "no level is named; by hand there are: %s", byHand)
	case levels&^byHand != 0:
		return refuse(RuleFencing, "level %s is not raised by hand; by hand there are: %s", levels&^byHand, byHand)
	case t.w.Storm != "":
		return refuse(RuleStorm, "%s: no fence is raised until that is over, or the incident is acknowledged", t.w.Storm)
	case why != "":
		return refuse(QuorumSurvives, "%s%s", why, t.outBesides())
	}
	return first(t.budgetRefusal, t.floorRefusal)
}

// besides lists the other nodes of the datacenter that are out.
func (t *turn) besides() []string {
	var out []string
	for _, h := range t.ledger.Holders {
		if h.Node != t.r.Node {
			out = append(out, fmt.Sprintf("%s (%s)", h.Node, h.Incident))
		}
	}
	return out
}

func (t *turn) outBesides() string {
	if out := t.besides(); len(out) > 0 {
		return "; out already: " + strings.Join(out, ", ")
	}
	return ""
}

func (t *turn) budgetRefusal() *Refusal {
	out, most := t.besides(), max(1, t.w.Policy.Budgets.NodesPerDatacenter)
	elsewhere := slices.ContainsFunc(t.ledger.Holders, func(h Holder) bool { return h.Node != t.r.Node && h.Rack != t.r.Rack })
	switch {
	case len(out) >= most:
		return refuse(RuleBudget, "%s out already in %s, at most %d at a time", strings.Join(out, ", "), t.r.Datacenter, most)
	case elsewhere:
		return refuse(RuleBudget, "%s out already in %s, and not all of rack %s: one rack at a time", strings.Join(out, ", "), t.r.Datacenter, t.r.Rack)
	}
	return nil
}

func (t *turn) floorRefusal() *Refusal {
	for _, d := range t.w.Policy.PoolsOf(t.r.Node) {
		if _, err := t.taken(d, loadbalancer.Wish{Want: loadbalancer.Drain}); err != nil {
			return refuse(PoolFloor, "%v", err)
		}
	}
	return nil
}

// fenceHealthy opens an incident about a node that a person wants fenced, and
// nobody else.
func (a Ask) fenceHealthy(w World, id string) Heard {
	host, listed := w.Hosts[a.Node]
	if !listed {
		return a.turnedAway(refuse(RuleOperator, "no host %s is on the roster", a.Node))
	}
	v, place := w.verdict(a.Node), w.Topology.Nodes[a.Node]
	r := Record{
		Schema: SchemaNow, ID: id, Region: place.Region, Datacenter: place.Datacenter, Rack: place.Rack,
		Node: a.Node, HostID: hostID(host, w), Process: v.Process, Latest: v.Process, Phase: Draining,
		Mode: w.mode(place.Datacenter), Marks: map[Stage]time.Duration{StageSeen: 0},
		Votes: Votes{For: v.For, Heard: v.Heard, Of: v.Of, Racks: v.Racks},
		Began: w.Wall.UTC(), Policy: w.Policy.version(), Step: 1,
		Hand: &Hand{By: a.Who, Why: a.Why, Levels: a.Levels},
	}
	r.Outage = outage(r, v, w)
	r.Outage.Writable = true // it serves, and others with it
	r.Outage.Unseen = r.Outage.Unseen && !answers(v)
	t := newTurn(r, w)
	if f := t.mayFence(a.Levels); f != nil {
		return a.turnedAway(f)
	}
	t.follow(a, "asked_fence", "levels", a.Levels.String(), "margin", t.marginWords())
	t.ledger = t.ledger.with(t.r, HoldsOutage)
	t.fence(a.Levels, isolate.Hibernate)
	t.wantPoolsStill(loadbalancer.Wish{Want: loadbalancer.Drain})
	t.r.check()
	return Heard{Decision: t.decision()}
}

// fenceAsked fences a node whose incident waits for a person. It is returned
// then like any other that may lack writes: where it is, when it runs.
func (t *turn) fenceAsked(a Ask) *Refusal {
	if t.r.handStands() {
		return refuse(OneOpenIncident, "%s is fenced already by %s in %s: %s", t.r.Node, t.r.Hand.By, t.r.ID, t.r.Hand.Why)
	}
	if t.r.Phase == Held && t.r.HeldRule == RuleOperator {
		return refuse(RuleOperator, "it is stopped: %s", t.r.Held)
	}
	if t.r.Phase != Held || t.r.HeldFrom != Draining && t.r.HeldFrom != Suspected {
		return refuse(OneOpenIncident, "%s is in %s, phase %s, which does what is needed by itself; abort it first", t.r.Node, t.r.ID, cluster.Title(t.r.Phase.String()))
	}
	if f := t.mayFence(a.Levels); f != nil {
		return f
	}
	t.follow(a, "asked_fence", "levels", a.Levels.String(), "margin", t.marginWords())
	t.fenceHeld(a.Levels)
	return nil
}

// fenceHeld raises the fence of an incident that was Held, and has the node
// repaired behind it as soon as it runs, or started as soon as it has ended.
func (t *turn) fenceHeld(levels isolate.Levels) {
	t.r.Held, t.r.HeldRule, t.r.HeldFrom = "", "", PhaseUnknown
	t.takenOver()
	if t.r.Return == nil {
		t.r.Return = &Return{}
	}
	t.r.Return.Step, t.r.Return.Job, t.r.Return.InPlace = Preflight, nil, true
	t.enter(Returning)
	t.say(Decided, "decided_fence_reads", "node", string(t.r.Node))
	t.fence(levels, isolate.Hibernate)
	t.wantPoolsStill(loadbalancer.Wish{Want: loadbalancer.Drain})
}

// unfenceAsked lifts a fence that a person had raised. What the node missed
// meanwhile nobody knows, so it is repaired before it is read.
func (t *turn) unfenceAsked(a Ask) *Refusal {
	if f := t.allowed(); f != nil {
		return f
	}
	switch {
	case t.r.Hand == nil:
		return refuse(OneOpenIncident, "%s is in %s, phase %s: its fence is lifted when that is closed", t.r.Node, t.r.ID, cluster.Title(t.r.Phase.String()))
	case t.r.Hand.Lifted != "":
		return refuse(OneOpenIncident, "%s asked for it already; %s is in phase %s", t.r.Hand.Lifted, t.r.ID, cluster.Title(t.r.Phase.String()))
	}
	hand := *t.r.Hand
	hand.Lifted = a.Who
	t.r.Hand = &hand
	t.r.Held, t.r.HeldRule, t.r.HeldFrom = "", "", PhaseUnknown
	t.follow(a, "asked_unfence", "fenced", hand.By)
	t.inPlace()
	return nil
}

// handStands tells whether a person's fence stands and was not lifted.
func (r Record) handStands() bool { return r.Hand != nil && r.Hand.Lifted == "" }

// handed keeps a node that a person fenced as it is until a person lifts that.
// In a recovered store the fence is raised anew.
func (t *turn) handed() bool {
	if !t.r.handStands() {
		return false
	}
	switch t.r.Phase {
	case Draining:
		t.handDraining()
	case Held:
		if t.r.HeldRule != RuleOperator {
			return false
		}
		if t.w.mode(t.r.Datacenter) != Observe {
			t.fenceAgain()
		}
	case PhaseUnknown, Suspected, Fencing, Deciding, Returning, Replacing, Verifying, Closed:
	}
	return true
}

func (t *turn) handDraining() {
	t.wantPoolsStill(loadbalancer.Wish{Want: loadbalancer.Drain})
	stand, rest := t.poolsStand()
	drained := stand && t.wanted(loadbalancer.Wish{Want: loadbalancer.Drain})
	if !drained && t.w.InStep < drainWait {
		t.wait(RuleVerify, "waits_pools", "pools", fmt.Sprint(rest))
		return
	}
	if drained {
		t.mark(StageDrained)
		t.say(Proved, "proved_drain", "node", string(t.r.Node), "pools", t.poolNames())
	}
	t.hold(RuleOperator, fmt.Sprintf("%s fenced it (%s): %s; supervisor unfence %s brings it back", t.r.Hand.By, t.r.Hand.Levels, t.r.Hand.Why, t.r.Node))
}

// approved does what was proposed, if the world is still as the plan says.
func (t *turn) approved(a Ask) *Refusal {
	p := t.r.Proposal
	if t.r.Phase != Held || p == nil {
		return refuse(RulePlan, "%s is in phase %s and proposes nothing", t.r.ID, cluster.Title(t.r.Phase.String()))
	}
	if now := t.propose(p.Levels); now.Hash != a.Plan {
		return refuse(RulePlan, "the plan of %s is %s by now, not %s%s", t.r.ID, now.Hash, a.Plan, p.moved(now))
	}
	ends := p.Levels&isolate.Process != 0
	f := t.allowed()
	switch {
	case f != nil:
	case p.Levels.Has(isolate.Power):
		f = t.mayTurnOff()
	case p.Levels.Has(isolate.Ring):
		f = t.mayCut(p.Levels)
	case ends:
		f = t.mayEnd()
	default:
		f = t.mayFence(p.Levels)
	}
	if f != nil {
		return f
	}
	t.follow(a, "asked_approve", "plan", p.Hash, "levels", p.Levels.String())
	if !ends {
		t.fenceHeld(p.Levels)
		return nil
	}
	v := t.w.verdict(t.r.Node)
	t.r.Held, t.r.HeldRule, t.r.HeldFrom = "", "", PhaseUnknown
	switch {
	case t.r.cutOff():
		t.beginPower(v, fmt.Sprintf("%s approves it", a.Who))
	case p.Levels.Has(isolate.Ring):
		t.beginCut(v, p.Levels&t.cutOrOff())
	default:
		t.beginFence(v)
	}
	return nil
}

// mayEnd holds the end of a process that hangs, which a person has approved,
// against all that holds where nobody is asked.
func (t *turn) mayEnd() *Refusal {
	v := t.w.verdict(t.r.Node)
	if v.Answer != membership.Gone || v.Cause != membership.Hung {
		return refuse(RuleEvidence, "%s is %s by now, and does not hang", t.r.Node, v.Answer)
	}
	if f := t.fenceFault(v); f != nil {
		return refuse(f.rule, "ending process %s of %s: %s", v.Process, t.r.Node, f.reason)
	}
	return nil
}

// moved says what is not as the proposal says.
func (p Proposal) moved(now Proposal) string {
	var parts []string
	if p.Cause != now.Cause {
		parts = append(parts, fmt.Sprintf("it was %s and is %s", cluster.Title(p.Cause.String()), cluster.Title(now.Cause.String())))
	}
	if p.Latest != now.Latest {
		parts = append(parts, fmt.Sprintf("process %s, now %s", p.Latest, now.Latest))
	}
	if p.Policy != now.Policy {
		parts = append(parts, fmt.Sprintf("policy v%d, now v%d", p.Policy, now.Policy))
	}
	if parts == nil {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// aborted stops an incident for good, until somebody retries it. Orders that
// nobody has begun with are taken back in the same transaction; what somebody
// has begun with ends by itself, within its limit, and leads to nothing.
func (t *turn) aborted(a Ask) *Refusal {
	switch {
	case t.r.handStands():
		return refuse(RuleOperator, "%s is fenced by %s: supervisor unfence %s brings it back", t.r.Node, t.r.Hand.By, t.r.Node)
	case t.r.Phase == Held && t.r.HeldRule == RuleOperator:
		return refuse(RuleOperator, "it is stopped already: %s", t.r.Held)
	}
	t.follow(a, "asked_abort", "phase", cluster.Title(t.r.Phase.String()))
	if len(a.Claimed) > 0 {
		t.say(Waited, "waits_claimed", "node", string(t.r.Node), "orders", strings.Join(a.Claimed, ", "))
		t.under(IntentFirst)
	}
	t.hold(RuleOperator, fmt.Sprintf("%s aborted it: %s; what was done stays, and nothing more is done before supervisor incident retry", a.Who, a.Why))
	return nil
}

// heldByWord is an incident that a person stopped. It is over by itself only
// when nothing stands and the node answers as the one it was.
func (t *turn) heldByWord() {
	v := t.w.verdict(t.r.Node)
	if t.mustStayFenced() {
		t.nextStep()
		t.say(Decided, "decided_fence_reads", "node", string(t.r.Node))
		t.fence(isolate.Clients|isolate.Reads, isolate.Hibernate)
		return
	}
	same, _ := t.sameProcess(t.r.Process)
	untouched := t.r.Return == nil && (t.r.HeldFrom == Suspected || t.r.HeldFrom == Draining)
	_, fenced := t.w.Fences[t.r.Node]
	switch {
	case fenced || !answers(v) || strings.Contains(t.r.Held, ReadAnyway):
	case untouched && same && !t.beyondHints(v):
		t.release(t.r.HeldFrom)
	default:
		t.r.Held += ReadAnyway
		t.r.Ack = nil // whoever has seen it has not seen that
		t.say(Saw, "saw_read_anyway", "node", string(t.r.Node))
		t.under(RuleOperator)
	}
}

// ReadAnyway is added to what a person stopped when its node comes back: who
// stopped it has to know that readers may meet old data.
const ReadAnyway = "; it answers, may lack writes, and is read as it is"

// acknowledged notes who has seen it. A storm that somebody has seen holds this
// one incident back no more.
func (t *turn) acknowledged(a Ask) *Refusal {
	seen := t.r.Ack // its storm is hidden from this turn
	if t.r.Phase != Held && seen != nil && seen.Storm != "" {
		return refuse(RuleOperator, "%s has seen it already: %s", seen.By, seen.Storm)
	}
	if t.r.Phase != Held && t.w.Storm == "" {
		return refuse(RuleOperator, "%s is in phase %s, waits for nobody, and there is no storm", t.r.ID, cluster.Title(t.r.Phase.String()))
	}
	t.follow(a, "asked_ack", "storm", t.w.Storm)
	storm := t.w.Storm
	if storm == "" && seen != nil {
		storm = seen.Storm
	}
	t.r.Ack = &Ack{By: a.Who, Why: a.Why, At: t.w.Wall.UTC(), Storm: storm}
	return nil
}

// retried lets a Held incident try again all that a person can change.
func (t *turn) retried(a Ask) *Refusal {
	if f := t.allowed(); f != nil {
		return f
	}
	switch {
	case t.r.Phase != Held:
		return refuse(RuleOperator, "%s is in phase %s and not Held: it goes on by itself", t.r.ID, cluster.Title(t.r.Phase.String()))
	case t.r.handStands():
		return refuse(RuleOperator, "%s is fenced by %s: supervisor unfence %s brings it back", t.r.Node, t.r.Hand.By, t.r.Node)
	case t.r.HeldRule == NoSilentWait, t.r.HeldRule == FenceBeforeReplace, t.r.HeldRule == RuleEra:
		return refuse(t.r.HeldRule, "the same would be decided again: %s", t.r.Held)
	}
	t.follow(a, "asked_retry", "rule", string(t.r.HeldRule))
	before, step := t.ledger, t.r.Step
	t.ledger = t.ledger.forgiven(t.r.Node)
	if !t.letGo(true) && step == t.r.Step {
		t.lines, t.ledger = nil, before
		return refuse(t.r.HeldRule, "nothing leads on from there: %s", t.r.Held)
	}
	return nil
}

// forgiven forgets the ends of a node's processes, its silences and its fences:
// a person has mended what caused them.
func (l Ledger) forgiven(n cluster.Name) Ledger {
	l = l.clone()
	delete(l.Exits, n)
	delete(l.Silences, n)
	delete(l.Fences, n)
	return l
}

// seenStorm tells whether a person has acknowledged the very storm that is on.
func (r Record) seenStorm(storm string) bool {
	return r.Ack != nil && storm != "" && r.Ack.Storm == storm
}

// Asks tells whether a held incident waits for a person who has not said that
// he has seen it. What people keep as it is themselves, a pause, a fence by hand or
// what they stopped before anything was done, asks only when its node is read; one
// that was stopped later stays out of service until somebody retries it.
func (r Record) Asks() bool {
	own := r.HeldRule == RulePaused || r.HeldRule == RuleOperator && (r.handStands() || r.HeldFrom == Suspected)
	own = own && !strings.Contains(r.Held, ReadAnyway)
	return r.Phase == Held && r.Ack == nil && !own
}
