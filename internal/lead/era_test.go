// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/loadbalancer"
)

func sight(etcdCluster string, rev int64, era []byte) store.Sight {
	return store.Sight{EtcdCluster: etcdCluster, Rev: rev, Era: era}
}

func TestAnAgentFollowsAHigherEraOnly(t *testing.T) {
	doc := func(era int, etcd string) string { return fmt.Sprintf(`{"era":%d,"etcd_cluster_id":%q}`, era, etcd) }
	known := Known{EtcdCluster: "c1", Rev: 100, Era: 2}
	rows := []struct {
		why   string
		found store.Sight
		want  string // empty: followed
	}{
		{"recovered into another etcd", sight("c2", 1_000_000_100, []byte(doc(3, "c2"))), ""},
		{"recovered in the same etcd, which went back", sight("c1", 7, []byte(doc(3, "c1"))), ""},
		{"recovered twice while the agent was away", sight("c3", 7, []byte(doc(4, "c3"))), ""},
		{"a later form of a recovery's story", sight("c2", 7, []byte(`{"era":3,"etcd_cluster_id":"c2","recovered":{"more":1}}`)), "cannot be read"},
		{"a copy that nobody recovered", sight("c2", 100, []byte(doc(3, "c1"))), "copy of another store"},
		{"a store of an earlier era, with its own etcd", sight("c2", 500, []byte(doc(1, "c2"))), "older store"},
		{"two recoveries of one store, in one era", sight("c2", 500, []byte(doc(2, "c2"))), "both are in era 2"},
		{"the same store, rolled back with its disks", sight("c1", 99, []byte(doc(2, "c1"))), "went back"},
		{"an empty etcd", sight("c2", 1, nil), "no era"},
		{"something that is no era", sight("c2", 1, []byte(`x`)), "cannot be read"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			follow, why := Follow(known, r.found)
			if follow != (r.want == "") || !strings.Contains(why, r.want) {
				t.Errorf("follow %v, why %q, want %q", follow, why, r.want)
			}
		})
	}
}

// recover brings the bench's store back in a higher era, as `store recover` does.
func (b *bench) recover(a *incident.Acknowledgement) {
	b.put(store.Era, EraDoc{Era: 2, EtcdClusterID: "c2", Recovered: &incident.Recovery{By: "ana", Why: "disks", From: "f", Rev: b.store.Rev(), Acknowledged: a}})
	b.s.Forget(b.now, time.Unix(0, int64(b.now)))
}

func (b *bench) acknowledge() {
	doc := b.s.Picture.Era.Value
	r := *doc.Recovered
	r.Acknowledged = &incident.Acknowledgement{By: "bo", Why: "looked"}
	doc.Recovered = &r
	b.put(store.Era, doc)
}

// rest lets the leader write until it wants nothing more.
func (b *bench) rest(out Out) {
	b.t.Helper()
	for range 20 {
		if len(out.Commits) == 0 {
			return
		}
		out = b.write(out)
	}
	b.t.Fatal("it never comes to rest")
}

func TestARecoveredStoreIsToldOfOnceAndActedUponWhenAcknowledged(t *testing.T) {
	b, _, at := ordered(t)
	at.State, at.Outcome = incident.Settled, incident.Done // its end is in the copy, too
	b.put(store.Order("n3", at.ID), at.Order)
	b.put(store.Fence("n3"), isolate.Fence{Node: "n3", Levels: isolate.Clients, Start: isolate.Hibernate, Incident: "inc-dc1-1"})
	b.put(store.Pool("web"), loadbalancer.Pool{Name: "web"})
	b.put(store.Word("r1"), Word{Who: "cy", Verb: "policy_apply", Base: 1, Policy: &incident.Policy{}})
	before := b.s.Picture.Ledgers["dc1"].Value
	b.recover(nil)
	b.heir("n2")
	b.rest(b.see(true))
	r := b.record()
	if r.Phase != incident.Held || r.HeldRule != incident.RuleEra || len(r.Pending) != 0 || b.count(store.Orders) != 0 {
		t.Fatalf("%s by %s, pending %v, %d orders", r.Phase, r.HeldRule, r.Pending, b.count(store.Orders))
	}
	if b.count(store.Inbox) != 0 || b.s.Picture.Policy.Value.Version != 1 {
		t.Errorf("a word of the older era was followed, or still lies there: policy v%d", b.s.Picture.Policy.Value.Version)
	}
	w := b.s.World("dc1", b.now, time.Unix(0, 0))
	if len(w.Fences) != 0 || !w.Pools["web"].Older || w.ModeOf("dc1") != incident.Observe {
		t.Errorf("fences %v, pools %+v, mode %s", w.Fences, w.Pools, w.ModeOf("dc1"))
	}
	if l := b.s.Picture.Ledgers["dc1"].Value; l.NextIncident != before.NextIncident+incidentsLeft || l.NextEvent < before.NextEvent+eventsLeft {
		t.Errorf("counts go on at %+v, were %+v", l, before)
	}
	b.told("era_recovered", 1)
	b.told("word_of_an_older_era", 1)

	b.acknowledge()
	b.rest(b.relist())
	if r := b.record(); r.Phase != incident.Returning || r.Return.Step != incident.Preflight || !r.Return.InPlace {
		t.Errorf("acknowledged, and it is %s at %+v", r.Phase, r.Return)
	}
	b.told("era_recovered", 1)
	b.told("era_acknowledged", 1)
	b.heir("n1")
	b.rest(b.see(true))
	b.told("era_recovered", 1)
	if len(b.s.Picture.Chain) > 0 {
		t.Errorf("the journal does not follow on: %v", b.s.Picture.Chain)
	}
}

