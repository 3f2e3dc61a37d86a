// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
	"supervisor/repair"
)

// AskedRepair makes a record that of a repair which a person asked for. Such a
// record is no incident: its node serves, nothing is drained or fenced, it holds
// no budget, and it stands in no list of incidents. It repairs as a return does,
// in phase Returning, is compared in phase Verifying, and lets every incident go
// first.
type AskedRepair struct {
	By    string      `json:"by"`
	Why   string      `json:"why"`
	Scope RepairScope `json:"scope"`
	// Refused are the ranges that were left out when it was planned.
	Refused int `json:"refused,omitempty"`
}

// askedRounds is how often what differs is repaired before a person is asked.
const askedRounds = 2

// RepairID names the repair that is asked for instead of an incident.
func RepairID(incident string) string { return "rep-" + strings.TrimPrefix(incident, "inc-") }

// IsRepairID tells whether an ID is of a repair that a person asked for.
func IsRepairID(id string) bool { return strings.HasPrefix(id, RepairID("")) }

// Asked tells whether a record is of a repair that a person asked for.
func (r Record) Asked() bool { return r.Repair != nil }

// askedOf is the repair of a node that a person asked for and that is not over.
func (w *World) askedOf(n cluster.Name) (Record, bool) {
	i := slices.IndexFunc(w.Repairs, func(r Record) bool { return r.Node == n && !r.Ended() })
	if i < 0 {
		return Record{}, false
	}
	return w.Repairs[i], true
}

// beginRepair writes down the repair that a person asks for, as it is planned now.
// Its first order comes with the next turn, by all the rules.
func (a Ask) beginRepair(w World, id string) Heard {
	host, listed := w.Hosts[a.Node]
	place := w.Topology.Nodes[a.Node]
	scope := a.Repair
	scope.Node = a.Node
	r := Record{
		Schema: SchemaNow, ID: RepairID(id), Region: place.Region, Datacenter: place.Datacenter, Rack: place.Rack,
		Node: a.Node, HostID: hostID(host, w), Phase: Returning, Mode: w.mode(place.Datacenter), Marks: map[Stage]time.Duration{StageSeen: 0},
		Began: w.Wall.UTC(), Policy: w.Policy.version(), Step: 1,
		Return: &Return{Step: Repairing}, Repair: &AskedRepair{By: a.Who, Why: a.Why, Scope: scope},
	}
	if !listed {
		return a.turnedAway(refuse(RuleOperator, "no host %s is on the roster", a.Node))
	}
	t := newTurn(r, w)
	if f := t.mayBeRepaired(scope); f != nil {
		return a.turnedAway(f)
	}
	job, refused, err := PlanRepair(w, scope)
	switch {
	case err != nil:
		return a.turnedAway(refuse(RulePreflight, "%v", err))
	case len(job.Batch(1)) == 0 && len(refused) > 0:
		return a.turnedAway(refuse(Rule(refused[0].Rule), "every range is refused, %s first: %s", refused[0].Keyspace, refused[0].Why))
	case len(job.Batch(1)) == 0:
		return a.turnedAway(refuse(RuleOperator, "there is nothing to compare: what is asked for has one copy, or none on %s", a.Node))
	}
	t.r.Return.Job = &job
	for _, x := range refused {
		t.r.Repair.Refused += len(x.Ranges)
	}
	_, total := job.Progress()
	t.follow(a, "asked_repair", "segments", count(total), "refused", count(t.r.Repair.Refused))
	t.r.check()
	return Heard{Decision: t.decision()}
}

