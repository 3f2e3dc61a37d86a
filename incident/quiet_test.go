// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supervisor/cluster"
	"supervisor/membership"
	"supervisor/repair"
)

// quietWorld is n3 asleep a minute after its outage began, and two replicas that
// answered its question: ks.a was written during the outage, ks.b and ks.c long before.
func quietWorld() (Record, World) {
	p := DefaultPolicy()
	p.Modes["dc1"] = Auto
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w := World{Now: cluster.Moment(time.Hour), Wall: began.Add(time.Minute), Elapsed: time.Minute, Policy: &p, Hints: 10 * time.Second,
		Schema: &cluster.Schema{Version: "v1", Keyspaces: []cluster.Keyspace{{Name: "ks",
			Replication: cluster.Replication{Strategy: cluster.NetworkTopology, Factors: map[cluster.Datacenter]int{"dc1": 3}},
			Tables:      []cluster.Table{{Name: "a"}, {Name: "b"}, {Name: "c"}}}}},
		View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{}}, Agents: map[cluster.Name]Agent{}}
	for i := 1; i <= 3; i++ {
		n := cluster.Name(fmt.Sprintf("n%d", i))
		w.Schema.Members = append(w.Schema.Members, cluster.Member{Name: n, Datacenter: "dc1", Rack: "r1", Tokens: []int64{int64(i)}})
		w.View.Verdicts[n] = membership.Verdict{Node: n, Answer: membership.Alive, Own: membership.Good, Process: cluster.Boot("p-" + n)}
		if n != "n3" {
			w.Agents[n] = Agent{Counts: true, Cassandra: &CassandraFacts{Schema: "v1"}, Writes: &Writes{Process: cluster.Boot("p-" + n), Answers: []string{"i/1"},
				Still: map[string]map[string][2]int64{"ks": {"a": {70, 70}, "b": {3600, 3600}, "c": {3600, 3600}}}}}
		}
	}
	return Record{Schema: SchemaNow, ID: "i", Node: "n3", Datacenter: "dc1", Phase: Returning, Began: began, Outage: Outage{From: began.Add(-10 * time.Second)},
		Return: &Return{Step: AwaitDown, Asks: 1, Asked: 59 * time.Second, Open: true}, Marks: map[Stage]time.Duration{}}, w
}

func TestWhatIsLeftOut(t *testing.T) {
	said := func(w *World, n cluster.Name, change func(*Agent)) {
		a := w.Agents[n]
		said := *a.Writes
		a.Writes = &said
		change(&a)
		w.Agents[n] = a
	}
	off := false
	rows := []struct {
		why    string
		change func(*Record, *World)
		want   []string
	}{
		{"both replicas took nothing there", func(*Record, *World) {}, []string{"b", "c"}},
		{"the policy wants all", func(_ *Record, w *World) { w.Policy.Repair.SkipQuiet = &off }, nil},
		{"a policy of an earlier program does not say", func(_ *Record, w *World) { w.Policy.Repair = RepairBars{} }, []string{"b", "c"}},
		{"one does not answer", func(_ *Record, w *World) { said(w, "n1", func(a *Agent) { a.Writes = nil }) }, nil},
		{"its agent is gone", func(_ *Record, w *World) { delete(w.Agents, "n1") }, nil},
		{"it answered an earlier question", func(_ *Record, w *World) { said(w, "n1", func(a *Agent) { a.Writes.Answers = []string{"i/0"} }) }, nil},
		{"it answered for a process before", func(_ *Record, w *World) { said(w, "n1", func(a *Agent) { a.Writes.Process = "p0" }) }, nil},
		{"it stopped counting", func(_ *Record, w *World) { said(w, "n1", func(a *Agent) { a.Counts = false }) }, nil},
		{"it lacks writes itself", func(_ *Record, w *World) { w.Open = []Record{{Node: "n1", Phase: Returning, Return: &Return{}}} }, nil},
		{"one table was written there", func(_ *Record, w *World) {
			said(w, "n2", func(a *Agent) {
				a.Writes.Still = map[string]map[string][2]int64{"ks": {"b": {3600, 3600}, "c": {90, 90}}}
			})
		}, []string{"b"}},
		{"the answers are old", func(r *Record, _ *World) { r.Return.Asked = 29 * time.Second }, nil},
		{"no question is open", func(r *Record, _ *World) { r.Return.Open = false }, nil},
		{"the hint window is not known", func(_ *Record, w *World) { w.Hints = 0 }, nil},
		{"and within it nothing is sure", func(_ *Record, w *World) { w.Hints = time.Hour }, nil},
		{"this leader did not see the beginning", func(_ *Record, w *World) { w.ByWall = true }, nil},
		{"nobody saw it alive", func(r *Record, _ *World) { r.Outage.Unseen = true }, nil},
		{"the whole ring was gone", func(r *Record, _ *World) { r.Outage.Dark = true }, nil},
		{"others were gone too", func(r *Record, _ *World) { r.Burst = "b1" }, nil},
		{"a storm is on", func(_ *Record, w *World) { w.Storm = "storm" }, nil},
		{"a person's hand was in it", func(r *Record, _ *World) { r.Hand = &Hand{} }, nil},
		{"the store was recovered since", func(_ *Record, w *World) { w.Older = true }, nil},
		{"old rows were read after a repair", func(r *Record, _ *World) { r.Return.Whole = true }, nil},
		{"the schema that stands is another one", func(_ *Record, w *World) { w.Schema.Version = "v0" }, nil},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			rec, w := quietWorld()
			r.change(&rec, &w)
			if got := newTurn(rec, w).apart(Repairing).Left["ks"]; !slices.Equal(got, r.want) {
				t.Errorf("left out %v, want %v", got, r.want)
			}
		})
	}
}

