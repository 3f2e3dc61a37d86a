// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/repair"
)

// A repair must not finish the survivors: each of its batches begins only while
// all who take part in it can bear it, and one at a time works with each of them.

const (
	// unheardMax bounds the wait for a word about a participant's load. An agent that
	// cannot tell it, or is an earlier program, must not keep a node asleep.
	unheardMax = 30 * time.Second
	// stalledAfter is how long a repair may wait for its participants until it is a
	// finding, foreignAfter how long it may wait for the repairs of others.
	stalledAfter = 10 * time.Minute
	foreignAfter = 5 * time.Minute
)

// told are the bounds with what a policy of an earlier program does not say.
func (b RepairBars) told() RepairBars {
	usual := DefaultPolicy().Repair
	if b.PendingCompactionsMax == 0 {
		b.PendingCompactionsMax = usual.PendingCompactionsMax
	}
	if b.DiskFreeMin == 0 {
		b.DiskFreeMin = usual.DiskFreeMin
	}
	if b.LatencyFactorMax == 0 {
		b.LatencyFactorMax = usual.LatencyFactorMax
	}
	return b
}

func (b RepairBars) bounds() repair.Bounds {
	b = b.told()
	return repair.Bounds{Compactions: int64(b.PendingCompactionsMax), Dropped: int64(b.DroppedMutationsMax), DiskFree: b.DiskFreeMin, LatencyFactor: b.LatencyFactorMax}
}

// Loaded is the last word of an agent about the load of its Cassandra, with the
// moments on this leader's clock at which it was first there, and since when nothing
// moved.
type Loaded struct {
	repair.Load
	Boot         cluster.Boot
	Since, Still cluster.Moment
}

// NowLoaded goes on from what was known a turn before. A leader that began later
// takes a word for younger than it is, by what a word may be old at the most.
func (w *World) NowLoaded(was map[cluster.Name]Loaded) map[cluster.Name]Loaded {
	var now map[cluster.Name]Loaded
	take := func(n cluster.Name, a Agent) {
		if a.Load == nil {
			return
		}
		l := Loaded{Load: *a.Load, Boot: a.Boot, Since: w.Now, Still: w.Now}
		if old, known := was[n]; known && old.Boot == l.Boot {
			if old.Reading == l.Reading {
				l.Since = old.Since
			}
			if old.Moved == l.Moved {
				l.Still = old.Still
			}
		}
		if now == nil {
			now = map[cluster.Name]Loaded{}
		}
		now[n] = l
	}
	for n, a := range w.Agents { // order: each for itself
		take(n, a)
	}
	for n, f := range w.Abroad { // order: each for itself
		if f.Heard {
			take(n, f.Agent)
		}
	}
	return now
}

// AsksLoad tells whether an agent of a host is to tell its load: the host is among
// those of the next segments of a repair, and the policy heeds loads.
func (r Record) AsksLoad(n cluster.Name, ahead int, p *Policy) bool {
	if !p.heeds() || r.Return == nil || r.Return.Job == nil || r.Return.Step < Repairing || r.Return.Step > RepairingAgain {
		return false
	}
	return slices.ContainsFunc(r.Return.Job.Batch(ahead), func(i int) bool { return slices.Contains(r.Return.Job.Segments[i].Hosts, n) })
}

// heeds tells whether repairs wait for what their participants can bear.
func (p *Policy) heeds() bool { return p != nil && p.Repair.HeedLoad }

// batch chooses the next segments and tells whether they may begin. They follow one
// another in the job, and none works with a host that another incident's batch works
// with.
func (t *turn) batch() ([]int, repair.Permit) {
	job, pace := t.r.Return.Job, t.r.Return.Pace
	if !t.w.Policy.heeds() {
		return job.Batch(t.w.Policy.Return.BatchMax), repair.Permit{}
	}
	most := pace.Next(t.w.Policy.Return.BatchMax)
	elsewhere := t.elsewhere()
	taken := func(i int) cluster.Name {
		for _, h := range job.Segments[i].Hosts {
			if _, busy := elsewhere[h]; busy {
				return h
			}
		}
		return ""
	}
	var batch []int
	var at cluster.Name
	for _, i := range job.Batch(len(job.Segments)) {
		h := taken(i)
		if h != "" && at == "" {
			at = h
		}
		switch follows := len(batch) > 0 && batch[len(batch)-1] == i-1; {
		case h == "" && (len(batch) == 0 || follows && len(batch) < most):
			batch = append(batch, i)
			continue
		case len(batch) == 0:
			continue
		}
		break
	}
	if len(batch) == 0 {
		return nil, repair.Permit{Rule: string(RuleRepairPeer), Of: at, Why: fmt.Sprintf("%s takes part in a repair of %s, one at a time", at, elsewhere[at]), Next: "it goes on when that batch has ended"}
	}
	if other := t.waitsToo(batch); other != "" {
		return nil, repair.Permit{Rule: string(RuleRepairPeer), Of: other, Why: fmt.Sprintf("the repair of %s waits for the same hosts, in turns", other), Next: "it goes on when that batch has ended"}
	}
	p := repair.Decide(t.peers(hostsOf(job, batch)), t.w.Policy.Repair.bounds(), len(batch))
	return batch[:min(len(batch), max(1, p.Segments))], p
}