// mayBeRepaired is what refuses a repair that is asked for. What passes by
// itself refuses nothing: then it waits.
func (t *turn) mayBeRepaired(s RepairScope) *Refusal {
	if f := t.allowed(); f != nil {
		return f
	}
	own, open := t.w.openAt(s.Node)
	other, asked := t.w.askedOf(s.Node)
	switch {
	case t.w.Schema == nil:
		return refuse(RulePreflight, "ring and schema are not known yet: no Cassandra was asked")
	case t.w.Storm != "":
		return refuse(RuleStorm, "%s: nothing new begins before that is over", t.w.Storm)
	case open:
		return refuse(OneOpenIncident, "%s is in %s, which repairs what it has to by itself", s.Node, own.ID)
	case asked:
		return refuse(RuleBudget, "%s is repaired already, by %s in %s; end that first with supervisor incident abort", s.Node, other.Repair.By, other.ID)
	}
	return t.scopeRefusal(s)
}

// scopeRefusal holds what is to be repaired against what there is: it may have
// gone since the plan was made.
func (t *turn) scopeRefusal(s RepairScope) *Refusal {
	if region, _ := t.w.Policy.RegionOf(t.r.Datacenter); s.Region != "" && region != s.Region {
		return refuse(RuleOperator, "%s stands in region %s, and not in %s", s.Node, orNone(string(region)), s.Region)
	}
	if s.Table == "" {
		return nil
	}
	for _, ks := range t.w.Schema.Keyspaces {
		if ks.Name == s.Keyspace && slices.ContainsFunc(ks.Tables, func(x cluster.Table) bool { return x.Name == s.Table }) {
			return nil
		}
	}
	return refuse(RuleOperator, "keyspace %s has no table %s", orNone(s.Keyspace), s.Table)
}

// NextRepair is the only door through which the record of a repair changes that
// a person asked for; as Next is for incidents.
func NextRepair(r Record, ev Event, w World) Decision {
	if r.Schema != SchemaNow || r.Phase == Closed || !r.Asked() || r.Return == nil {
		return Decision{Record: r, Ledger: w.Ledger}
	}
	t := newTurn(r, w)
	if w.Older {
		t.repairRecovered()
		return t.decision()
	}
	switch ev := ev.(type) {
	case Looked:
		t.repairLooks()
	case Finished:
		t.repairEnded(ev)
	case Adopted:
		t.adopt(ev)
	case Said:
		t.repairSaid(ev.Ask)
	}
	t.r.check()
	return t.decision()
}

// HoldRepair hands a repair over to people whose decision broke an invariant, or
// is too large for the store.
func HoldRepair(r Record, w World, rule Rule, why string) Decision {
	if r.Phase == Held && r.HeldRule == rule {
		return Decision{Record: r, Ledger: w.Ledger}
	}
	t := newTurn(r, w)
	t.holdRepair(rule, why)
	return t.decision()
}

// repairLooks gives the next order, or says what it waits for. What was ordered
// ends by itself, also when a rule forbids more by now.
func (t *turn) repairLooks() {
	if len(t.r.Pending) > 0 {
		if e := t.r.Pending[0]; t.w.InStep >= e.Limit+overdueSlack {
			t.repairEnded(Finished{Effect: e.ID, Outcome: Uncertain})
		}
		return
	}
	if t.r.Phase == Held || t.r.Return.Uncertain+t.r.Return.Looks > 0 && t.w.InStep < retryAfter {
		return
	}
	if f := t.repairWaits(); f != nil {
		t.wait(f.rule, "waits_preflight", "reason", f.reason)
		lasting := f.rule == RulePaused || f.rule == RuleMode || f.rule == RuleEra || f.rule == RuleStorm || t.precedenceFault() != nil
		if !lasting && t.w.InStep >= t.stepLimit() {
			t.holdRepair(RuleDeadline, fmt.Sprintf("it waited %s without progress: %s", seconds(t.w.InStep), f.reason))
		}
		return
	}
	if t.r.Phase == Verifying {
		t.sample()
		return
	}
	t.repairBatch()
}

