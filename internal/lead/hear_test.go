// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
)

// ring tells the leader three nodes that share every range.
func (b *bench) ring() {
	s := cluster.Schema{Keyspaces: []cluster.Keyspace{{Name: "ks", Replication: cluster.Replication{Strategy: cluster.NetworkTopology,
		Factors: map[cluster.Datacenter]int{"dc1": 3}}}}}
	for i, n := range []cluster.Name{"n1", "n2", "n3"} {
		s.Members = append(s.Members, cluster.Member{Name: n, Datacenter: "dc1", Rack: cluster.Rack([]string{"r1", "r2", "r3"}[i]),
			Address: string(n), Tokens: []int64{int64(i) * 100}})
	}
	b.turn(Schemed{Schema: s})
}

// say lays a word into the inbox and has the leader take it in; it returns the
// answer that the journal gives to that request.
func (b *bench) say(id, who string, verb incident.AskVerb, plan string, about incident.About) incident.Entry {
	b.t.Helper()
	b.put(store.Word(id), Word{Who: who, Verb: string(verb), Why: "a reason", Plan: plan, About: &about})
	b.rest(b.relist())
	return b.answer(id)
}

func (b *bench) answer(id string) incident.Entry {
	b.t.Helper()
	if b.count(store.Word(id)) != 0 {
		b.t.Errorf("word %s is still in the inbox", id)
	}
	for _, e := range b.s.Picture.Log["dc1"] {
		if e.Args["request"] == id {
			return e
		}
	}
	b.t.Fatalf("nothing answers %s", id)
	return incident.Entry{}
}

func (b *bench) wants(e incident.Entry, who string, rule incident.Rule, says string) {
	b.t.Helper()
	kind := incident.Asked
	if rule != "" {
		kind = incident.Refused
	}
	if e.Kind != kind || e.Rule != rule || !strings.Contains(e.Sentence(), says) || e.Actor != (incident.Actor{Kind: "operator", Name: who}) {
		b.t.Errorf("%s %s [%s] %q, want %s [%s] %q", e.Actor.Name, e.Kind, e.Rule, e.Sentence(), kind, rule, says)
	}
}

var both = isolate.Clients | isolate.Reads

func TestAPauseStandsAcrossLeadersAndEnds(t *testing.T) {
	b := newBench(t)
	b.see(false)
	b.wants(b.say("r1", "ana", incident.AskPause, "", incident.About{Datacenter: "dc1", For: time.Hour}), "ana", "", "ana pauses dc1 until")
	b.heir("n2")
	b.see(false)
	b.now = b.now.Add(10 * time.Second)
	b.rest(b.see(true))
	if r := b.record(); r.Phase != incident.Suspected || r.Waits != incident.RulePaused {
		t.Fatalf("under a pause: %s, waits for %s", r.Phase, r.Waits)
	}
	b.wants(b.say("r2", "bo", incident.AskPause, "", incident.About{Datacenter: "dc9", For: time.Hour}), "bo", incident.RuleOperator, "no host of the roster is in datacenter dc9")
	b.now = b.now.Add(time.Hour)
	b.rest(b.see(true))
	if r := b.record(); r.Phase == incident.Suspected {
		t.Errorf("after it: %s, waits for %s", r.Phase, r.Waits)
	}
	if len(b.s.Picture.Holds.Value.Pauses) != 0 || !slices.ContainsFunc(b.s.Picture.Log["dc1"], func(e incident.Entry) bool { return e.Code == "pause_over" }) {
		t.Error("the end of the pause was not written down")
	}
	b.wants(b.say("r3", "ana", incident.AskResume, "", incident.About{Datacenter: "dc1", Said: time.Unix(0, int64(b.now))}), "ana", incident.RulePaused, "dc1 is not paused")
}

