// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
	"supervisor/repair"
	"supervisor/replace"
)

// ReturnStep is where a return stands. The steps follow one another; an exit
// of the process at any of them goes back to Preflight.
type ReturnStep uint8

// The steps. Preflight to RepairingAgain happen in phase Returning, the
// others in phase Verifying.
const (
	Preflight      ReturnStep = iota
	Starting                  // hibernated, Severity up
	AwaitDown                 // every live peer must say DOWN
	Killing                   // a peer said UP: end it and start again
	Repairing                 // hibernated, everything it replicates
	Joining                   // leave hibernation
	AwaitUp                   // UP on every live peer, Severity still up
	RepairingAgain            // what was written since the first repair began
	Previewing                // compared by another coordinator
	Opening                   // Severity 0 everywhere, native transport on, out of all pools
	Reading                   // known rows at ONE through the node
	Ramping                   // first weight in the pools
	RampingFull               // full weight
)

var stepWords = cluster.Words{"preflight", "starting", "await_down", "killing", "repairing", "joining", "await_up",
	"repairing_again", "previewing", "opening", "reading", "ramping", "ramping_full"}

// ReturnSteps lists every wire word, in order.
func ReturnSteps() []string { return append([]string(nil), stepWords...) }

// String is the wire word.
func (s ReturnStep) String() string { return stepWords.Word(uint8(s)) }

// MarshalText spells the step.
func (s ReturnStep) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a wire word.
func (s *ReturnStep) UnmarshalText(text []byte) error {
	v, err := stepWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("return step: %w", err)
	}
	*s = ReturnStep(v)
	return nil
}

const (
	// exitBelieved is how old a step must be before the own agent's "exited"
	// is taken for an exit in this step: reports are at most this old.
	exitBelieved = 3 * time.Second
	// retryAfter spaces starts that failed.
	retryAfter = 5 * time.Second
	// sightMax bounds the wait for the peers' word; then a person is asked.
	sightMax = 90 * time.Second
	// upBelieved is how long a peer may say UP of a hibernating node before it
	// is taken for one that will never say DOWN: a process that starts soon
	// after it was killed is UP there until its new status has arrived. Severity
	// stands meanwhile.
	upBelieved = 4 * time.Second
	startMax   = 4 * time.Minute
	shortMax   = 30 * time.Second
	// rangesPerSegment bounds one repair command.
	rangesPerSegment = 64
	// uncertainMax bounds the orders whose end nobody knows.
	uncertainMax = 5
)

// to moves to a step of the return.
func (t *turn) to(s ReturnStep) {
	t.r.Return.Step = s
	t.nextStep()
}

// exited tells whether the node's process is gone in this step, by its own
// agent's fresh word.
func (t *turn) exited() bool {
	v := t.w.verdict(t.r.Node)
	return t.w.InStep >= exitBelieved && v.Own == membership.Exited
}

// replaced tells whether another process runs in this step than the one that
// is being returned: it exited, and somebody was quicker than the reports.
func (t *turn) replaced() bool {
	same, known := t.sameProcess(t.r.Return.Process)
	return t.w.InStep >= exitBelieved && known && !same && t.r.Return.Process != ""
}

// overdueSlack is how much later than an order's limit its executor may say
// that it passed.
const overdueSlack = 15 * time.Second

// overdue takes the orders of a step whose limit passed without a word for
// Uncertain: their executor died, or cannot tell.
func (t *turn) overdue() {
	for _, e := range t.r.Pending {
		if t.w.InStep >= e.Limit+overdueSlack {
			t.finished(Finished{Effect: e.ID, Outcome: Uncertain})
			return
		}
	}
}