// repairBatch orders the next segments; whether they may be repaired now was asked
// before.
func (t *turn) repairBatch() {
	job := t.r.Return.Job
	batch := job.Batch(t.w.Policy.Return.BatchMax)
	segments := make([]repair.Segment, len(batch))
	for i, n := range batch {
		segments[i] = job.Segments[n]
	}
	t.nextStep()
	t.r.Return.Process = t.w.verdict(t.r.Node).Process
	t.order(Once{Verb: VerbRepair, Process: t.r.Return.Process, Segments: segments, First: batch[0]}, LimitMax)
}

// repairRecovered takes up a repair that the store had before it was recovered:
// what is done of it is done, and nobody's orders are awaited.
func (t *turn) repairRecovered() {
	lost := len(t.r.Pending)
	t.r.Pending, t.r.Approx = nil, true
	t.nextStep()
	t.say(Saw, "saw_recovered_repair", "era", fmt.Sprint(t.w.Era), "orders", count(lost), "node", string(t.r.Node))
	t.under(RuleEra)
}

// repairWaits is why nothing more of the repair is ordered now. Every rule passes
// by itself, and is asked again each time.
func (t *turn) repairWaits() *fault {
	return first(t.bannedFault, t.precedenceFault, t.coordinatorFault, t.ringRestFault, t.batchFault)
}

func (t *turn) bannedFault() *fault {
	if f := t.allowed(); f != nil {
		return &fault{f.Rule, f.Reason, false}
	}
	if t.w.Storm != "" {
		return &fault{RuleStorm, t.w.Storm, false}
	}
	return nil
}

// precedenceFault lets whatever heals a node go first, here and in regions that
// may share its ranges, and of the repairs that people asked for the oldest: two
// sessions on one range disturb each other.
func (t *turn) precedenceFault() *fault {
	for _, o := range t.w.Open {
		if o.Node == t.r.Node {
			return &fault{OneOpenIncident, fmt.Sprintf("%s is in %s, which goes first", o.Node, o.ID), false}
		}
		if o.Phase != Held || t.holdsTurnOf(o.ID) {
			return &fault{RuleBudget, fmt.Sprintf("%s about %s is under way and goes first", o.ID, o.Node), false}
		}
	}
	for _, n := range t.w.foreigners() {
		if r := t.w.Abroad[n].Record; r != nil && r.Phase != Held {
			return &fault{RuleBudget, fmt.Sprintf("%s about %s in another region is under way and goes first", r.ID, n), false}
		}
	}
	for _, o := range t.w.Repairs {
		before := o.Began.Before(t.r.Began) || o.Began.Equal(t.r.Began) && o.ID < t.r.ID
		ordered := len(o.Pending) > 0
		if o.ID != t.r.ID && !o.Ended() && (ordered || before && o.Phase != Held) {
			return &fault{RuleBudget, fmt.Sprintf("%s of %s is under way and goes first", o.ID, o.Node), false}
		}
	}
	return nil
}

// holdsTurnOf tells whether an incident hibernates or fences a node.
func (t *turn) holdsTurnOf(id string) bool {
	return slices.ContainsFunc(t.ledger.Holders, func(h Holder) bool { return h.Incident == id && h.Kind != HoldsOutage })
}

// coordinatorFault wants the node to serve, and to be obeyed by an agent that
// knows its process.
func (t *turn) coordinatorFault() *fault {
	v := t.w.verdict(t.r.Node)
	_, there := t.w.Agents[t.r.Node]
	switch {
	case !t.w.Serves(t.r.Node):
		return &fault{RuleEvidence, fmt.Sprintf("%s does not serve, for all that is known", t.r.Node), false}
	case v.Own != membership.Good || v.Process == "" || !there:
		return &fault{RuleReach, fmt.Sprintf("the agent of %s does not tell which process runs there", t.r.Node), false}
	}
	return nil
}

// ringRestFault wants ring and schema at rest, as they were planned with.
func (t *turn) ringRestFault() *fault { return first(t.schemaFault, t.changeFault) }

