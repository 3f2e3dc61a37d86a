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

var (
	back = membership.Verdict{Answer: membership.Alive, Own: membership.Good, Process: "p-n3"}
	hung = membership.Verdict{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3, Process: "p-n3"}
)

func TestASilenceIsToldUntilAnIncidentIsOpen(t *testing.T) {
	rows := []struct {
		why    string
		silent time.Duration
		then   membership.Verdict // after it answered
		told   bool
	}{
		{"beyond the hints", 2 * time.Minute, back, true},
		{"the others kept hints", 30 * time.Second, back, false},
		{"it is out of reach again, of this agent perhaps alone", 2 * time.Minute, membership.Verdict{}, true},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			b := newBench(t)
			b.turn(Lost{})
			began := b.now
			gone := hung
			gone.LastAlive = began
			wall := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			b.turn(Viewed{View: b.view(gone)})
			b.now = b.now.Add(r.silent)
			b.turn(Viewed{View: b.view(back)})
			b.turn(Viewed{View: b.view(r.then)})
			first := b.s.Missed(b.now, wall.Add(b.now.Sub(began)))
			if told := len(first) == 1; told != r.told {
				t.Fatalf("told: %v", first)
			}
			if !r.told {
				return
			}
			if want := (incident.Silence{Node: "n3", Cause: membership.Hung, Last: wall}); first[0] != want {
				t.Errorf("told %+v, want %+v", first[0], want)
			}
			if again := b.s.Missed(b.now, wall.Add(time.Hour)); len(again) != 1 || again[0] != first[0] {
				t.Errorf("the clock was set, and it is told as %+v", again)
			}
			b.put(store.Open("n3"), "inc-dc1-7")
			b.relist()
			b.turn(Viewed{View: b.view(back)})
			if rest := b.s.Missed(b.now, wall); len(rest) != 0 {
				t.Errorf("an incident is open, and it is told: %v", rest)
			}
		})
	}
}

// The node is repaired whatever the clocks of both agents say, and once.
func TestASilenceThatOnlyAnotherSawIsRepaired(t *testing.T) {
	for why, off := range map[string]time.Duration{"an hour ahead": time.Hour, "an hour behind": -time.Hour} {
		t.Run(why, func(t *testing.T) {
			b := newBench(t)
			says := incident.Agent{Missed: []incident.Silence{{Node: "n3", Cause: membership.Hung, Last: time.Unix(0, int64(b.now)).UTC().Add(off)}}}
			b.put(store.Agent("n2"), says)
			b.relist()
			out := b.turn(Viewed{View: b.view(back)})
			if len(out.Commits) != 1 || out.Commits[0].Decision.Record.Node != "n3" {
				t.Fatalf("begun: %+v", out.Commits)
			}
			for len(out.Commits) > 0 {
				if out = b.write(out); len(out.Commits) == 0 {
					out = b.turn(Viewed{View: b.view(back)})
				}
			}
			if r := b.record(); r.Phase != incident.Returning || !r.Return.InPlace {
				t.Errorf("%s is %s: %+v", r.ID, r.Phase, r.Return)
			}
		})
	}
}

func TestAWordOfASilenceIsFollowedOnce(t *testing.T) {
	b := newBench(t)
	says := incident.Agent{Missed: []incident.Silence{{Node: "n3", Cause: membership.Hung}}}
	b.put(store.Agent("n2"), says)
	b.put(store.Open("n3"), "inc-dc1-7")
	b.relist()
	if _, err := b.store.Commit(b.lease, store.Txn{Delete: []string{store.Open("n3")}}); err != nil {
		t.Fatal(err)
	}
	b.relist()
	if out := b.turn(Viewed{View: b.view(back)}); len(out.Commits) != 0 {
		t.Fatalf("begun again: %+v", out.Commits)
	}
	b.put(store.Agent("n2"), incident.Agent{})
	b.relist()
	b.put(store.Agent("n2"), says)
	if out := b.relist(); len(out.Commits) != 1 {
		t.Errorf("%d commits, want an incident about its next silence", len(out.Commits))
	}
}

func TestALapseThatOnlyAnotherSawTakesTheReturnBackOnce(t *testing.T) {
	b := newBench(t)
	rec := incident.Record{Schema: incident.SchemaNow, ID: "inc-dc1-7", Datacenter: "dc1", Node: "n3", Phase: incident.Verifying, Return: &incident.Return{Step: incident.Reading}}
	steps := []struct {
		why   string
		says  []cluster.Name
		step  incident.ReturnStep
		taken bool
	}{
		{"nobody saw it silent", nil, incident.Reading, false},
		{"another saw it silent", []cluster.Name{"n3"}, incident.Reading, true},
		{"it is repaired", []cluster.Name{"n3"}, incident.AwaitUp, true},
		{"the other says so still", []cluster.Name{"n3"}, incident.Reading, false},
		{"no more", nil, incident.Reading, false},
		{"once more", []cluster.Name{"n3"}, incident.Reading, true},
	}
	b.turn(Lost{})
	b.put(store.Open("n3"), rec.ID)
	for _, s := range steps {
		rec.Return.Step = s.step
		b.put(store.Record(rec.ID), rec)
		b.put(store.Agent("n2"), incident.Agent{Lapsed: s.says})
		b.relist()
		spoilt := b.s.World("dc1", b.now, time.Unix(0, int64(b.now)).UTC()).Lapsed["n3"] && incident.SilenceSpoils(rec)
		if spoilt != (s.taken && s.step != incident.AwaitUp) {
			t.Errorf("%s: lapsed %v", s.why, spoilt)
		}
	}
}