// returning moves a return by at most one step.
func (t *turn) returning() {
	if t.r.Return == nil {
		t.hold(NoSilentWait, "the record says Returning and has no return; abort it")
		return
	}
	step := t.r.Return.Step
	if v := t.w.verdict(t.r.Node); v.Answer == membership.Gone && v.Cause == membership.DiskFailed {
		_, why := replace.Needed(replace.Case{DiskFailed: true})
		t.hold(FenceBeforeReplace, "a replacement is needed: "+why.Sentence())
		return
	}
	if step > Starting && step != Killing && (t.exited() || t.replaced()) {
		t.startOver("exited", fmt.Sprintf("the process exited in step %s", step))
		return
	}
	if step == RepairingAgain && silent(t.w.verdict(t.r.Node)) {
		t.r.Pending, t.r.Return.Job = nil, nil
		t.to(AwaitUp) // what it misses now is not in the repair that runs
		return
	}
	switch step {
	case Preflight:
		t.preflight()
	case AwaitDown:
		t.awaitDown()
	case AwaitUp:
		t.awaitUp()
	case Starting, Killing, Repairing, Joining, RepairingAgain:
		t.redo(step)
	case Previewing, Opening, Reading, Ramping, RampingFull:
		t.enter(Verifying)
	}
}

// redo gives an order again when none is pending: the last one ended Failed
// or Uncertain and its pause is over.
func (t *turn) redo(step ReturnStep) {
	if len(t.r.Pending) > 0 || t.w.InStep < retryAfter {
		return
	}
	switch step {
	case Starting, Killing:
		t.to(Preflight)
	case Joining:
		t.nextStep()
		t.join()
	case Repairing, RepairingAgain:
		if t.r.Return.Job == nil || !t.jobLives() {
			t.planRepair(step)
			return
		}
		t.nextStep()
		t.nextBatch()
	case Preflight, AwaitDown, AwaitUp, Previewing, Opening, Reading, Ramping, RampingFull:
	}
}

// jobLives tells whether every peer of the segments that are left still
// serves; otherwise the rest is planned anew with those that do.
func (t *turn) jobLives() bool {
	job := t.r.Return.Job
	for _, i := range job.Batch(len(job.Segments)) {
		for _, h := range job.Segments[i].Hosts {
			if h != t.r.Node && !t.w.Serves(h) {
				return false
			}
		}
	}
	return true
}

// startOver goes back to Preflight, as often as the policy allows. The process
// that ended is the one the incident is about from now on.
func (t *turn) startOver(code, reason string) {
	t.r.Pending = nil
	if t.r.Return.Process != "" && code != "failed" { // a kill that failed ended nothing
		t.r.Process = t.r.Return.Process
	}
	t.r.Return.Process, t.r.Return.Generation = "", 0
	t.r.Return.Step, t.r.Return.Job, t.r.Return.InPlace = Preflight, nil, false
	t.waitAside()
	if t.r.Return.Tries >= t.w.Policy.Return.TriesMax {
		t.hold(RuleHibernation, fmt.Sprintf("%s; %d starts were tried; look at its log, then retry", reason, t.r.Return.Tries))
		return
	}
	t.enter(Returning)
	t.say(Saw, "return_"+code, "reason", reason, "try", count(t.r.Return.Tries))
}

// preflight starts the node when every condition of a return holds.
func (t *turn) preflight() {
	v := t.w.verdict(t.r.Node)
	if t.neverEnded(v) {
		return
	}
	if answers(v) || t.runsAnother() || t.r.Return.InPlace && v.Own == membership.Good {
		t.cameBack()
		return
	}
	if t.r.Return.Tries > 0 && t.w.InStep < retryAfter {
		return // starts that failed are spaced; what is known of the last one may be old
	}
	if v.Own != membership.Exited {
		t.wait(RuleReach, "waits_agent", "node", string(t.r.Node))
		return
	}
	if f := t.preflightFault(); f != nil {
		t.preflightWaits(*f)
		return
	}
	start := isolate.Hibernate
	levels := isolate.Clients | isolate.Reads
	if t.cold() {
		start, levels = isolate.Normal, 0
	}
	t.r.Return.Tries++
	t.r.Return.Cold, t.r.Return.InPlace = start == isolate.Normal, false
	t.ledger = t.ledger.with(t.r, HoldsReturn).started(t.r.Node, t.w.Wall)
	t.r.Return.Step = Starting
	t.nextStep()
	t.say(Did, "did_start", "node", string(t.r.Node), "how", start.String(), "try", count(t.r.Return.Tries))
	t.fence(levels, start)
	t.order(Once{Verb: VerbStart}, startMax)
	if start == isolate.Hibernate {
		t.wantPoolsStill(loadbalancer.Wish{Want: loadbalancer.Drain}) // nobody is there to lose, and it must stay out until it is proven
	}
}