// batchFault wants every peer of what is repaired next: it was planned, and
// confirmed, with them, and a quorum may rest on each.
func (t *turn) batchFault() *fault {
	job := t.r.Return.Job
	if job == nil || job.Lost() || t.r.Phase == Returning && len(job.Batch(1)) == 0 {
		return &fault{NoSilentWait, "its plan is gone; abort it and ask again", false}
	}
	for _, i := range job.Batch(t.w.Policy.Return.BatchMax) {
		for _, h := range job.Segments[i].Hosts {
			if _, lacks := t.w.lacking(h); h != t.r.Node && (lacks || !t.mayRepairWith(h)) {
				return &fault{RuleRepairQuorum, fmt.Sprintf("%s cannot be compared with now", h), false}
			}
		}
	}
	return nil
}

// samples are the segments that are compared when all are repaired, evenly spread
// over them.
func samples(job repair.Job) []int {
	n := len(job.Segments)
	most := min(n, previewBatch)
	out := make([]int, most)
	for i := range most {
		out[i] = i * n / most
	}
	return out
}

// sample has other coordinators compare the rest of the sample, one after the
// other: none has a copy of all.
func (t *turn) sample() {
	todo := t.r.Return.Comparison()
	var agent cluster.Name
	var segments []repair.Segment
	for _, i := range samples(todo) {
		s := todo.Segments[i]
		if todo.Done.Has(i) {
			continue
		}
		if agent == "" {
			agent = t.coordinator(s)
		}
		if agent != "" && t.mayCompare(agent, s) {
			segments = append(segments, t.seenFrom(agent, s))
		}
	}
	if agent == "" {
		t.wait(RuleReach, "waits_reader", "node", string(t.r.Node))
		return
	}
	t.nextStep()
	t.order(Once{Verb: VerbPreview, Agent: agent, Segments: segments}, LimitMax)
}

// sampled tells whether all of the sample was compared.
func (r Return) sampled() bool {
	done := r.Comparison()
	return !slices.ContainsFunc(samples(done), func(i int) bool { return !done.Done.Has(i) })
}

// repairEnded folds in how an order ended. It orders nothing: the next look does,
// by the rules.
func (t *turn) repairEnded(ev Finished) {
	e, ok := t.take(ev.Effect)
	if !ok {
		return
	}
	t.changed = true
	t.r.Return.Cassandra += ev.Result.Took
	t.nextStep()
	if e.Once.Verb == VerbPreview && t.r.Return.Job != nil {
		t.previewTold(*e.Once, ev.Result, ev.Outcome == Done)
	}
	if e.Once.Verb == VerbPreview && ev.Outcome == Done {
		t.r.Return.Uncertain = 0
		if t.r.Return.sampled() {
			t.sampleTold()
		}
		return
	}
	if e.Once.Verb == VerbRepair && t.r.Return.Job != nil && (ev.Outcome == Done || len(ev.Result.Done) > 0) {
		t.progress(ev.Result)
		t.r.Return.Uncertain = 0
		done, total := t.r.Return.Job.Progress()
		t.say(Did, "did_repair", "done", count(done), "total", count(total), "round", count(t.r.Return.Rounds+1))
	}
	if ev.Outcome != Done {
		t.repairFailed(e, ev)
	}
	if t.r.Phase == Returning && t.r.Return.Job != nil && t.r.Return.Job.Complete() {
		t.r.Return.Rounds++
		t.r.Return.Step = Previewing
		t.r.Return.uncompare()
		t.enter(Verifying)
	}
}

// repairFailed counts what comes to nothing; a person is asked before it goes on
// for ever.
func (t *turn) repairFailed(e Effect, ev Finished) {
	kind := Saw
	if ev.Outcome == TurnedAway {
		kind = Refused
	}
	t.say(kind, "order_failed", "verb", e.Once.Verb.String(), "agent", string(e.Once.Agent), "detail", orUnknown(ev.Result.Why))
	t.under(ev.Result.Rule)
	t.r.Return.Uncertain++
	if t.r.Return.Uncertain <= uncertainMax {
		return
	}
	rule := ev.Result.Rule
	if rule == "" {
		rule = RuleVerify
	}
	t.holdRepair(rule, fmt.Sprintf("%s came to nothing %d times; the last time: %s", e.Once.Verb, t.r.Return.Uncertain, orUnknown(ev.Result.Why)))
}