// What an agent that judges had read of incidents it tells of, where the store that
// it went over to does not know them.
func TestAnIncidentThatTheCopyDoesNotKnowIsRemembered(t *testing.T) {
	b := newBench(t)
	before := b.store.Copy()
	b.rest(b.see(true))
	began := b.record().Outage.From
	b.see(false)
	b.store.Restore(before, 1000)
	b.recover(nil)
	b.relist()
	b.see(false)
	missed := b.s.Missed(b.now, time.Unix(0, int64(b.now)))
	if len(missed) != 1 || missed[0].Node != "n3" || missed[0].Last.Sub(began).Abs() > time.Second {
		t.Errorf("it tells of %+v, the outage began %s", missed, began)
	}
}

// told counts the events of a code in the journal.
func (b *bench) told(code string, want int) {
	b.t.Helper()
	n := 0
	for _, e := range b.s.Picture.Log["dc1"] {
		if e.Code == code {
			n++
		}
	}
	if n != want {
		b.t.Errorf("%s stands %d times in the journal, want %d", code, n, want)
	}
}

func TestAFenceOfAnOlderEraGoesWithItsIncident(t *testing.T) {
	b := newBench(t)
	r := incident.Record{Schema: incident.SchemaNow, ID: "inc-dc1-1", Node: "n3", Datacenter: "dc1", Region: "eu", Phase: incident.Suspected, Mode: incident.Observe,
		Process: "p-n3", Began: time.Unix(3600, 0)}
	b.put(store.Record(r.ID), r)
	b.put(store.Open("n3"), r.ID)
	b.put(store.Fence("n3"), isolate.Fence{Node: "n3", Incident: r.ID})
	p := incident.DefaultPolicy()
	p.Version, p.Modes["dc1"] = 2, incident.Observe
	b.put(store.Policy, p)
	b.recover(nil)
	b.heir("n2")
	b.rest(b.see(false))
	if b.count(store.Incidents) != 0 || b.count(store.Fences) != 0 || b.count(store.Archive) != 1 {
		t.Errorf("%d records, %d fences, %d archived", b.count(store.Incidents), b.count(store.Fences), b.count(store.Archive))
	}
}

func TestADiskSpeaksOfWhatTheCopyDoesNotKnow(t *testing.T) {
	fence := &isolate.Fence{Node: "n3", Incident: "inc-dc1-9"}
	rows := []struct {
		why       string
		recovered bool
		local     isolate.Local
		open      string // the node's open incident, by the store
		closed    string // an archived one
		want      bool
	}{
		{"a return that the copy does not know", true, isolate.Local{Returning: true, Incident: "inc-dc1-9"}, "", "", true},
		{"a fence", true, isolate.Local{Fence: fence, Incident: "inc-dc1-9"}, "", "", true},
		{"a deadline alone: an incident was open", true, isolate.Local{Deadline: time.Unix(1, 0)}, "", "", true},
		{"nothing", true, isolate.Local{EverServed: true}, "", "", false},
		{"the copy knows that it is over", true, isolate.Local{Returning: true, Incident: "inc-dc1-9"}, "", "inc-dc1-9", false},
		{"the copy has the node's incident open, and begins it anew", true, isolate.Local{Returning: true, Incident: "inc-dc1-9"}, "inc-dc1-9", "", false},
		{"another incident was opened before this host read the copy", true, isolate.Local{Returning: true, Incident: "inc-dc1-9"}, "inc-dc1-1001", "", true},
		{"an incident of this era, before its fence", true, isolate.Local{Deadline: time.Unix(1, 0)}, "inc-dc1-1001", "", false},
		{"the store was never recovered", false, isolate.Local{Returning: true, Incident: "inc-dc1-9"}, "", "", false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			p := NewPicture()
			if r.recovered {
				p.Era.Value.Recovered = &incident.Recovery{By: "ana"}
			}
			if r.open != "" {
				p.Opens["n3"] = At[string]{Value: r.open}
			}
			if r.closed != "" {
				p.Archive[r.closed] = incident.Record{Node: "n3"}
			}
			if got := p.Orphaned(cluster.Name("n3"), r.local); got != r.want {
				t.Errorf("orphaned %v, want %v", got, r.want)
			}
		})
	}
}

// Whoever speaks first about an incident of an older era does not make a record
// of today of it: what it had reached is not believed all the same.
func TestAWordDoesNotMakeAnOlderRecordBelieved(t *testing.T) {
	for _, verb := range []incident.AskVerb{incident.AskRetry, incident.AskAck, incident.AskAbort, incident.AskApprove} {
		t.Run(string(verb), func(t *testing.T) {
			b, _, _ := ordered(t)
			b.recover(nil)
			b.heir("n2")
			b.put(store.Word("r9"), Word{Who: "bo", Verb: string(verb), Why: "go on", Plan: "7f3a91c20b44", About: &incident.About{Incident: "inc-dc1-1"}})
			b.rest(b.relist())
			b.rest(b.see(true))
			b.told("saw_recovered", 1)
			if r := b.record(); r.Phase != incident.Held || len(r.Pending) != 0 || verb != incident.AskAbort && r.HeldRule != incident.RuleEra {
				t.Errorf("%s by %s, pending %v", r.Phase, r.HeldRule, r.Pending)
			}
			b.answer("r9")
		})
	}
}