// A wall clock that jumps ends no pause, and takes none away; it ends when its
// time is over.
func TestAPauseStandsThoughTheLeadersClockJumps(t *testing.T) {
	b := newBench(t)
	b.see(false)
	b.wants(b.say("r1", "ana", incident.AskPause, "", incident.About{Datacenter: "dc1", For: time.Hour}), "ana", "", "ana pauses dc1 until")
	b.jumped = 5 * time.Hour
	b.now = b.now.Add(10 * time.Second)
	b.rest(b.see(true))
	if r := b.record(); r.Phase != incident.Suspected || r.Waits != incident.RulePaused {
		t.Errorf("with a clock ahead: %s, waits for %s", r.Phase, r.Waits)
	}
	stands := b.s.Picture.Holds.Value.Pauses
	if len(stands) != 1 {
		t.Fatal("the pause was taken away")
	}
	// Another one, which is over by the same clock and not by this leader's own.
	b.wants(b.say("r2", "bo", incident.AskPause, "", incident.About{For: time.Minute, Said: time.Unix(0, int64(b.now)).Add(b.jumped)}), "bo", "", "bo pauses the region until")
	if got := b.s.Picture.Holds.Value.Pauses; len(got) != 2 || got[0] != stands[0] {
		t.Errorf("a word about another one made it %+v, was %+v", got, stands)
	}
	b.now = b.now.Add(2 * time.Minute)
	b.rest(b.see(true))
	if got := b.s.Picture.Holds.Value.Pauses; len(got) != 1 || got[0] != stands[0] {
		t.Errorf("one that has ended waits for one that has not: %+v", got)
	}
	b.now = b.now.Add(time.Hour)
	b.rest(b.see(true))
	if len(b.s.Picture.Holds.Value.Pauses) != 0 {
		t.Error("the pause stands after its time")
	}
}

// A leader whose clock is behind stands by what was asked for, and no longer.
func TestAPauseStandsNoLongerForAClockThatIsBehind(t *testing.T) {
	b := newBench(t)
	b.see(false)
	b.wants(b.say("r1", "ana", incident.AskPause, "", incident.About{Datacenter: "dc1", For: time.Hour}), "ana", "", "ana pauses dc1 until")
	b.jumped = -5 * time.Hour
	b.heir("n2")
	b.see(false)
	b.jumped = 0
	b.now = b.now.Add(time.Hour + time.Minute)
	b.rest(b.see(true))
	if got := b.s.Picture.Holds.Value.Pauses; len(got) != 0 {
		t.Errorf("it stands after its time: %+v", got)
	}
}

// A word of which the transaction is too large is answered, and not taken for a
// hold of the incident.
func TestAWordThatCannotBeWrittenIsTurnedAway(t *testing.T) {
	b := newBench(t)
	b.fat(incident.Claimed)
	b.rest(b.see(true))
	e := b.say("r1", "ana", incident.AskAbort, "", incident.About{Incident: "inc-dc1-1"})
	b.wants(e, "ana", incident.NoSilentWait, "cannot be written down")
}

func TestTwoOperatorsAtOnceAreTakenInOneAfterTheOther(t *testing.T) {
	b := newBench(t)
	b.ring()
	b.see(false)
	for id, w := range map[string]Word{
		"r1": {Who: "ana", Verb: string(incident.AskFence), Why: "her disk", About: &incident.About{Node: "n3", Levels: both}},
		"r2": {Who: "bo", Verb: string(incident.AskFence), Why: "his disk", About: &incident.About{Node: "n2", Levels: both}},
		"r3": {Who: "cy", Verb: string(incident.AskFence), Why: "me too", About: &incident.About{Node: "n3", Levels: both}},
	} {
		b.put(store.Word(id), w)
	}
	b.rest(b.relist())
	b.wants(b.answer("r1"), "ana", "", "ana fences n3 (clients, reads): her disk. After it every range still has 2 of 3, need 2")
	b.wants(b.answer("r2"), "bo", incident.QuorumSurvives, "it would leave a range of ks with 1 of 3 replicas, need 2; out already: n3 (inc-dc1-1)")
	b.wants(b.answer("r3"), "cy", incident.OneOpenIncident, "n3 is fenced already by ana in inc-dc1-1: her disk")
	if r := b.record(); r.Node != "n3" || r.Hand == nil || b.count(store.Fences) != 1 || b.count(store.Opens) != 1 {
		t.Errorf("%+v, %d fences, %d open", r, b.count(store.Fences), b.count(store.Opens))
	}
}

func TestAWordThatLayInTheInboxIsRefused(t *testing.T) {
	for age, rule := range map[time.Duration]incident.Rule{time.Minute: "", 6 * time.Minute: incident.RuleOperator, -6 * time.Minute: incident.RuleOperator} {
		b := newBench(t)
		b.ring()
		b.see(false)
		says := "ana fences n3"
		if rule != "" {
			says = "say it again"
		}
		b.wants(b.say("r1", "ana", incident.AskFence, "", incident.About{Node: "n3", Levels: both, Said: time.Unix(0, int64(b.now)).Add(-age)}), "ana", rule, says)
		if (b.count(store.Fences) == 0) != (rule != "") {
			t.Errorf("said %s ago: %d fences", age, b.count(store.Fences))
		}
	}
}