// neverEnded gives up a return that nobody has begun with, of a node that
// answers with the very process that seemed to be down.
func (t *turn) neverEnded(v membership.Verdict) bool {
	same, known := t.sameProcess(t.r.Process)
	if !known || !same || !answers(v) || t.r.Return.Tries > 0 || t.r.Return.InPlace {
		return false
	}
	t.r.Return = nil
	t.waitAside()
	t.enter(Verifying)
	t.say(Decided, "decided_verify", "node", string(t.r.Node))
	return true
}

// runsAnother tells whether a process runs that is not the one that ended.
func (t *turn) runsAnother() bool {
	same, known := t.sameProcess(t.r.Process)
	return known && !same
}

// cold tells whether this is a cluster that lost its power: all were gone at
// once, and no write can have been acknowledged since.
func (t *turn) cold() bool { return !t.r.Outage.Writable && t.r.Outage.Dark }

func (t *turn) preflightWaits(f fault) {
	if f.held {
		t.hold(f.rule, f.reason)
		return
	}
	t.wait(f.rule, "waits_preflight", "reason", f.reason)
}

// cameBack deals with a node that somebody else started, or that an earlier
// start left running. It is kept from readers first, whatever else is true; if
// it hibernates it is ours as it is, otherwise it is repaired in place.
func (t *turn) cameBack() {
	f, stands := t.w.Fences[t.r.Node]
	if !stands || !f.Levels.Has(isolate.Clients|isolate.Reads) || f.Start != isolate.Hibernate {
		if t.quorumAllows() {
			t.nextStep()
			t.say(Decided, "decided_fence_reads", "node", string(t.r.Node))
			t.fence(isolate.Clients|isolate.Reads, isolate.Hibernate)
		}
		return
	}
	own, ok := t.w.own(t.r.Node)
	if !ok || !own.Running || own.Generation == 0 || own.Process == t.r.Process && !t.r.Return.InPlace {
		t.wait(RuleReach, "waits_own", "node", string(t.r.Node))
		return
	}
	if f := t.budgetFault(); f != nil {
		t.preflightWaits(*f)
		return
	}
	if t.w.Schema == nil {
		t.wait(RulePreflight, "waits_preflight", "reason", "ring and schema are not known yet: no Cassandra was asked")
		return
	}
	if t.expired() {
		t.hold(RuleGCGrace, t.expiredReason())
		return
	}
	t.r.Return.Process, t.r.Return.Generation, t.r.Return.Cold = own.Process, own.Generation, false
	t.ledger = t.ledger.with(t.r, HoldsReturn)
	if own.Mode == "NORMAL" {
		t.to(AwaitUp)
		return
	}
	t.to(AwaitDown)
}

// awaitDown is the check that makes hibernation a fence.
func (t *turn) awaitDown() {
	peers := t.w.livePeers(t.r.Node)
	down, up, missing := isolate.AllDown(t.w.Seen[t.r.Node], peers, t.r.Return.Generation)
	own, known := t.w.own(t.r.Node)
	switch {
	case known && own.Process == t.r.Return.Process && own.Mode == "NORMAL":
		t.to(AwaitUp) // it was started plainly: behind its fence, and in the ring
	case len(up) > 0 && t.w.InStep < upBelieved:
		t.wait(RuleHibernation, "waits_down", "peers", names(slices.Concat(up, missing)))
	case len(up) > 0:
		t.say(Saw, "saw_up", "peers", names(up), "node", string(t.r.Node))
		t.under(RuleHibernation)
		t.to(Killing)
		t.order(Once{Verb: VerbKill, Process: t.r.Return.Process}, shortMax)
	case down:
		if t.planRepair(Repairing) {
			t.say(Proved, "proved_down", "peers", names(peers), "node", string(t.r.Node))
		}
	case t.w.InStep > sightMax:
		t.hold(RuleHibernation, fmt.Sprintf("no word from %s whether the hibernated node is DOWN there; start their agents, then retry", names(missing)))
	default:
		t.wait(RuleHibernation, "waits_down", "peers", names(missing))
	}
}

