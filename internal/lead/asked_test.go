// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"encoding/json"
	"testing"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/repair"
	"supervisor/residency"
)

// repairs is a bench whose leader knows ring and policy, and was asked to repair n3.
func repairs(t *testing.T) *bench {
	b := newBench(t)
	p := incident.DefaultPolicy()
	p.Version, p.Modes["dc1"] = 1, incident.Auto
	p.Regions["eu"], p.Residency = []cluster.Datacenter{"dc1"}, residency.Open([]cluster.Region{"eu"})
	b.put(store.Policy, p)
	for _, n := range []cluster.Name{"n1", "n2", "n3"} {
		b.put(store.Agent(n), incident.Agent{Cassandra: &incident.CassandraFacts{Version: "5.0.9"}})
	}
	b.relist()
	b.ring()
	b.see(false)
	b.wants(b.say("r1", "ana", incident.AskRepair, "", incident.About{Node: "n3"}), "ana", "", "ana asks for a repair of n3, 1 segments")
	return b
}

func (b *bench) asked() incident.Record {
	b.t.Helper()
	kvs, _ := b.store.List(store.Repair("n3"))
	var r incident.Record
	if len(kvs) != 1 || store.Strict(kvs[0].Value, &r) != nil {
		b.t.Fatalf("%d repairs of n3", len(kvs))
	}
	return r
}

// settles ends the one order that there is.
func (b *bench) settles(outcome incident.Outcome) {
	b.t.Helper()
	kvs, _ := b.store.List(store.Orders)
	var o incident.Order
	if len(kvs) != 1 || json.Unmarshal(kvs[0].Value, &o) != nil {
		b.t.Fatalf("%d orders, want 1", len(kvs))
	}
	o.State, o.Outcome = incident.Settled, outcome
	if outcome == incident.Done {
		for i := range o.Once.Segments {
			o.Result.Done = append(o.Result.Done, o.Once.First+i)
		}
	}
	b.put(kvs[0].Key, o)
}

// A repair that a person asks for is written apart from the incidents, goes on with
// whoever leads, and spends nothing of the budget.
func TestARepairStandsAcrossLeaders(t *testing.T) {
	b := repairs(t)
	b.rest(b.see(false))
	if r := b.asked(); r.ID != "rep-dc1-1" || len(r.Pending) != 1 || b.count(store.Orders) != 1 {
		t.Fatalf("%s waits for %v, %d orders", r.ID, r.Pending, b.count(store.Orders))
	}
	if b.count(store.Opens)+b.count(store.Incidents) != 0 || len(b.s.Picture.Ledgers["dc1"].Value.Holders) != 0 {
		t.Error("it is taken for an incident")
	}
	key, _ := b.s.Picture.firstOrder(func(*OrderAt) bool { return true })
	if !b.s.Picture.Awaits(b.s.Picture.Orders[key].Order) {
		t.Error("its executor would leave the order alone: nobody waits for it")
	}
	b.heir("n2")
	b.ring()
	b.rest(b.see(false))
	if b.count(store.Orders) != 1 {
		t.Fatalf("the heir left %d orders", b.count(store.Orders))
	}
	b.settles(incident.Done)
	b.rest(b.relist())
	if r := b.asked(); r.Phase != incident.Verifying || r.Return.Rounds != 1 {
		t.Fatalf("it is %s after %d rounds, waits for %q", r.Phase, r.Return.Rounds, r.Waits)
	}
	b.settles(incident.Done)
	b.rest(b.relist())
	if r := b.asked(); !r.Ended() || b.count(store.Orders) != 0 || b.count(store.Archive) != 0 {
		t.Errorf("it is %s, %d orders, %d in the archive", r.Phase, b.count(store.Orders), b.count(store.Archive))
	}
	b.wants(b.say("r2", "bo", incident.AskAbort, "", incident.About{Incident: "rep-dc1-1", Node: "n3"}), "bo", incident.ClosedIsQuiet, "is not open")
	b.wants(b.say("r3", "bo", incident.AskRepair, "", incident.About{Node: "n3"}), "bo", "", "bo asks for a repair")
	if r := b.asked(); r.ID != "rep-dc1-2" || r.Ended() {
		t.Errorf("the next one is %s, %s", r.ID, r.Phase)
	}
}

// A large plan stands beside the record of its repair, is put back by whoever reads
// it, and is swept with the repair's end.
func TestALargePlanOfARepairStandsApart(t *testing.T) {
	b := repairs(t)
	b.rest(b.see(false))
	r := b.asked()
	for i := range 2000 {
		r.Return.Job.Segments = append(r.Return.Job.Segments, repair.Segment{Keyspace: "ks", Hosts: []cluster.Name{"n3", "n1"},
			Ranges: []cluster.TokenRange{{Start: int64(i) * 7919, End: int64(i)*7919 + 13}}})
	}
	b.put(store.Repair("n3"), r)
	b.rest(b.relist())
	b.settles(incident.Done)
	b.rest(b.relist())
	if r := b.asked(); b.count(store.Works) != 1 || r.Return.Job.Plan == "" || len(r.Return.Job.Segments) != 0 {
		t.Fatalf("%d plans apart, %d segments in the record", b.count(store.Works), len(r.Return.Job.Segments))
	}
	b.heir("n2")
	b.ring()
	b.rest(b.see(false))
	if done, total := b.s.Picture.Repairs["n3"].Value.Return.Job.Progress(); done != 1 || total != 2001 {
		t.Errorf("the heir knows %d of %d segments", done, total)
	}
	b.wants(b.say("r2", "bo", incident.AskAbort, "", incident.About{Incident: "rep-dc1-1", Node: "n3"}), "bo", "", "bo aborts")
	if b.rest(b.relist()); b.count(store.Works) != 0 {
		t.Error("its plan is left lying about")
	}
}

// An abort takes the order back in its own transaction.
func TestAnAbortedRepairTakesItsOrderBack(t *testing.T) {
	b := repairs(t)
	b.rest(b.see(false))
	b.wants(b.say("r2", "bo", incident.AskAbort, "", incident.About{Incident: "rep-dc1-1", Node: "n3"}), "bo", "", "bo aborts")
	if r := b.asked(); !r.Ended() || b.count(store.Orders) != 0 {
		t.Errorf("it is %s, %d orders", r.Phase, b.count(store.Orders))
	}
}

// An incident about its node is opened as if there were no repair, and goes first.
func TestARepairKeepsNoIncidentWaiting(t *testing.T) {
	b := repairs(t)
	b.rest(b.see(false))
	b.rest(b.see(true))
	if b.count(store.Opens) != 1 {
		t.Fatal("no incident is open about n3")
	}
	b.settles(incident.Failed)
	b.rest(b.relist())
	for range 20 {
		b.rest(b.see(true))
	}
	if r := b.asked(); len(r.Pending) != 0 || r.Waits != incident.OneOpenIncident {
		t.Errorf("it waits for %q, with %d orders", r.Waits, len(r.Pending))
	}
}

// What a later program wrote about a repair is left alone, and so is the node.
func TestARepairThatCannotBeReadIsLeftAlone(t *testing.T) {
	b := repairs(t)
	b.strange(store.Repair("n3"))
	b.rest(b.relist())
	b.wants(b.say("r2", "bo", incident.AskRepair, "", incident.About{Node: "n3"}), "bo", incident.NoSilentWait, "cannot be written down")
	if got := b.s.Picture.Unread(); len(got) != 1 || got[0] != store.Repair("n3") {
		t.Errorf("unread: %v", got)
	}
}