// What a later program wrote about policy or holds is not decided past, and not
// overwritten; a word waits until it can be read.
func TestAWordWaitsWhileNobodyKnowsTheBounds(t *testing.T) {
	for _, key := range []string{store.Policy, store.Holds} {
		b := newBench(t)
		b.ring()
		b.see(false)
		standing, _ := b.store.List(key)
		b.put(key, map[string]string{"of_a_later_program": "yes"})
		b.put(store.Word("r1"), Word{Who: "ana", Verb: string(incident.AskFence), Why: "a reason", About: &incident.About{Node: "n3", Levels: both}})
		b.relist()
		if out := b.see(true); len(out.Commits) > 0 {
			t.Errorf("%s cannot be read, and %d transactions are written", key, len(out.Commits))
		}
		b.put(key, incident.Holds{})
		if len(standing) > 0 {
			b.put(key, json.RawMessage(standing[0].Value))
		}
		b.rest(b.relist())
		b.answer("r1")
	}
}

// An order that an executor has claimed is not recalled: the abort says so, and
// nothing follows from it. One that is open is taken back in the transaction.
func TestAnAbortNamesWhatIsBegunAndTakesTheRestBack(t *testing.T) {
	for _, claimed := range []bool{true, false} {
		b := newBench(t)
		b.see(false)
		rec := incident.Record{Schema: incident.SchemaNow, ID: "inc-dc1-7", Region: "eu", Datacenter: "dc1", Node: "n3", Phase: incident.Returning, Mode: incident.Auto,
			Step: 4, Return: &incident.Return{Step: incident.Starting}, Pending: []incident.Effect{{ID: "inc-dc1-7.4.0", Limit: time.Minute,
				Once: &incident.Once{Agent: "n3", Verb: incident.VerbStart, Target: "n3"}}}}
		order := incident.Order{Effect: rec.Pending[0], Incident: rec.ID}
		if claimed {
			order.State, order.By = incident.Claimed, "n3-a1"
		}
		b.put(store.Open("n3"), rec.ID)
		b.put(store.Record(rec.ID), rec)
		b.put(store.Order("n3", "inc-dc1-7.4.0"), order)
		e := b.say("r1", "ana", incident.AskAbort, "", incident.About{Incident: rec.ID})
		b.wants(e, "ana", "", "ana aborts in phase Returning")
		told := slices.ContainsFunc(b.s.Picture.Log["dc1"], func(e incident.Entry) bool { return e.Code == "waits_claimed" })
		if r := b.record(); r.Phase != incident.Held || r.HeldRule != incident.RuleOperator || len(r.Pending) > 0 || told != claimed {
			t.Errorf("claimed %v: %s by %s, %d pending, told %v", claimed, r.Phase, r.HeldRule, len(r.Pending), told)
		}
		if b.count(store.Orders) != 0 {
			t.Errorf("claimed %v: the order is still there", claimed)
		}
		b.wants(b.say("r2", "bo", incident.AskApprove, "7f3a91c20b44", incident.About{Incident: rec.ID}), "bo", incident.RulePlan, "proposes nothing")
	}
}

// The words of a person and of the leader stand in one journal, each under its
// own name, in one chain.
func TestAWordKeepsItsOwnName(t *testing.T) {
	b := newBench(t)
	b.ring()
	b.see(false)
	b.say("r1", "ana", incident.AskFence, "", incident.About{Node: "n3", Levels: both})
	log := b.s.Picture.Log["dc1"]
	if len(log) < 2 || incident.Chain("", log) != -1 {
		t.Fatalf("%d events, broken at %d", len(log), incident.Chain("", log))
	}
	for _, e := range log {
		if (e.Actor.Kind == "operator") != (e.Code == "asked_fence") {
			t.Errorf("%s was said by %+v", e.Code, e.Actor)
		}
	}
	text, err := json.Marshal(b.record())
	if err != nil || !strings.Contains(string(text), `"hand":{"by":"ana","why":"a reason","levels":["clients","reads"]}`) {
		t.Errorf("%v: %s", err, text)
	}
}
