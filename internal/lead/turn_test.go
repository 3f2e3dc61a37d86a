// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/membership"
	"supervisor/repair"
)

// bench is one leader at a store that does what it is told.
type bench struct {
	t     *testing.T
	store *model.Store
	lease model.Lease
	s     *State
	now   cluster.Moment
	// jumped is how far ahead the leader's wall clock stands.
	jumped time.Duration
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, store: model.New(), now: cluster.Moment(time.Hour)}
	b.lease = b.store.Grant()
	p := incident.DefaultPolicy()
	p.Version, p.Modes["dc1"] = 1, incident.Auto
	b.put(store.Era, EraDoc{Era: 1, EtcdClusterID: "c"})
	b.put(store.Level, 1)
	b.put(store.Policy, p)
	for i, n := range []cluster.Name{"n1", "n2", "n3"} {
		b.put(store.Host(n), cluster.Host{Name: n, HostID: cluster.HostID("id-" + n), Region: "eu", Datacenter: "dc1",
			Rack: cluster.Rack([]string{"r1", "r2", "r3"}[i])})
	}
	b.heir("n1")
	return b
}

func (b *bench) put(key string, v any) {
	text, err := json.Marshal(v)
	if err == nil {
		_, err = b.store.Commit(b.lease, store.Txn{Put: []store.Put{{Key: key, Value: text}}})
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// heir is a new leader of that name, with the store read and nothing judged.
func (b *bench) heir(name cluster.Name) {
	b.store.Expire(b.lease)
	b.lease = b.store.Grant()
	b.s = New("c", name, "eu")
	term, won, err := b.store.Campaign(b.lease, string(name))
	if err != nil || !won {
		b.t.Fatalf("%s does not lead: %v", name, err)
	}
	if out := b.turn(Won{Term: term}); !out.Relist || len(out.Commits) > 0 {
		b.t.Fatalf("a new leader reads first: %+v", out)
	}
	b.relist()
}

func (b *bench) turn(in Input) Out {
	b.now = b.now.Add(time.Second)
	return b.s.Turn(in, b.now, time.Unix(0, int64(b.now)).Add(b.jumped).UTC())
}

func (b *bench) relist() Out {
	kvs, rev := b.store.List("")
	return b.turn(Changed{Batch: store.Batch{Rev: rev, KVs: kvs, Whole: true}})
}

// see shows the leader a view in which n3 is gone, or everybody alive.
func (b *bench) see(gone bool) Out {
	v := membership.View{Began: 1, At: b.now, Verdicts: map[cluster.Name]membership.Verdict{}}
	for _, n := range []cluster.Name{"n1", "n2", "n3"} {
		x := membership.Verdict{Node: n, Answer: membership.Alive, Own: membership.Good, Process: cluster.Boot("p-" + n), Of: 3, Since: b.now}
		if gone && n == "n3" {
			x.Answer, x.Cause, x.Own, x.Drain, x.For = membership.Gone, membership.ProcessDown, membership.NoWord, true, 3
		}
		v.Verdicts[n] = x
	}
	return b.turn(Viewed{View: v})
}

// write lets the one commit of an out be written and answered.
func (b *bench) write(out Out) Out {
	b.t.Helper()
	if len(out.Commits) != 1 {
		b.t.Fatalf("%d commits, want 1", len(out.Commits))
	}
	res, err := b.store.Commit(b.lease, out.Commits[0].Txn)
	return b.turn(Answered{Commit: out.Commits[0], Result: res, Err: err})
}

func (b *bench) count(folder string) int {
	kvs, _ := b.store.List(folder)
	return len(kvs)
}

func (b *bench) record() incident.Record {
	kvs, _ := b.store.List(store.Incidents)
	var r incident.Record
	if len(kvs) != 1 || json.Unmarshal(kvs[0].Value, &r) != nil {
		b.t.Fatalf("%d records", len(kvs))
	}
	return r
}

func TestALostAnswerIsReadBack(t *testing.T) {
	for name, landed := range map[string]bool{"it was written": true, "it was not": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			out := b.see(true)
			if landed {
				if _, err := b.store.Commit(b.lease, out.Commits[0].Txn); err != nil {
					t.Fatal(err)
				}
			}
			late := out.Commits[0].Txn
			out = b.turn(Answered{Commit: out.Commits[0], Err: errors.New("nobody knows")})
			if !out.Relist || len(out.Commits) > 0 || !b.s.Busy() {
				t.Fatalf("decided before it was read back: %+v", out)
			}
			if out := b.see(true); len(out.Commits) > 0 {
				t.Fatal("decided on a picture that may be old")
			}
			out = b.relist()
			for range 6 {
				if len(out.Commits) == 0 {
					break
				}
				out = b.write(out)
			}
			if res, err := b.store.Commit(b.lease, late); err != nil || res.OK {
				t.Errorf("the late first one was written beside the second: %+v %v", res, err)
			}
			if b.count(store.Incidents) != 1 || b.count(store.Opens) != 1 {
				t.Errorf("%d records, %d opens", b.count(store.Incidents), b.count(store.Opens))
			}
		})
	}
}

