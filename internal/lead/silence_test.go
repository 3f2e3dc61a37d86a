// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/membership"
)

func TestASilenceThatNobodyWroteDownIsOpenedWhenItIsOver(t *testing.T) {
	rows := []struct {
		why     string
		silent  time.Duration
		process cluster.Boot // of the node that answers again; empty: not named yet
		alone   bool         // this agent hears nobody else meanwhile
		open    bool
	}{
		{"beyond the hints", 2 * time.Minute, "p-n3", false, true},
		{"beyond the hints, whichever process it is", 2 * time.Minute, "", false, true},
		{"the others kept hints", 30 * time.Second, "p-n3", false, false},
		{"another process answers: what the first had not synced is lost", 30 * time.Second, "p-n3-2", false, true},
		{"who heard nobody was cut off itself", 2 * time.Minute, "p-n3", true, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			b := newBench(t)
			b.turn(Lost{})
			gone := b.view(membership.Verdict{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3, Process: "p-n3"})
			if r.alone {
				gone.Topology.Nodes = map[cluster.Name]membership.Place{"n1": {}, "n2": {}, "n3": {}}
			}
			b.turn(Viewed{View: gone})
			b.now = b.now.Add(r.silent)
			back := membership.Verdict{Answer: membership.Alive, Process: "p-n3"}
			if r.process != "" {
				back.Own, back.Process = membership.Good, r.process
			}
			b.turn(Viewed{View: b.view(back)})
			b.turn(Won{Term: b.term()})
			out := b.relist()
			if opened := len(out.Commits) == 1; opened != r.open {
				t.Fatalf("%d commits, want an incident: %v", len(out.Commits), r.open)
			}
			if r.open && out.Commits[0].Decision.Record.Phase != incident.Suspected {
				t.Errorf("it begins as %s", out.Commits[0].Decision.Record.Phase)
			}
		})
	}
}

func TestASilenceThatWasOverBeforeItWasJudgedIsOpened(t *testing.T) {
	for _, votes := range []int{1, 3} {
		b := newBench(t)
		b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Unknown, For: votes, Heard: 3, Process: "p-n3"})})
		b.now = b.now.Add(2 * time.Minute)
		out := b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Alive, Own: membership.Good, Process: "p-n3"})})
		if opened := len(out.Commits) == 1; opened != (votes == 3) {
			t.Errorf("%d of 3 did not reach it, and %d incidents are opened", votes, len(out.Commits))
		}
	}
}

// A node whose disk failed is gone by its own agent's word, and read from: that it
// is not Alive is no reason to forget its silence.
func TestASilenceOfANodeWhoseDiskFailedIsOpenedWhenItIsReached(t *testing.T) {
	for silent, open := range map[time.Duration]bool{2 * time.Minute: true, 30 * time.Second: false} {
		b := newBench(t)
		b.turn(Lost{})
		b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Gone, Cause: membership.HostGone, Drain: true, For: 3, Process: "p-n3"})})
		b.now = b.now.Add(silent)
		b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Gone, Cause: membership.DiskFailed, Own: membership.Good, Process: "p-n3"})})
		b.turn(Won{Term: b.term()})
		out := b.relist()
		if (len(out.Commits) == 1) != open {
			t.Errorf("after %s: %d commits, want an incident: %v", silent, len(out.Commits), open)
		}
	}
}

func TestASilenceBeforeAReplacementIsKept(t *testing.T) {
	for _, v := range []membership.Verdict{
		{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3},
		{Answer: membership.Gone, Cause: membership.DiskFailed, Drain: true, For: 3},
		{Answer: membership.Gone, Cause: membership.DiskFailed, For: 1},
	} {
		b := newBench(t)
		rec := incident.Record{Schema: incident.SchemaNow, ID: "inc-dc1-7", Datacenter: "dc1", Node: "n3", Phase: incident.Held, HeldRule: incident.FenceBeforeReplace}
		b.put(store.Open("n3"), rec.ID)
		b.put(store.Record(rec.ID), rec)
		b.relist()
		b.turn(Lost{})
		b.turn(Viewed{View: b.view(v)})
		b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Alive})})
		if b.s.lapsed["n3"] != v.Drain {
			t.Errorf("of a node that %d do not reach: kept %v", v.For, b.s.lapsed)
		}
	}
}