// planRepair makes the job of a repair and orders its first batch. What is
// written counters would have to prove; unknown means written, so every
// replicated table is repaired. It is false when nothing could be planned: too
// few live replicas is waited for, what a person must mend is held.
func (t *turn) planRepair(step ReturnStep) bool {
	if t.w.Schema == nil {
		t.wait(RulePreflight, "waits_preflight", "reason", "ring and schema are not known yet: no Cassandra was asked")
		return false
	}
	if t.expired() {
		t.hold(RuleGCGrace, t.expiredReason())
		return false
	}
	job, refused, err := repair.Plan(repair.PlanInput{
		Schema: *t.w.Schema, Node: t.r.Node,
		Live:      func(n cluster.Name) bool { return n == t.r.Node || t.w.Serves(n) },
		Regions:   t.regions(),
		Residency: t.w.Policy.Residency,

		RangesPerSegment: rangesPerSegment,
	})
	if err != nil {
		t.hold(RulePreflight, "no repair can be planned: "+err.Error())
		return false
	}
	// Traces and the history of repairs hold nothing a client waits for.
	refused = slices.DeleteFunc(refused, func(r repair.Refused) bool { return cluster.Exempt(r.Keyspace) })
	for _, r := range refused {
		if r.Rule != repair.QuorumRule {
			t.hold(Rule(r.Rule), fmt.Sprintf("repair of %s refused: %s", r.Keyspace, r.Why))
			return false
		}
	}
	if len(refused) > 0 {
		t.wait(RuleRepairQuorum, "waits_preflight", "reason", fmt.Sprintf("repair of %s: %s", refused[0].Keyspace, refused[0].Why))
		return false
	}
	t.r.Return.Job = &job
	t.to(step)
	if job.Complete() {
		t.repaired()
		return true
	}
	t.nextBatch()
	return true
}

func (t *turn) regions() map[cluster.Name]cluster.Region {
	out := make(map[cluster.Name]cluster.Region, len(t.w.Schema.Members))
	for _, m := range t.w.Schema.Members {
		if region, ok := t.w.Policy.RegionOf(m.Datacenter); ok {
			out[m.Name] = region
		}
	}
	return out
}

// nextBatch orders the next segments of the job.
func (t *turn) nextBatch() {
	job := t.r.Return.Job
	batch := job.Batch(t.w.Policy.Return.BatchMax)
	segments := make([]repair.Segment, len(batch))
	for i, n := range batch {
		segments[i] = job.Segments[n]
	}
	t.order(Once{Verb: VerbRepair, Segments: segments, First: batch[0]}, LimitMax)
}

func (t *turn) join() {
	t.order(Once{Verb: VerbJoinRing, Process: t.r.Return.Process}, shortMax)
}

// orderEnded lets the step that gave an order go on.
func (t *turn) orderEnded(e Effect, ev Finished) {
	if t.r.Return == nil || e.Once == nil {
		return
	}
	if ev.Outcome == Uncertain {
		t.r.Return.Uncertain++
		if t.r.Return.Uncertain > uncertainMax {
			t.hold(RuleDeadline, fmt.Sprintf("%s ended uncertain %d times", e.Once.Verb, t.r.Return.Uncertain))
		}
		return // redo gives it again after its pause
	}
	if ev.Outcome != Done {
		t.orderFailed(e, ev)
		return
	}
	t.orderDone(e, ev.Result)
}

func (t *turn) orderFailed(e Effect, ev Finished) {
	kind, rule := Saw, ev.Result.Rule
	if ev.Outcome == TurnedAway {
		kind = Refused
	}
	t.say(kind, "order_failed", "verb", e.Once.Verb.String(), "agent", string(e.Once.Agent), "detail", ev.Result.Why)
	t.under(rule)
	switch e.Once.Verb {
	case VerbStart, VerbKill:
		t.startOver("failed", fmt.Sprintf("%s failed: %s", e.Once.Verb, ev.Result.Why))
	case VerbRepair:
		t.progress(ev.Result)
		t.countFailure("repair failed: " + ev.Result.Why)
	case VerbUnknown, VerbJoinRing, VerbPreview, VerbReadRows, VerbPrepare:
		t.countFailure(fmt.Sprintf("%s failed: %s", e.Once.Verb, ev.Result.Why))
	}
}

