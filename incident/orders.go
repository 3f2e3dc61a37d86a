// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"

	"supervisor/cluster"
	"supervisor/repair"
)

// jobLives tells whether the plan can be read and every peer of the segments that are left can still be
// compared with; otherwise the rest is planned anew with those that can. So it is
// when one of them lacks writes itself by now and the others are too few.
func (t *turn) jobLives() bool {
	job, lacking := t.r.Return.Job, false
	if job.Lost() || !t.tablesStand() {
		return false
	}
	for _, i := range job.Batch(len(job.Segments)) {
		for _, h := range job.Segments[i].Hosts {
			if h != t.r.Node && !t.mayRepairWith(h) {
				return false
			}
			lacking = lacking || h != t.r.Node && t.lacksToo(h)
		}
	}
	return !lacking || t.plannable()
}

// mayRepairWith tells whether a peer can be compared with and has nothing that
// the others have deleted and forgotten: a repair would bring it to all of them.
func (t *turn) mayRepairWith(peer cluster.Name) bool {
	expired := slices.ContainsFunc(t.w.Open, func(o Record) bool { return o.Node == peer && o.Outage.expired(t.w.Wall) })
	if r := t.w.Abroad[peer].Record; r != nil {
		expired = r.Outage.expired(t.w.Wall)
	}
	return t.w.compares(peer) && !expired
}

// planRepair makes the job of a repair and orders its first batch. What was
// written counters prove; unknown means written, so where they do not every
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
	if f := t.budgetFault(); f != nil {
		t.preflightWaits(*f)
		return false
	}
	in := repair.PlanInput{
		Schema: *t.w.Schema, Node: t.r.Node,
		Live:      func(n cluster.Name) bool { return n == t.r.Node || t.mayRepairWith(n) },
		Lacks:     t.lacksToo,
		Regions:   t.regions(),
		Residency: t.w.Policy.Residency,

		RangesPerSegment: rangesPerSegment, RangesJoined: rangesJoined,
		Sizes: t.sizes(), SegmentBytes: segmentBytes,
	}
	in.Apart = t.apart(step).Fit(in)
	job, refused, err := repair.Plan(in)
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
		t.waitForReplicas(fmt.Sprintf("repair of %s: %s", refused[0].Keyspace, refused[0].Why))
		return false
	}
	t.takesTurn()
	if was := t.r.Return.Job; was != nil && was.Lost() {
		t.say(Saw, "saw_plan_lost")
	}
	t.sayLeft(step, in.Apart)
	t.begins(step)
	t.r.Return.Job = &job
	t.r.Return.uncompare()
	t.to(step)
	if job.Complete() {
		t.repaired()
		return true
	}
	t.nextBatch()
	return true
}

// sizes are what the node's own agent told of its tables, in bytes; nil: nothing.
func (t *turn) sizes() map[string]map[string]int64 {
	facts := t.w.facts(t.r.Node)
	if facts == nil || len(facts.Sizes) == 0 {
		return nil
	}
	out := make(map[string]map[string]int64, len(facts.Sizes))
	for keyspace, tables := range facts.Sizes { // order: into a map
		out[keyspace] = make(map[string]int64, len(tables))
		for table, n := range tables { // order: into a map
			out[keyspace][table] = n << 20
		}
	}
	return out
}