func TestASilenceThatWasWrittenDownIsNotOpenedAgain(t *testing.T) {
	b := newBench(t)
	b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3, Process: "p-n3"})})
	b.put(store.Open("n3"), "inc-dc1-7")
	b.relist()
	b.now = b.now.Add(2 * time.Minute)
	b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Alive, Own: membership.Good, Process: "p-n3"})})
	if len(b.s.silent) != 0 {
		t.Errorf("still noted: %v", b.s.silent)
	}
}

func TestASilenceIsHeldAgainstTheHintsThatWereToldLast(t *testing.T) {
	b := newBench(t)
	b.turn(Lost{})
	b.put(store.Agent("n2"), incident.Agent{Cassandra: &incident.CassandraFacts{HintWindow: 10 * time.Second}})
	b.relist()
	b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3, Process: "p-n3"})})
	b.now = b.now.Add(20 * time.Second)
	back := membership.Verdict{Answer: membership.Alive, Process: "p-n3"}
	b.turn(Viewed{View: b.view(back)})
	if _, err := b.store.Commit(b.lease, store.Txn{Delete: []string{store.Agent("n2")}}); err != nil { // its lease ended
		t.Fatal(err)
	}
	b.relist()
	back.Own = membership.Good
	named := b.view(back)
	named.Verdicts["n3"] = membership.Verdict{Node: "n3", Answer: back.Answer, Own: back.Own, Process: back.Process, Since: b.now.Add(-time.Second), Of: 3}
	b.turn(Viewed{View: named})
	b.turn(Won{Term: b.term()})
	if out := b.relist(); len(out.Commits) != 1 {
		t.Errorf("%d commits, want an incident about twenty seconds of ten", len(out.Commits))
	}
}

// view is one in which n3 is as given since now, and the others are well.
func (b *bench) view(n3 membership.Verdict) membership.View {
	v := membership.View{Began: 1, At: b.now, Verdicts: map[cluster.Name]membership.Verdict{}}
	for _, n := range []cluster.Name{"n1", "n2"} {
		v.Verdicts[n] = membership.Verdict{Node: n, Answer: membership.Alive, Own: membership.Good, Process: cluster.Boot("p-" + n)}
	}
	n3.Node, n3.Since, n3.Of = "n3", b.now, 3
	v.Verdicts["n3"] = n3
	return v
}

// term campaigns anew.
func (b *bench) term() store.Term {
	b.store.Expire(b.lease)
	b.lease = b.store.Grant()
	term, won, err := b.store.Campaign(b.lease, "n1")
	if err != nil || !won {
		b.t.Fatal(err)
	}
	return term
}

func TestAnHeirMeasuresTheSilenceItHasSeenItself(t *testing.T) {
	alive := membership.Verdict{Answer: membership.Alive, Process: "p-n3"}
	gone := membership.Verdict{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3, Process: "p-n3"}
	unsure := membership.Verdict{Process: "p-n3"}
	rows := []struct {
		why    string
		before []membership.Verdict // what the heir saw before it led
		byWall bool
	}{
		{"it saw the node well, and go", []membership.Verdict{alive, gone}, false},
		{"it came when the node was gone", []membership.Verdict{gone}, true},
		{"it came when the node answered again, and was not sure at first", []membership.Verdict{unsure}, true},
		{"it saw the node well, and go again when the incident was open", []membership.Verdict{alive}, true},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			b := newBench(t)
			first := b.s
			b.s = New("c", "n2", "eu")
			for _, v := range r.before {
				v.LastAlive = b.now
				b.turn(Viewed{View: b.view(v)})
			}
			heir := b.s
			b.s = first
			b.write(b.turn(Viewed{View: b.view(gone)}))
			b.s = heir
			if len(r.before) == 1 {
				b.relist()
				b.turn(Viewed{View: b.view(alive)})
				b.turn(Viewed{View: b.view(gone)})
			}
			b.turn(Won{Term: b.term()})
			b.relist()
			b.now = b.now.Add(time.Minute)
			b.turn(Viewed{View: b.view(gone)})
			rec := b.record()
			w := about(rec, b.s.clocks[rec.ID], b.s.base(rec.Datacenter, b.now, rec.Began.Add(-time.Hour)))
			if w.ByWall != r.byWall || !r.byWall && w.Elapsed < time.Minute {
				t.Errorf("by wall %v, elapsed %s", w.ByWall, w.Elapsed)
			}
		})
	}
}