// countFailure bounds what may fail in a return before a person is asked.
func (t *turn) countFailure(reason string) {
	t.r.Return.Uncertain++
	if t.r.Return.Uncertain > uncertainMax {
		t.hold(RuleVerify, reason)
	}
}

// progress notes which segments were repaired: a job only grows.
func (t *turn) progress(res Result) {
	if t.r.Return.Job == nil {
		return
	}
	job := *t.r.Return.Job
	for _, i := range res.Done {
		job = job.Mark(i)
	}
	t.r.Return.Job = &job
}

func (t *turn) orderDone(e Effect, res Result) {
	switch e.Once.Verb {
	case VerbStart:
		t.started(res)
	case VerbKill:
		t.startOver("killed", "a peer said UP while it hibernated, so it was ended")
	case VerbRepair:
		t.progress(res)
		t.batchDone()
	case VerbJoinRing:
		t.say(Did, "did_join", "node", string(t.r.Node))
		t.to(AwaitUp)
	case VerbPreview:
		t.previewed(res)
	case VerbReadRows:
		t.rowsRead(res)
	case VerbUnknown, VerbPrepare:
	}
}

func (t *turn) started(res Result) {
	t.r.Return.Process, t.r.Return.Generation = res.Process, res.Generation
	t.say(Proved, "proved_start", "node", string(t.r.Node), "took", seconds(res.Took), "generation", fmt.Sprint(res.Generation))
	if t.r.Return.Cold {
		t.enter(Verifying)
		t.r.Return.Step = Opening
		return
	}
	t.to(AwaitDown)
}

func (t *turn) batchDone() {
	done, total := t.r.Return.Job.Progress()
	t.say(Did, "did_repair", "done", count(done), "total", count(total), "round", count(t.r.Return.Rounds+1))
	t.nextStep()
	if t.r.Return.Job.Complete() {
		t.repaired()
		return
	}
	t.nextBatch()
}

// repaired goes on after a whole job.
func (t *turn) repaired() {
	t.r.Return.Rounds++
	if t.r.Return.Step == Repairing {
		t.to(Joining)
		t.join()
		return
	}
	t.enter(Verifying)
	t.r.Return.Step = Previewing
	t.preview()
}

// awaitUp waits until everybody sees the node UP and still avoids it.
func (t *turn) awaitUp() {
	peers := t.w.livePeers(t.r.Node)
	ok, rest := isolate.AllUp(t.w.Seen[t.r.Node], peers, t.r.Return.Generation, true)
	own, known := t.w.own(t.r.Node)
	switch {
	case ok && known && own.Mode == "NORMAL" && own.Severity >= isolate.SeverityFenced:
		if t.planRepair(RepairingAgain) {
			t.say(Proved, "proved_up", "peers", names(peers), "node", string(t.r.Node))
		}
	case t.w.InStep > sightMax:
		t.hold(RuleHibernation, fmt.Sprintf("the node left hibernation and %s do not see it UP under Severity; look at gossip there", names(rest)))
	default:
		t.wait(RuleHibernation, "waits_up", "peers", names(rest))
	}
}

// fault is what keeps a return from starting; held asks for a person.
type fault struct {
	rule   Rule
	reason string
	held   bool
}

// preflightFault holds a return against what must be true before it starts.
func (t *turn) preflightFault() *fault {
	if t.expired() {
		return &fault{RuleGCGrace, t.expiredReason(), true}
	}
	if f := t.budgetFault(); f != nil {
		return f
	}
	if t.cold() {
		if t.othersWrote(true) {
			return &fault{RuleEvidence, "the whole ring went; whether others took writes since is not known yet", false}
		}
		return nil
	}
	if t.w.Schema == nil {
		return &fault{RulePreflight, "ring and schema are not known yet: no Cassandra was asked", false}
	}
	for _, f := range []func() *fault{t.versionFault, t.seedFault, t.snitchFault, t.ringFault, t.residencyFault, t.gcGraceFault} {
		if f := f(); f != nil {
			return f
		}
	}
	return nil
}