func hostsOf(job *repair.Job, batch []int) []cluster.Name {
	var hosts []cluster.Name
	for _, i := range batch {
		for _, h := range job.Segments[i].Hosts {
			if !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	slices.Sort(hosts)
	return hosts
}

// elsewhere are the hosts that the batches and comparisons of other incidents work
// with, and for which node. What was ordered before a pause has ended long since.
func (t *turn) elsewhere() map[cluster.Name]cluster.Name {
	out := maps.Clone(t.w.Busy)
	if out == nil {
		out = map[cluster.Name]cluster.Name{}
	}
	for _, o := range slices.Concat(t.w.Open, t.w.Repairs) {
		p, paused := t.w.Holds.Paused(o.Datacenter, t.w.Wall)
		if o.ID != t.r.ID && (!paused || t.w.Wall.Sub(p.From) < LimitMax+overdueSlack) {
			o.worksWith(out)
		}
	}
	for _, f := range t.w.Abroad { // order: into a map; a node has one incident
		if f.Record != nil && f.Told {
			f.Record.worksWith(out)
		}
	}
	delete(out, t.r.Node) // its own agent does one order after another
	return out
}

// worksWith adds the hosts that the pending orders of a record compare.
func (r Record) worksWith(out map[cluster.Name]cluster.Name) {
	for _, e := range r.Pending {
		e.WorksWith(out)
	}
}

// WorksWith adds the hosts that an order compares, with the node that it is for.
func (e Effect) WorksWith(out map[cluster.Name]cluster.Name) {
	if e.Once == nil || e.Once.Verb != VerbRepair && e.Once.Verb != VerbPreview {
		return
	}
	for _, s := range e.Once.Segments {
		for _, h := range s.Hosts {
			if _, known := out[h]; !known {
				out[h] = e.Once.Target
			}
		}
	}
}

// waitsToo is the node of another incident that waits for hosts of this batch: it is
// let first, by whoever has not waited for it yet.
func (t *turn) waitsToo(batch []int) cluster.Name {
	if t.r.Waits == RuleRepairPeer {
		return ""
	}
	hosts := hostsOf(t.r.Return.Job, batch)
	for _, o := range t.w.Open {
		if o.ID == t.r.ID || o.Waits != RuleRepairPeer || o.Return == nil || o.Return.Job == nil || o.Phase == Held {
			continue
		}
		if _, paused := t.w.Holds.Paused(o.Datacenter, t.w.Wall); paused {
			continue
		}
		next := o.Return.Job.Batch(1)
		if len(next) > 0 && slices.ContainsFunc(hostsOf(o.Return.Job, next), func(h cluster.Name) bool { return slices.Contains(hosts, h) }) {
			return o.Node
		}
	}
	return ""
}

// peers is what is known of the participants of a batch.
func (t *turn) peers(hosts []cluster.Name) []repair.Peer {
	others := int64(0) // other repairs whose batch may have ended since a word was given
	for _, o := range slices.Concat(t.w.Open, t.w.Repairs) {
		if o.ID != t.r.ID && o.Return != nil && o.Return.Job != nil {
			others++
		}
	}
	own := t.w.Loads[t.r.Node].Own
	pace := t.r.Return.Pace
	var out []repair.Peer
	for _, h := range hosts {
		p := repair.Peer{Name: h, Node: h == t.r.Node, Before: pace.Before[h], GivenUp: slices.Contains(pace.GivenUp, h), Ours: own + others}
		if l, told := t.w.Loads[h]; told {
			p.Load, p.Age, p.Idle = &l.Load, t.w.Now.Sub(l.Since), t.w.Now.Sub(l.Still)
			if p.Busy = own > 0 || t.batchEnded || t.w.InStep > 0 && p.Age >= t.w.InStep; p.Busy {
				p.Ours++ // of a moment at which the last batch had not ended, perhaps
			}
		}
		out = append(out, p)
	}
	return out
}

// presses lets the repair wait, and go on with half as much after that.
func (t *turn) presses(p repair.Permit) {
	if p.Rule == repair.UnheardRule && t.w.InStep >= unheardMax {
		t.giveUpUnheard(p.Why)
		return
	}
	if t.r.Waits != Rule(p.Rule) || t.r.Return.Pace.Since.IsZero() {
		t.r.Return.Pace = t.r.Return.Pace.Pressed(t.w.Wall)
		t.changed = true
	}
	t.wait(Rule(p.Rule), "waits_repair", "why", p.Why, "next", p.Next)
}

// giveUpUnheard waits no longer for those who do not tell their load.
func (t *turn) giveUpUnheard(why string) {
	var unheard []cluster.Name
	job := t.r.Return.Job
	for _, h := range hostsOf(job, job.Batch(t.w.Policy.Return.BatchMax)) {
		if l, known := t.w.Loads[h]; !known || !l.Told(t.w.Now.Sub(l.Since)) {
			unheard = append(unheard, h)
		}
	}
	known := t.r.Return.Pace.GivenUp
	t.r.Return.Pace.GivenUp = slices.Compact(slices.Sorted(slices.Values(slices.Concat(known, unheard))))
	t.say(Waited, "repair_unheard", "peers", names(unheard), "time", unheardMax.String(), "why", why)
	t.under(Rule(repair.UnheardRule))
}

// pressed tells whether the repair waits for its participants, and no order is
// pending.
func (t *turn) pressed() bool {
	return t.r.Waits == RuleRepairPeer || strings.HasPrefix(string(t.r.Waits), "repair-") && t.r.Waits != RuleRepairQuorum
}

// stillPressed tells whether a repair that is held would wait again at once, by what
// its participants say.
func (t *turn) stillPressed() bool {
	if t.r.Return.Job == nil || t.r.Return.Job.Complete() {
		return false
	}
	_, p := t.batch()
	return p.Waits() && p.Rule != repair.UnheardRule && p.Rule != string(RuleRepairPeer)
}

// paced keeps the pace of a batch that begins.
func (t *turn) paced(batch []int) {
	if !t.w.Policy.heeds() {
		return
	}
	pace := t.r.Return.Pace.Went(t.w.Policy.Return.BatchMax)
	pace.Before = maps.Clone(pace.Before)
	pace.GivenUp = slices.DeleteFunc(slices.Clone(pace.GivenUp), func(h cluster.Name) bool {
		l, known := t.w.Loads[h]
		return known && l.Told(t.w.Now.Sub(l.Since))
	})
	for _, h := range hostsOf(t.r.Return.Job, batch) {
		if l := t.w.Loads[h]; pace.Before[h] == 0 && l.Latency > 0 && h != t.r.Node {
			if pace.Before == nil {
				pace.Before = map[cluster.Name]time.Duration{}
			}
			pace.Before[h] = l.Latency
		}
	}
	t.r.Return.Pace = pace
}

// RepairWaits is why no batch of an incident's repair begins and what would change
// that, as it is now; empty: nothing keeps it.
func (w World) RepairWaits(r Record) (why, next string) {
	t := newTurn(r, w)
	switch {
	case r.Return == nil || len(r.Pending) > 0 || w.Policy == nil:
		return "", ""
	case r.Waits == RuleRepairQuorum:
		return "too few replicas can be compared with", "bring back those that are out"
	case !t.pressed() || r.Return.Job == nil || r.Return.Job.Complete():
		return "", ""
	}
	_, p := t.batch()
	return p.Why, p.Next
}

// waitWords names the rule that an incident waits for, and of a repair why.
func (t *turn) waitWords() string {
	words := orNone(string(t.r.Waits))
	if why, _ := t.w.RepairWaits(t.r); why != "" && t.pressed() {
		words += ": " + why
	}
	return words
}

// repairRows are about repairs that do not go on.
func repairRows() []Row {
	return []Row{
		{"REPAIR_STALLED", Error, ScopeIncident, "the repair of {node} ({incident}) has not begun a batch for {time} by rule {rule}: {why}",
			"the rule names what would let it go on; until then the node serves nobody", true, repairStalled},
		{"REPAIR_FOREIGN", Error, ScopeIncident, "the repair of {node} ({incident}) has waited for {time} for repairs that the supervisor did not begin: {why}",
			"pause Reaper, ecChronos or auto-repair until the node is back; nothing of theirs is ended", true, repairForeign},
	}
}

func repairStalled(w World) []Subjected {
	return w.stalls(stalledAfter, func(r Rule) bool { return r != Rule(repair.ForeignRule) })
}

func repairForeign(w World) []Subjected {
	return w.stalls(foreignAfter, func(r Rule) bool { return r == Rule(repair.ForeignRule) })
}

func (w World) stalls(after time.Duration, by func(Rule) bool) []Subjected {
	var out []Subjected
	for _, r := range w.Open {
		if r.Phase != Returning || r.Return == nil || r.Return.Pace.Since.IsZero() || len(r.Pending) > 0 || r.Waits == "" || !by(r.Waits) {
			continue
		}
		took := w.Wall.Sub(r.Return.Pace.Since)
		if took < after {
			continue
		}
		why, next := w.RepairWaits(r)
		if next != "" {
			why += "; " + next
		}
		out = append(out, subject(r.ID, "incident", r.ID, "node", string(r.Node), "time", took.Truncate(time.Minute).String(), "rule", string(r.Waits), "why", orNone(why)))
	}
	return out
}