func TestAFailedCompareIsAnOldPicture(t *testing.T) {
	b := newBench(t)
	out := b.see(true)
	b.put(store.Ledger("dc1"), incident.Ledger{NextIncident: 7})
	out = b.write(out)
	if !out.Relist || b.count(store.Incidents) != 0 {
		t.Fatalf("it was written, or nobody reads again: %+v", out)
	}
	if b.write(b.relist()); b.record().ID != "inc-dc1-8" {
		t.Errorf("opened %s, want the number after what stands", b.record().ID)
	}
}

// The watch breaks, others write, the watch lists, and before that reading
// arrives the own commit is answered: the watch goes on after the reading, so
// what the others wrote is known only when the whole is read once more.
func TestAReadingBehindTheOwnCommitIsReadAgain(t *testing.T) {
	b := newBench(t)
	out := b.see(true)
	next := incident.DefaultPolicy()
	next.Modes["dc1"] = incident.Assist
	b.put(store.Word("r1"), Word{Who: "ann", Verb: "policy_apply", Base: 1, Policy: &next})
	kvs, rev := b.store.List("")
	b.write(out)
	out = b.turn(Changed{Batch: store.Batch{Rev: rev, KVs: kvs, Whole: true}})
	if !out.Relist || len(out.Commits) > 0 || !b.s.Busy() {
		t.Fatalf("it goes on without what was written meanwhile: %+v", out)
	}
	if out := b.see(true); len(out.Commits) > 0 {
		t.Fatal("decided on a picture with a gap")
	}
	if out = b.relist(); out.Relist || b.s.Picture.Inbox["r1"].Value.Who != "ann" {
		t.Fatalf("the operator's word is not known: %+v", b.s.Picture.Inbox)
	}
}

func TestALeaderWithoutItsKeyWritesNothing(t *testing.T) {
	b := newBench(t)
	out := b.see(true)
	b.store.Expire(b.lease)
	if res, err := b.store.Commit(b.lease, out.Commits[0].Txn); err != nil || res.OK {
		t.Errorf("a former leader wrote: %+v %v", res, err)
	}
	if out := b.turn(Lost{}); len(out.Commits) > 0 || b.s.Leading() {
		t.Error("it decides without a term")
	}
}

func TestAnHeirGoesOn(t *testing.T) {
	b := newBench(t)
	b.write(b.see(true))
	b.heir("n2")
	out := b.see(true)
	b.write(out)
	if r := b.record(); !r.Approx || r.ID != "inc-dc1-1" {
		t.Errorf("adopted as %+v", r)
	}
	if code := out.Commits[0].Decision.Lines[0].Code; code != "adopted" {
		t.Errorf("first word is %s", code)
	}
	b.heir("n1")
	if out := b.turn(Viewed{View: membership.View{Began: b.now, At: b.now}}); len(out.Commits) > 0 {
		t.Error("an heir acts before it has judged one window")
	}
}

// ordered drives a bench to the moment when a repair-like order is pending.
func ordered(t *testing.T) (*bench, string, OrderAt) {
	b := newBench(t)
	r := incident.Record{Schema: incident.SchemaNow, ID: "inc-dc1-1", Node: "n3", Datacenter: "dc1", Region: "eu", Phase: incident.Returning,
		Step: 4, Began: time.Unix(3600, 0), Return: &incident.Return{Step: incident.Killing, Tries: 1, Process: "p2"}}
	e := incident.Effect{ID: "inc-dc1-1.4.0", Limit: 30 * time.Second, Once: &incident.Once{Agent: "n3", Verb: incident.VerbKill, Target: "n3", Process: "p2"}}
	r.Pending = []incident.Effect{e}
	key := store.Order("n3", e.ID)
	b.put(store.Record(r.ID), r)
	b.put(store.Open("n3"), r.ID)
	b.put(key, incident.Order{Effect: e, Incident: r.ID})
	b.relist()
	out := b.see(true)
	for len(out.Commits) > 0 {
		out = b.write(out)
	}
	return b, key, b.s.Picture.Orders[key]
}