func orUnknown(why string) string {
	if why == "" {
		return "its end is not known"
	}
	return why
}

// sampleTold ends the repair when nothing differs. A running writer makes samples
// differ, so they are compared once more; what still differs is repaired again,
// once.
func (t *turn) sampleTold() {
	ret := t.r.Return
	differs, looks := ret.Differs, ret.Looks+1
	if len(differs) == 0 {
		t.say(Proved, "proved_sample", "node", string(t.r.Node))
		t.closeRepair("closed_repair", "cassandra", seconds(ret.Cassandra), "refused", count(t.r.Repair.Refused))
		return
	}
	ret.uncompare()
	switch {
	case looks < 2:
		ret.Looks = looks
		t.wait(RuleVerify, "waits_again", "tables", someOf(differs))
	case ret.Rounds < askedRounds:
		job := ret.Job.Again(differs)
		ret.Job, ret.Step = &job, Repairing
		t.say(Saw, "saw_sample_differs", "tables", someOf(differs))
		t.under(RuleVerify)
		t.enter(Returning)
	default:
		t.holdRepair(RuleVerify, fmt.Sprintf("%s differ after %d repairs; look whether they are written all the time, then retry or abort", someOf(differs), ret.Rounds))
	}
}

// holdRepair hands the repair to people. Nothing is done to its node: it serves.
func (t *turn) holdRepair(rule Rule, reason string) {
	if t.r.Phase != Held {
		t.r.HeldFrom = t.r.Phase
	}
	t.r.Held, t.r.HeldRule = reason, rule
	t.r.Pending = nil
	t.enter(Held)
	t.say(Refused, "held", "reason", reason, "rule", string(rule))
	t.under(rule)
}

func (t *turn) closeRepair(code string, pairs ...string) {
	t.r.Pending = nil
	t.r.dropJob() // the journal keeps how far it came
	t.r.Held, t.r.HeldRule, t.r.HeldFrom = "", "", PhaseUnknown
	t.enter(Closed)
	t.mark(StageClosed)
	t.say(Ended, code, append([]string{"node", string(t.r.Node), "after", seconds(t.w.Elapsed)}, pairs...)...)
}

// repairSaid follows a person's word about the repair.
func (t *turn) repairSaid(a Ask) {
	var f *Refusal
	switch {
	case a.Verb == AskAbort:
		t.follow(a, "asked_abort", "phase", t.r.Return.Step.String())
		if len(a.Claimed) > 0 {
			t.say(Waited, "waits_claimed", "node", string(t.r.Node), "orders", strings.Join(a.Claimed, ", "))
			t.under(IntentFirst)
		}
		t.closeRepair("closed_repair_aborted")
	case a.Verb == AskRetry && t.r.Phase == Held && t.r.HeldFrom != PhaseUnknown:
		if f = t.allowed(); f != nil {
			break
		}
		t.follow(a, "asked_retry", "rule", string(t.r.HeldRule))
		from := t.r.HeldFrom
		t.r.Held, t.r.HeldRule, t.r.HeldFrom = "", "", PhaseUnknown
		t.r.Return.Uncertain = 0
		t.r.Return.uncompare()
		t.r.Return.Rounds = min(t.r.Return.Rounds, 1)
		t.enter(from)
	default:
		f = refuse(RuleOperator, "%s is a repair and not held: supervisor incident abort ends it, a pause stops it for a while", t.r.ID)
	}
	if f != nil {
		t.lines = append(t.lines, a.refused(f))
		t.changed = true
	}
}