func TestASilenceInAReturnIsKeptUntilTheReturnIsTakenBack(t *testing.T) {
	hung := membership.Verdict{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3}
	rows := []struct {
		why    string
		phase  incident.Phase
		step   incident.ReturnStep
		silent membership.Verdict
		kept   bool
	}{
		{"its last repair runs", incident.Returning, incident.RepairingAgain, hung, true},
		{"it is proven", incident.Verifying, incident.Ramping, hung, true},
		{"its last repair is still to come", incident.Returning, incident.AwaitUp, hung, false},
		{"only its clients are shut out", incident.Verifying, incident.Opening, membership.Verdict{Answer: membership.Gone, Cause: membership.CQLDead}, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			b := newBench(t)
			rec := incident.Record{Schema: incident.SchemaNow, ID: "inc-dc1-7", Datacenter: "dc1", Node: "n3", Phase: r.phase, Return: &incident.Return{Step: r.step}}
			b.put(store.Open("n3"), rec.ID)
			b.put(store.Record(rec.ID), rec)
			b.relist()
			b.turn(Lost{})
			b.turn(Viewed{View: b.view(r.silent)})
			b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Alive})})
			if b.s.lapsed["n3"] != r.kept {
				t.Fatalf("kept %v", b.s.lapsed)
			}
			rec.Phase, rec.Return.Step = incident.Returning, incident.AwaitUp
			b.put(store.Record(rec.ID), rec)
			b.relist()
			b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Alive})})
			if len(b.s.lapsed) != 0 {
				t.Errorf("still kept: %v", b.s.lapsed)
			}
		})
	}
}

// An agent that began while the store was away knows of no return until it has
// read it; the silence that it saw until then may have spoiled it.
func TestASilenceBeforeItsReturnWasReadIsKept(t *testing.T) {
	for step, kept := range map[incident.ReturnStep]bool{incident.Previewing: true, incident.AwaitUp: false} {
		b := newBench(t)
		b.turn(Lost{})
		b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Gone, Cause: membership.HostGone, Drain: true, For: 3, Process: "p-n3"})})
		back := b.view(membership.Verdict{Answer: membership.Gone, Cause: membership.CQLDead, Own: membership.Good, Process: "p-n3"})
		b.turn(Viewed{View: back})
		rec := incident.Record{Schema: incident.SchemaNow, ID: "inc-dc1-7", Datacenter: "dc1", Node: "n3", Phase: incident.Verifying, Return: &incident.Return{Step: step}}
		b.put(store.Open("n3"), rec.ID)
		b.put(store.Record(rec.ID), rec)
		b.relist()
		b.turn(Viewed{View: back})
		if b.s.lapsed["n3"] != kept {
			t.Errorf("in step %s: kept %v", step, b.s.lapsed)
		}
	}
}

func TestANodeThatIsClosedAfterASilenceWasSilent(t *testing.T) {
	b := newBench(t)
	b.turn(Lost{})
	for _, c := range []membership.Cause{membership.CQLDead, membership.Hung, membership.CQLDead} {
		b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Gone, Cause: c, Drain: true, For: 3})})
	}
	b.turn(Won{Term: b.term()})
	out := b.relist()
	if len(out.Commits) != 1 || out.Commits[0].Decision.Record.Cause != membership.Hung {
		t.Fatalf("begun: %+v", out.Commits)
	}
}