func TestASettledOrderIsFoldedInWithItsKey(t *testing.T) {
	b, key, at := ordered(t)
	o := at.Order
	o.State, o.Outcome = incident.Settled, incident.Done
	b.put(key, o)
	out := b.relist()
	b.write(out)
	if b.count(store.Orders) != 0 || len(b.record().Pending) != 0 {
		t.Errorf("%d orders, pending %v", b.count(store.Orders), b.record().Pending)
	}
}

func TestAnOrderNobodyWaitsForIsTakenBackInTheSameCommit(t *testing.T) {
	b, key, at := ordered(t)
	b.now = b.now.Add(time.Minute)
	out := b.turn(Ticked{}) // its limit passed without a word: uncertain
	if len(out.Commits) != 1 || out.Commits[0].Decision.Record.Awaits(at.ID) {
		t.Fatalf("still waited for: %+v", out)
	}
	txn := out.Commits[0].Txn
	claimed := at.Order
	claimed.State, claimed.By = incident.Claimed, "b1"
	b.put(key, claimed)
	if res, err := b.store.Commit(b.lease, txn); err != nil || res.OK {
		t.Errorf("the executor was quicker, and it was taken back all the same: %+v %v", res, err)
	}
}

// fat is a record with orders that the store would hardly take again.
func (b *bench) fat(state incident.OrderState) {
	b.t.Helper()
	fat := repair.Segment{Keyspace: "ks", Ranges: make([]cluster.TokenRange, 90_000), Hosts: []cluster.Name{"n3", "n1"}}
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range fat.Ranges {
		fat.Ranges[i] = cluster.TokenRange{Start: noise.Int64(), End: noise.Int64()}
	}
	job := repair.Job{Segments: []repair.Segment{{Keyspace: "ks", Hosts: fat.Hosts}, fat}}
	r := incident.Record{Schema: incident.SchemaNow, ID: "inc-dc1-1", Node: "n3", Datacenter: "dc1", Region: "eu", Phase: incident.Returning,
		Step: 4, Began: time.Unix(3600, 0), Return: &incident.Return{Step: incident.Repairing, Tries: 1, Process: "p2", Job: &job}}
	e := incident.Effect{ID: "inc-dc1-1.4.0", Limit: time.Minute, Once: &incident.Once{Agent: "n3", Verb: incident.VerbRepair, Target: "n3", Segments: job.Segments[:1]}}
	r.Pending = []incident.Effect{e}
	b.put(store.Record(r.ID), r)
	b.put(store.Open("n3"), r.ID)
	b.put(store.Order("n3", e.ID), incident.Order{Effect: e, Incident: r.ID, State: state, Outcome: incident.Done,
		Result: incident.Result{Done: []int{0}}})
}

func TestWhatTheStoreWouldNotTakeIsHeld(t *testing.T) {
	b := newBench(t)
	b.fat(incident.Settled)
	b.relist()
	out := b.see(true)
	for n := 0; len(out.Commits) > 0; n++ {
		if n > 5 {
			t.Fatal("it is decided again and again")
		}
		for _, p := range out.Commits[0].Txn.Put {
			if len(p.Value) > txnMax {
				t.Fatalf("%s is %d bytes", p.Key, len(p.Value))
			}
		}
		out = b.write(out)
	}
	rec := b.record()
	if rec.Phase != incident.Held || rec.HeldRule != incident.RuleSize || !strings.Contains(rec.Held, "KiB") || rec.Return.Job != nil {
		t.Errorf("%s by %s (%s), job %v", rec.Phase, rec.HeldRule, rec.Held, rec.Return.Job != nil)
	}
	if b.count(store.Orders) != 0 {
		t.Errorf("%d orders stand", b.count(store.Orders))
	}
}