// budgetFault lets one node of a datacenter return at a time.
func (t *turn) budgetFault() *fault {
	if other, busy := t.ledger.returning(t.r.ID); busy {
		return &fault{RuleBudget, fmt.Sprintf("%s is being returned (%s), one at a time", other.Node, other.Incident), false}
	}
	return nil
}

func (t *turn) versionFault() *fault {
	facts := t.w.Agents[t.r.Node].Cassandra
	if facts == nil || facts.Version == "" {
		return nil // the process is down and was never asked: its peers' ring says the rest
	}
	for _, v := range t.w.Policy.Versions {
		if facts.Version == v || len(facts.Version) > len(v) && facts.Version[:len(v)+1] == v+"." {
			return nil
		}
	}
	return &fault{RulePreflight, "Cassandra " + facts.Version + " is not among the tested versions of the policy", true}
}

// seedFault wants two live seeds besides the node: one that is alone could
// start a ring of its own.
func (t *turn) seedFault() *fault {
	facts := t.w.Agents[t.r.Node].Cassandra
	if facts == nil || len(facts.Seeds) == 0 {
		return nil
	}
	live := 0
	for _, m := range t.w.Schema.Members {
		if m.Name != t.r.Node && slices.Contains(facts.Seeds, m.Address) && t.w.Serves(m.Name) {
			live++
		}
	}
	if live < 2 {
		return &fault{RulePreflight, fmt.Sprintf("%d live seeds besides the node, need 2", live), false}
	}
	return nil
}

func (t *turn) snitchFault() *fault {
	for _, p := range t.w.livePeers(t.r.Node) {
		if facts := t.w.Agents[p].Cassandra; facts != nil && facts.SnitchOff {
			return &fault{RulePreflight, "Severity has no effect on " + string(p) + ": its dynamic snitch is off", true}
		}
	}
	return nil
}

func (t *turn) ringFault() *fault {
	for _, m := range t.w.Schema.Members {
		if m.Name != t.r.Node {
			continue
		}
		if facts := t.w.Agents[t.r.Node].Cassandra; facts != nil && facts.Tokens != 0 && facts.Tokens != len(m.Tokens) {
			return &fault{RulePreflight, fmt.Sprintf("the ring has %d tokens for it, its configuration %d", len(m.Tokens), facts.Tokens), true}
		}
		return nil
	}
	return &fault{RulePreflight, "the ring does not know the node", true}
}

func (t *turn) residencyFault() *fault {
	region, ok := t.w.Policy.RegionOf(t.r.Datacenter)
	if !ok {
		return &fault{NoBorderCrossing, "the policy maps no region to datacenter " + string(t.r.Datacenter), true}
	}
	var keyspaces []string
	for _, ks := range t.w.Schema.Keyspaces {
		if replicatedIn(ks, t.r.Datacenter) && !cluster.NeverReplicated(ks.Name) {
			keyspaces = append(keyspaces, ks.Name)
		}
	}
	slices.Sort(keyspaces)
	if err := t.w.Policy.Residency.Admit(keyspaces, region); err != nil {
		return &fault{NoBorderCrossing, err.Error(), true}
	}
	return nil
}

func (t *turn) gcGraceFault() *fault {
	if _, _, _, zero := t.deadline(); len(zero) > 0 && t.w.Wall.Sub(t.r.Outage.From) > t.w.Policy.Ages.Replace {
		return &fault{RuleGCGrace, fmt.Sprintf("gc_grace_seconds is 0 on %v: declare \"no deletes, TTL only\" in the policy, or replace the node", zero), true}
	}
	return nil
}

// rampWish is the pool state of a ramp step.
func rampWish(step ReturnStep) loadbalancer.Wish {
	n := 0
	if step == RampingFull {
		n = 1
	}
	w, _ := loadbalancer.Ramp(n)
	return w
}