// The second repair takes what was written since the first one was asked about, and
// what the first one did not: all that was repaired is compared, and one range of the rest.
func TestWhatTheSecondRepairLeavesOut(t *testing.T) {
	job := func(tables ...string) *repair.Job {
		return &repair.Job{Segments: []repair.Segment{{Keyspace: "ks", Tables: tables}}, Done: []byte{1}}
	}
	rows := []struct {
		why            string
		repaired       time.Duration // when the first repair was asked about
		job            *repair.Job
		a              [2]int64
		left, compared []string
	}{
		{"what the first one repaired was not written since", 15 * time.Second, job("a"), [2]int64{70, 70}, []string{"a", "b", "c"}, []string{"a"}},
		{"it was, a moment before that", 15 * time.Second, job("a"), [2]int64{49, 49}, []string{"b", "c"}, nil},
		{"its own streams are no writes", 15 * time.Second, job("a"), [2]int64{70, 2}, []string{"a", "b", "c"}, []string{"a"}},
		{"what the first one left out was loaded in bulk since", 15 * time.Second, job("b"), [2]int64{70, 2}, []string{"b", "c"}, nil},
		{"no first one came to its end", 0, job("a"), [2]int64{70, 70}, []string{"b", "c"}, nil},
		{"nobody knows what it repaired", 15 * time.Second, nil, [2]int64{70, 70}, []string{"b", "c"}, nil},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			rec, w := quietWorld()
			rec.Return.Step, rec.Return.Repaired, rec.Return.Job = AwaitUp, r.repaired, r.job
			for _, n := range []cluster.Name{"n1", "n2"} {
				w.Agents[n].Writes.Still["ks"]["a"] = r.a
			}
			got := newTurn(rec, w).apart(RepairingAgain)
			if !slices.Equal(got.Left["ks"], r.left) || !slices.Equal(got.Compared["ks"], r.compared) {
				t.Errorf("left out %v, compared %v; want %v, %v", got.Left["ks"], got.Compared["ks"], r.left, r.compared)
			}
			if got.Sample[1] != "c" {
				t.Errorf("sample %v", got.Sample)
			}
		})
	}
}