func TestSweepRemovesWhatNobodyWaitsFor(t *testing.T) {
	b := newBench(t)
	b.put(store.Order("n3", "inc-dc1-9.1.0"), incident.Order{Incident: "inc-dc1-9", State: incident.Claimed, By: "dead",
		Effect: incident.Effect{ID: "inc-dc1-9.1.0", Once: &incident.Once{Agent: "n3", Verb: incident.VerbKill, Target: "n3"}}})
	b.put(store.Order("n3", "strange"), incident.Order{Incident: "inc-dc1-9"})
	b.relist()
	b.write(b.see(false))
	if b.count(store.Orders) != 1 {
		t.Errorf("%d orders left, want the strange one only", b.count(store.Orders))
	}
}

func TestABrokenInvariantHoldsAndResigns(t *testing.T) {
	b := newBench(t)
	b.put(store.Record("inc-dc1-1"), incident.Record{Schema: incident.SchemaNow, ID: "inc-dc1-1", Node: "n3", Datacenter: "dc1", Phase: incident.Replacing, Step: 3})
	b.put(store.Open("n3"), "inc-dc1-1")
	b.relist()
	out := b.see(true)
	for range 3 {
		if out.Resign {
			break
		}
		if len(out.Commits) == 0 {
			out = b.turn(Ticked{})
			continue
		}
		out = b.write(out)
	}
	if r := b.record(); r.Phase != incident.Held || !strings.Contains(r.Held, string(incident.FenceBeforeReplace)) || !out.Resign {
		t.Errorf("record %s (%s), resign %v", r.Phase, r.Held, out.Resign)
	}
	if len(b.s.Store.Broken) == 0 {
		t.Error("nobody is told")
	}
}

// A leader that starts while the policy cannot be read has none at all.
func TestWithoutAPolicyNothingUnderWayIsDecided(t *testing.T) {
	for why, without := range map[string]func(*bench){
		"unreadable": func(b *bench) { b.put(store.Policy, "of a later program") },
		"gone": func(b *bench) {
			if _, err := b.store.Commit(b.lease, store.Txn{Delete: []string{store.Policy}}); err != nil {
				b.t.Fatal(err)
			}
		},
	} {
		t.Run(why, func(t *testing.T) {
			b, key, at := ordered(t)
			o := at.Order
			o.State, o.Outcome = incident.Settled, incident.Done
			b.put(key, o)
			without(b)
			b.heir("n2")
			if out := b.see(true); len(out.Commits) != 0 || len(b.s.Store.Broken) != 0 || out.Resign {
				t.Errorf("decided %+v, broke %+v", out, b.s.Store.Broken)
			}
		})
	}
}

func TestAnyPanicIsAHoldAndNotASilence(t *testing.T) {
	if _, broke := breach(nil); broke {
		t.Error("nothing broke")
	}
	if got, broke := breach(cluster.Broken{Invariant: "x"}); !broke || got.Invariant != "x" {
		t.Errorf("%+v", got)
	}
	if got, broke := breach(errors.New("index out of range")); !broke || got.Invariant == "" || got.Detail == "" {
		t.Errorf("%+v", got)
	}
}

func TestAPolicyWordIsFoldedInOnce(t *testing.T) {
	next := incident.DefaultPolicy()
	next.Modes["dc1"] = incident.Assist
	rows := []struct {
		why  string
		base int64
		want int64
		code string
	}{
		{"made against what stands", 1, 2, "policy_applied"},
		{"made against another version", 7, 1, "policy_stale"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			b := newBench(t)
			b.put(store.Word("r1"), Word{Who: "ann", Verb: "policy_apply", Why: "calm", Base: r.base, Policy: &next})
			b.relist()
			out := b.see(false)
			b.write(out)
			if b.count(store.Inbox) != 0 || b.s.Picture.Policy.Value.Version != r.want {
				t.Errorf("%d words left, policy %d", b.count(store.Inbox), b.s.Picture.Policy.Value.Version)
			}
			if e := out.Commits[0].Entries; len(e) != 1 || e[0].Code != r.code || e[0].Actor.Name != "ann" || e[0].Args["request"] != "r1" {
				t.Errorf("the journal says %+v", e)
			}
		})
	}
}

func TestTheJournalIsOneChain(t *testing.T) {
	b := newBench(t)
	out := b.see(true)
	for range 8 {
		if len(out.Commits) == 0 {
			out = b.see(true)
			continue
		}
		out = b.write(out)
	}
	kvs, _ := b.store.List(store.Logs)
	var entries []incident.Entry
	for i, kv := range kvs {
		var e incident.Entry
		if err := json.Unmarshal(kv.Value, &e); err != nil || kv.Key != store.Log("dc1", int64(i)) {
			t.Fatalf("%s: %v", kv.Key, err)
		}
		entries = append(entries, e)
	}
	if len(entries) < 4 || incident.Chain("", entries) >= 0 {
		t.Errorf("%d entries, broken at %d", len(entries), incident.Chain("", entries))
	}
}