func TestAStartThatNobodyWasAskedForIsOpened(t *testing.T) {
	rows := []struct {
		why  string
		says incident.Agent
		mode incident.Mode
		open bool
	}{
		{"its agent says so", incident.Agent{Unrepaired: true}, incident.Auto, true},
		{"its agent says nothing of it", incident.Agent{}, incident.Auto, false},
		{"mode observe only looks", incident.Agent{Unrepaired: true}, incident.Observe, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			b := newBench(t)
			p := incident.DefaultPolicy()
			p.Version, p.Modes["dc1"] = 2, r.mode
			b.put(store.Policy, p)
			b.put(store.Agent("n3"), r.says)
			b.relist()
			out := b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Alive, Own: membership.Good, Process: "p-n3", LastAlive: b.now})})
			if opened := len(out.Commits) == 1; opened != r.open {
				t.Fatalf("%d commits, want an incident: %v", len(out.Commits), r.open)
			}
			if r.open && (out.Commits[0].Decision.Record.Process != "" || !out.Commits[0].Decision.Record.Outage.Unseen) {
				t.Errorf("it is about %+v", out.Commits[0].Decision.Record)
			}
		})
	}
}

// An agent that began while the store was away knows of no window until it has
// read it, and keeps what it saw until then.
func TestASilenceWaitsForTheWindowThatItIsHeldAgainst(t *testing.T) {
	for window, open := range map[time.Duration]bool{10 * time.Second: true, time.Hour: false} {
		b := newBench(t)
		b.put(store.Agent("n1"), incident.Agent{Cassandra: &incident.CassandraFacts{HintWindow: window}})
		b.s = New("c", "n1", "eu")
		b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3, Process: "p-n3"})})
		b.now = b.now.Add(20 * time.Second)
		back := b.view(membership.Verdict{Answer: membership.Alive, Own: membership.Good, Process: "p-n3"})
		b.turn(Viewed{View: back})
		b.turn(Won{Term: b.term()})
		b.relist()
		if out := b.turn(Viewed{View: back}); (len(out.Commits) == 1) != open {
			t.Errorf("with a window of %s: %d commits, want an incident: %v", window, len(out.Commits), open)
		}
	}
}

// All leases ended at once, so nobody tells a window when the silence is opened:
// the incident goes by the one that was told last, as the memory of it did.
func TestASilenceIsDecidedByTheWindowThatWasToldLast(t *testing.T) {
	b := newBench(t)
	b.put(store.Agent("n1"), incident.Agent{Cassandra: &incident.CassandraFacts{HintWindow: 10 * time.Second}})
	b.relist()
	b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Alive, Own: membership.Good, Process: "p-n3"})})
	b.turn(Lost{})
	b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3, Process: "p-n3"})})
	b.now = b.now.Add(20 * time.Second)
	back := b.view(membership.Verdict{Answer: membership.Alive, Own: membership.Good, Process: "p-n3"})
	b.turn(Viewed{View: back})
	if _, err := b.store.Commit(0, store.Txn{Delete: []string{store.Agent("n1")}}); err != nil {
		t.Fatal(err)
	}
	b.turn(Won{Term: b.term()})
	out := b.relist()
	if len(out.Commits) != 1 {
		t.Fatalf("%d commits, want the incident", len(out.Commits))
	}
	for range 6 {
		out = b.write(out)
		for _, c := range out.Commits {
			if c.Decision.Record.Ended() {
				t.Fatalf("%s is closed, and nothing was repaired", c.Decision.Record.ID)
			}
			if c.Decision.Record.Phase == incident.Returning {
				return
			}
		}
		if len(out.Commits) == 0 {
			out = b.turn(Viewed{View: back})
		}
	}
	t.Error("the node is not taken back")
}