func TestWhoIsWaitedForCounts(t *testing.T) {
	rows := []struct {
		why    string
		change func(*Record, *World)
		ready  bool
		asks   uint32
	}{
		{"all have answered", func(*Record, *World) {}, true, 1},
		{"one has not yet", func(_ *Record, w *World) { a := w.Agents["n1"]; a.Writes = nil; w.Agents["n1"] = a }, false, 1},
		{"one does not count", func(_ *Record, w *World) { w.Agents["n1"] = Agent{} }, true, 1},
		{"it is not waited for longer", func(r *Record, w *World) {
			a := w.Agents["n1"]
			a.Writes = nil
			w.Agents["n1"] = a
			r.Return.Asked = w.Elapsed - answersMax - 1
		}, true, 1},
		{"nobody was asked yet", func(r *Record, _ *World) { r.Return.Open = false }, false, 2},
		{"what was answered is old", func(r *Record, w *World) { r.Return.Asked = w.Elapsed - answersFresh - 1 }, false, 2},
		{"nobody counts, so nobody is asked", func(r *Record, w *World) {
			r.Return.Open = false
			w.Agents["n1"], w.Agents["n2"] = Agent{}, Agent{}
		}, true, 1},
		{"everything is repaired in any case", func(r *Record, _ *World) { r.Return.Open, r.Return.Whole = false, true }, true, 1},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			rec, w := quietWorld()
			r.change(&rec, &w)
			x := newTurn(rec, w)
			if got := x.answered(); got != r.ready || x.r.Return.Asks != r.asks {
				t.Errorf("ready %v after %d questions", got, x.r.Return.Asks)
			}
		})
	}
}

// Whenever any replica was written to after the outage began, for all that it says,
// the table is repaired by the first repair, and by the second if that was after the
// first was asked about.
func TestNothingWrittenIsLeftOutOfAReturn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec, w := quietWorld()
		w.Elapsed = time.Duration(rapid.IntRange(0, 600).Draw(t, "elapsed")) * time.Second
		rec.Return.Asked = w.Elapsed - time.Duration(rapid.IntRange(0, 30).Draw(t, "asked"))*time.Second
		rec.Return.Repaired = time.Duration(rapid.IntRange(0, 600).Draw(t, "repaired")) * time.Second
		rec.Return.Job = &repair.Job{Segments: []repair.Segment{{Keyspace: "ks", Tables: []string{"a"}}}}
		outage := w.Elapsed + 10*time.Second
		during, since := map[string]bool{}, map[string]bool{}
		for _, n := range []cluster.Name{"n1", "n2"} {
			still := map[string][2]int64{}
			for _, table := range []string{"a", "b", "c"} {
				wrote := int64(rapid.IntRange(0, 1200).Draw(t, "wrote"))
				if rapid.IntRange(0, 9).Draw(t, "told") > 0 {
					still[table] = [2]int64{wrote, min(wrote, int64(rapid.IntRange(0, 1200).Draw(t, "grew")))}
				}
				age := time.Duration(wrote) * time.Second
				during[table] = during[table] || age <= outage
				since[table] = since[table] || age <= w.Elapsed-rec.Return.Repaired
			}
			w.Agents[n].Writes.Still = map[string]map[string][2]int64{"ks": still}
		}
		x := newTurn(rec, w)
		first := x.apart(Repairing).Left["ks"]
		rec.Return.Step = AwaitUp
		second := newTurn(rec, w).apart(RepairingAgain).Left["ks"]
		for _, table := range []string{"a", "b", "c"} {
			if during[table] && slices.Contains(first, table) {
				t.Fatalf("%s was written during the outage, and the first repair leaves it out", table)
			}
			missed := since[table] || table != "a" && during[table] // only a was repaired
			if rec.Return.Repaired == 0 {
				missed = during[table]
			}
			if missed && slices.Contains(second, table) && rec.Return.Repaired <= w.Elapsed && since[table] {
				t.Fatalf("%s was written, and the second repair leaves it out", table)
			}
		}
	})
}

func TestAQuestionIsNotHeldOpen(t *testing.T) {
	for phase, want := range map[Phase]string{Returning: "inc-1/3", Held: "", Closed: ""} {
		r := Record{ID: "inc-1", Phase: phase, Return: &Return{Asks: 3, Open: true}}
		if got := r.Question(); got != want {
			t.Errorf("%s: asks %q, want %q", phase, got, want)
		}
	}
}