// waitForReplicas waits for those that are to be compared with. A node in the ring
// gives its turn to them meanwhile. One that hibernates keeps it: no more may
// hibernate at a time than the budget says.
func (t *turn) waitForReplicas(why string) {
	if t.r.Return.Pace.Since.IsZero() && t.w.Policy.heeds() {
		t.r.Return.Pace = t.r.Return.Pace.Pressed(t.w.Wall)
		t.changed = true
	}
	if t.r.Return.Step >= AwaitUp {
		t.waitForOthers(RuleRepairQuorum, "waits_preflight", "reason", why)
		return
	}
	t.wait(RuleRepairQuorum, "waits_preflight", "reason", why)
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

// nextBatch orders the next segments of the job, or waits for who takes part in them.
func (t *turn) nextBatch() {
	batch, p := t.batch()
	if p.Waits() {
		t.presses(p)
		return
	}
	job := t.r.Return.Job
	segments := make([]repair.Segment, len(batch))
	for i, n := range batch {
		segments[i] = job.Segments[n]
	}
	if t.w.InStep > 0 || t.r.Waits != "" {
		t.nextStep()
	}
	t.paced(batch)
	t.order(Once{Verb: VerbRepair, Process: t.r.Return.Process, Segments: segments, First: batch[0]}, LimitMax)
}

// joinWaits keeps a sleeper asleep while its Severity would not keep readers off
// it: in the ring there is nothing else that does. Asleep it is DOWN for all, and
// is ended when one of them says otherwise.
func (t *turn) joinWaits() bool {
	f := t.joinFault()
	if f != nil {
		t.preflightWaits(*f)
	}
	return f != nil
}

func (t *turn) joinFault() *fault { return first(t.ageFault, t.untoldFault, t.snitchFault) }

func (t *turn) join() {
	t.order(Once{Verb: VerbJoinRing, Process: t.r.Return.Process}, shortMax)
}

// orderEnded lets the step that gave an order go on.
func (t *turn) orderEnded(e Effect, ev Finished) {
	if t.r.Return == nil || e.Once == nil {
		return
	}
	if ev.Outcome == Uncertain {
		if t.slowButOn(e, ev.Result) {
			return
		}
		t.r.Return.Uncertain++
		if t.r.Return.Uncertain > uncertainMax {
			t.hold(RuleDeadline, uncertainly(e.Once.Verb, t.r.Return.Uncertain, ev.Result.Why))
		}
		return // redo gives it again after its pause
	}
	if ev.Outcome != Done {
		t.orderFailed(e, ev)
		return
	}
	t.orderDone(e, ev.Result)
}

// uncertainly is the reason of a hold over orders whose end nobody knows, with what
// the last executor said, if it said anything.
func uncertainly(verb Verb, times int, why string) string {
	reason := fmt.Sprintf("%s ended uncertain %d times", verb, times)
	if why != "" {
		reason += "; the last time: " + why
	}
	return reason
}

// slowButOn keeps what an order finished before its limit: much data is no
// failure as long as each order gets further.
func (t *turn) slowButOn(e Effect, res Result) bool {
	if len(res.Done) == 0 || t.r.Return.Job == nil {
		return false
	}
	switch e.Once.Verb {
	case VerbRepair:
		t.progress(res)
		if t.r.Return.Job.Complete() {
			t.batchDone()
		}
	case VerbPreview:
		t.previewTold(*e.Once, res, false)
		if t.r.Return.Comparison().Complete() {
			t.compared()
		}
	case VerbUnknown, VerbStart, VerbKill, VerbJoinRing, VerbReadRows, VerbPowerOff, VerbPowerStatus:
		return false
	}
	t.r.Return.Uncertain = 0
	return true
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
	case VerbPreview:
		t.previewTold(*e.Once, ev.Result, false)
		t.countFailure(fmt.Sprintf("%s failed: %s", e.Once.Verb, ev.Result.Why))
	case VerbUnknown, VerbJoinRing, VerbReadRows, VerbPowerOff, VerbPowerStatus:
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
	t.r.Return.Uncertain = 0
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
		t.previewTold(*e.Once, res, true)
		t.previewGoesOn()
	case VerbReadRows:
		t.rowsRead(*e.Once, res)
	case VerbUnknown, VerbPowerOff, VerbPowerStatus:
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
	t.asks()
}

func (t *turn) batchDone() {
	done, total := t.r.Return.Job.Progress()
	t.batchEnded = true
	t.say(Did, "did_repair", "done", count(done), "total", count(total), "round", count(t.r.Return.Rounds+1))
	t.nextStep()
	if t.r.Return.Job.Complete() {
		t.repaired()
		return
	}
	if !t.jobLives() {
		t.planRepair(t.r.Return.Step)
		return
	}
	t.nextBatch()
}

// repaired goes on after a whole job.
func (t *turn) repaired() {
	t.r.Return.Rounds++
	if t.r.Return.Step == Repairing {
		t.r.Return.Repaired = t.r.Return.Planned
		t.to(Joining)
		if !t.joinWaits() {
			t.join()
		}
		return
	}
	t.enter(Verifying)
	t.r.Return.Step = Previewing
	t.preview()
}
