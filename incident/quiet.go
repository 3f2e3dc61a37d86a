// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"supervisor/cluster"
	"supervisor/repair"
)

// Writes is an agent's answer to questions about the write counters of its Cassandra.
// It stands while one of them does.
type Writes struct {
	Process cluster.Boot `json:"process"` // whose counters they are
	// Answers are the questions that were known before the counters were read.
	Answers []string `json:"answers"`
	// Still tells for how many seconds a table had taken nothing then, by keyspace and
	// table: first no mutation, then nothing at all. A table that is missing is one that
	// was written, or of which that is not known.
	Still map[string]map[string][2]int64 `json:"still,omitempty"`
}

const (
	// quietMargin is by how much longer than since its outage began, and twice the hint
	// window before, a table must have been quiet: clocks, late words, late mutations.
	quietMargin = time.Minute
	// againMargin is that of what was written since a repair was asked about, on one
	// clock: a counter moves a moment after its write.
	againMargin = 5 * time.Second
	// answersMax is how long replicas are waited for that count writes.
	answersMax = 10 * time.Second
	// answersFresh is how old a question may be when a repair is planned by it.
	answersFresh = 30 * time.Second
)

// Question names what the replicas of the node are asked; empty: nothing. While it is
// held nobody waits for their answer, and it may be held for days.
func (r Record) Question() string {
	if r.Return == nil || !r.Return.Open || r.Ended() || r.Phase == Held {
		return ""
	}
	return r.ID + "/" + strconv.FormatUint(uint64(r.Return.Asks), 10)
}

// asks puts a new question: whatever is read for it was read after this moment.
func (t *turn) asks() {
	if t.maySkip() && slices.ContainsFunc(t.replicas(), t.mayAnswer) {
		t.r.Return.Asks, t.r.Return.Asked = t.r.Return.Asks+1, t.w.Elapsed
		t.r.Return.Open, t.changed = true, true
	}
}

// answered tells whether a repair can be planned: what counters could tell is told,
// or nobody needs to be waited for. A question that is old is put again.
func (t *turn) answered() bool {
	ret := t.r.Return
	switch age := t.w.Elapsed - ret.Asked; {
	case !t.maySkip():
		return true
	case !ret.Open || age > answersFresh:
		ret.Open = false
		t.asks()
		return !ret.Open
	case age > answersMax:
		return true
	}
	return !slices.ContainsFunc(t.replicas(), func(n cluster.Name) bool { return t.mayAnswer(n) && t.answer(n) == nil })
}

// maySkip tells whether tables may be left out of a repair at all. Not where the
// beginning of the outage is not known on this leader's clock, where more than this node
// was gone, where a person had a hand in it, or where a repair left old rows behind.
func (t *turn) maySkip() bool {
	r, w := &t.r, &t.w
	odd := w.ByWall || w.Older || w.Storm != "" || w.Lapsed[r.Node] || w.Agents[r.Node].Unrepaired
	hard := r.Outage.Unseen || r.Outage.Dark || r.Burst != "" || r.Hand != nil || r.Return.Whole
	return w.Policy.SkipsQuiet() && !odd && !hard && w.Schema != nil && w.Schema.Version != "" && w.hintWindow() > 0 && t.changeFault() == nil
}

func (t *turn) replicas() []cluster.Name { return repair.Replicas(*t.w.Schema, t.r.Node) }

// mayAnswer tells whether an answer can come from a replica: its agent counts, and
// reads this region's records, which in another region only those that judge do.
func (t *turn) mayAnswer(n cluster.Name) bool {
	a, there := t.w.agent(n)
	_, foreign := t.w.Abroad[n]
	_, lacks := t.w.lacking(n)
	return there && a.Counts && !lacks && (!foreign || a.Control)
}

// answer is what a replica answered to the question that is open; nil: nothing that
// is believed.
func (t *turn) answer(n cluster.Name) *Writes {
	a, _ := t.w.agent(n)
	said := a.Writes
	if said == nil || !t.mayAnswer(n) || !slices.Contains(said.Answers, t.r.Question()) {
		return nil
	}
	if p := t.w.verdict(n).Process; p != "" && p != said.Process {
		return nil
	}
	return said
}