func TestWhatReadingAnewDoesNotHelpIsSpaced(t *testing.T) {
	b := newBench(t)
	b.put(store.Ledger("dc1"), map[string]int{"of_a_later_version": 1})
	out := b.relist()
	tried := 0
	for range 90 {
		if len(out.Commits) == 0 {
			out = b.see(true)
			continue
		}
		tried++
		if out = b.write(out); !out.Relist {
			t.Fatal("it was written over a ledger that nobody here can read")
		}
		out = b.relist()
	}
	if tried < 5 || tried > 40 {
		t.Errorf("%d transactions in 90 rounds", tried)
	}
	b.put(store.Ledger("dc1"), incident.Ledger{})
	for range 12 {
		if len(out.Commits) > 0 {
			b.write(out)
		}
		b.relist()
		out = b.see(true)
	}
	if b.count(store.Incidents) != 1 {
		t.Error("it did not go on when the ledger could be read again")
	}
}

func TestTheTopologyIsMadeOncePerRoster(t *testing.T) {
	s, _ := crowd(t, 20)
	if n := testing.AllocsPerRun(10, func() { s.Topology() }); n > 0 {
		t.Errorf("%v allocations for a roster that did not change", n)
	}
	rows := []struct {
		why   string
		batch store.Batch
		want  int
	}{
		{"a host more", store.Batch{Rev: 10, KVs: []store.KV{{Key: store.Host("x"), Value: []byte(`{"name":"x"}`), Mod: 10, Create: 10}}}, 21},
		{"a host less", store.Batch{Rev: 11, KVs: []store.KV{{Key: store.Host("n003")}}}, 20},
		{"another whole", store.Batch{Rev: 12, Whole: true}, 0},
	}
	for _, r := range rows {
		s.Turn(Changed{Batch: r.batch}, 1, time.Time{})
		if top := s.Topology(); len(top.Nodes) != r.want || len(top.Watch) != r.want {
			t.Errorf("%s: %d nodes, %d watched, want %d", r.why, len(top.Nodes), len(top.Watch), r.want)
		}
	}
}

// crowd is a leader's state with a roster of n hosts, and one observer's
// digest about all that it watches.
func crowd(tb testing.TB, n int) (*State, []membership.Report) {
	s := New("c", "n000", "eu")
	b := store.Batch{Rev: 9, Whole: true}
	for i := range n {
		name := cluster.Name(fmt.Sprintf("n%03d", i))
		text, err := json.Marshal(cluster.Host{Name: name, Region: "eu", Datacenter: "dc1", Rack: cluster.Rack(fmt.Sprintf("r%d", i%3))})
		if err != nil {
			tb.Fatal(err)
		}
		b.KVs = append(b.KVs, store.KV{Key: store.Host(name), Value: text, Mod: 9, Create: 9})
	}
	s.Picture.Apply(b)
	var reports []membership.Report
	for _, subject := range s.Topology().Watched("n001") {
		for _, path := range []membership.Path{membership.CQL, membership.Storage, membership.Phi} {
			reports = append(reports, membership.Report{Observer: "n001", Boot: "b",
				Look: membership.Look{Subject: subject, Path: path, Outcome: membership.Good}})
		}
	}
	return s, reports
}

// BenchmarkDigest is what one digest costs a control agent of 100 hosts: who
// watches whom, and the judge.
func BenchmarkDigest(b *testing.B) {
	s, reports := crowd(b, 100)
	now := cluster.Moment(time.Hour)
	bars := s.Picture.Policy.Value.Bars()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(10 * time.Millisecond)
		for i := range reports {
			reports[i].At = now
		}
		s.Look(membership.Judge(s.view, [][]membership.Report{reports}, s.Topology(), bars, now))
	}
}

// BenchmarkWorld is what one step of an incident is given to look at.
func BenchmarkWorld(b *testing.B) {
	s, _ := crowd(b, 100)
	b.ReportAllocs()
	for b.Loop() {
		s.World("dc1", cluster.Moment(time.Hour), time.Unix(3600, 0))
	}
}