// quietFor are the tables of which nothing can be missing from some time on. Where
// mutations is not nil, they alone count for the tables that it names.
func (t *turn) quietFor(d time.Duration, mutations func(keyspace, table string) bool) map[string][]string {
	said := map[cluster.Name]*Writes{}
	for _, n := range t.replicas() {
		said[n] = t.answer(n)
	}
	return repair.Quiet(repair.Question{Schema: *t.w.Schema, Node: t.r.Node, For: d, Written: mutations,
		Says: func(n cluster.Name, keyspace, table string) (repair.Still, bool) {
			if said[n] == nil {
				return repair.Still{}, false
			}
			still, told := said[n].Still[keyspace][table]
			return repair.Still{Writes: time.Duration(still[0]) * time.Second, Data: time.Duration(still[1]) * time.Second}, told
		}})
}

// apart are the tables that a repair leaves out: nothing was written there since the
// outage began, for all that every other replica knows. The second repair also leaves
// out what was not written since the first one was asked about; that is compared all
// the same, and so is a sample of the rest.
func (t *turn) apart(step ReturnStep) repair.Apart {
	ret := t.r.Return
	if !t.maySkip() || !ret.Open || t.w.Elapsed-ret.Asked > answersFresh {
		return repair.Apart{}
	}
	outage := t.w.Now.Sub(t.outageBegan()) + 2*t.w.hintWindow() + quietMargin
	idle := t.quietFor(outage, nil)
	if step == Repairing {
		return repair.Apart{Left: idle}
	}
	a := repair.Apart{Left: idle, Sample: sampleOf(idle, int(ret.Asks))}
	if first := ret.Job; ret.Repaired > 0 && first != nil {
		a.Left = t.quietFor(t.w.Elapsed-ret.Repaired+againMargin, first.Covers)
		a.Compared = without(a.Left, idle)
	}
	return a
}

// sampleOf chooses one of some tables, each time another one.
func sampleOf(tables map[string][]string, n int) (sample [2]string) {
	var all [][2]string
	for _, ks := range slices.Sorted(maps.Keys(tables)) {
		for _, table := range tables[ks] {
			all = append(all, [2]string{ks, table})
		}
	}
	if len(all) > 0 {
		sample = all[n%len(all)]
	}
	return sample
}

// without are the tables of some that are not among others.
func without(some, others map[string][]string) map[string][]string {
	out := map[string][]string{}
	for ks, tables := range some { // order: each for itself
		for _, table := range tables {
			if !slices.Contains(others[ks], table) {
				out[ks] = append(out[ks], table)
			}
		}
	}
	return out
}

// sayLeft tells which tables a repair leaves out, and why.
func (t *turn) sayLeft(step ReturnStep, a repair.Apart) {
	var left []string
	for _, ks := range slices.Sorted(maps.Keys(a.Left)) {
		for _, table := range a.Left[ks] {
			left = append(left, ks+"."+table)
		}
	}
	if len(left) == 0 {
		return
	}
	since, what := t.r.Outage.From.Add(-2*t.w.hintWindow()-quietMargin), "the outage"
	if step == RepairingAgain && t.r.Return.Repaired > 0 {
		since, what = t.r.Began.Add(t.r.Return.Repaired-againMargin), "the first repair"
	}
	t.say(Decided, "decided_left_out", "count", count(len(left)), "tables", someOf(left), "replicas", count(len(t.replicas())),
		"since", since.UTC().Format(time.RFC3339), "what", what)
}

// begins notes from when on the next repair has to look, if this one comes to its end.
func (t *turn) begins(step ReturnStep) {
	ret := t.r.Return
	ret.Repaired, ret.Planned = 0, 0
	if step == Repairing {
		ret.Planned = t.w.Elapsed
		if ret.Open {
			ret.Planned = ret.Asked
		}
	}
	ret.Open = false
}

// tablesStand tells whether every table that a job names is still there.
func (t *turn) tablesStand() bool {
	if t.w.Schema == nil {
		return true
	}
	there := map[string]bool{}
	for _, ks := range t.w.Schema.Keyspaces {
		for _, table := range ks.Tables {
			there[fmt.Sprintf("%s.%s", ks.Name, table.Name)] = true
		}
	}
	return !slices.ContainsFunc(t.r.Return.Job.Segments, func(s repair.Segment) bool {
		return slices.ContainsFunc(s.Tables, func(table string) bool { return !there[s.Keyspace+"."+table] })
	})
}
