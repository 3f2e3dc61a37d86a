// SPDX-License-Identifier: Apache-2.0

// Package apitest has snapshots to draw and a source that answers with them:
// one small cluster in the situations that people meet.
package apitest

import (
	"maps"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
	"supervisor/repair"
	"supervisor/residency"
)

// At is the moment of every snapshot.
var At = time.Date(2026, 11, 22, 3, 2, 0, 0, time.UTC)

// now is At on the boot clock of the agent.
const now = cluster.Moment(1000 * time.Second)

var names = []cluster.Name{"n1", "n2", "n3"}

// Healthy is three nodes that serve, in mode auto, with one closed incident.
func Healthy() api.Snapshot {
	s := api.Snapshot{At: At, Revision: 118, Cluster: "orders", Region: "eu-central", Self: "n1", Leader: "n1", Version: "0.1.0",
		StoreCommit: 4 * time.Millisecond, Ledgers: map[cluster.Datacenter]incident.Ledger{"dc1": {}}, Closed: []incident.Record{closed(41, At.Add(-21*24*time.Hour))}}
	s.World = incident.World{Now: now, Wall: At, Policy: Policy(), Hosts: map[cluster.Name]cluster.Host{}, Schema: schema(),
		Fences: map[cluster.Name]incident.StandingFence{}, Seen: map[cluster.Name]map[cluster.Name]isolate.Seen{},
		Agents: map[cluster.Name]incident.Agent{}, Store: incident.StoreFacts{Leader: "n1"}, Era: 1}
	var hosts []cluster.Host
	for i, n := range names {
		rack := cluster.Rack([]string{"a", "b", "c"}[i])
		h := cluster.Host{Name: n, HostID: cluster.HostID("3f1c0000-0000-4000-8000-00000000000" + string(n[1:])), Region: "eu-central",
			Datacenter: "dc1", Rack: rack, CQL: "10.0.3.1" + string(n[1:]) + ":9042", Storage: "10.0.3.1" + string(n[1:]) + ":7000"}
		s.World.Hosts[n] = h
		hosts = append(hosts, h)
		s.World.Agents[n] = incident.Agent{Version: "0.1.0", Level: 1, Began: At.Add(-time.Hour), Control: true, Policy: 7,
			Cassandra: &incident.CassandraFacts{HostID: h.HostID, Cluster: "orders", Version: "5.0.9", Mode: "NORMAL", Tokens: 4, SyncPeriod: 10 * time.Second}}
	}
	s.World.Topology = membership.NewTopology(hosts)
	s.World.View = membership.View{Began: now.Add(-15 * time.Minute), At: now, Verdicts: map[cluster.Name]membership.Verdict{},
		Observers: map[cluster.Name]membership.Heard{}, Topology: s.World.Topology, Bars: membership.DefaultBars()}
	for _, n := range names {
		s.World.View.Observers[n] = membership.Heard{At: now.Add(-400 * time.Millisecond)}
		s.World.View.Verdicts[n] = alive(n)
	}
	pools(&s, nil)
	s.Findings = incident.Diagnose(s.World)
	return s
}

// Policy is the policy of every snapshot.
func Policy() *incident.Policy {
	p := incident.DefaultPolicy()
	p.Version, p.Hash, p.By, p.Why = 7, "9c1e5fa0b7d2", "ana", "first policy"
	p.Modes["dc1"] = incident.Auto
	p.Regions["eu-central"] = []cluster.Datacenter{"dc1"}
	p.Residency = residency.Open([]cluster.Region{"eu-central"})
	p.Pools = []loadbalancer.Declared{{Name: "cql", Backend: "cassandra", Members: names, Writers: []cluster.Name{"n1", "n2"},
		Proxies: []loadbalancer.Proxy{{Name: "proxy-1", Socket: "/run/haproxy/admin.sock"}}}}
	return &p
}

func schema() *cluster.Schema {
	s := &cluster.Schema{Version: "e84b"}
	for i, n := range names {
		s.Members = append(s.Members, cluster.Member{Name: n, HostID: cluster.HostID(n), Address: "10.0.3.1" + string(n[1:]), Datacenter: "dc1",
			Rack: cluster.Rack([]string{"a", "b", "c"}[i]), Tokens: []int64{int64(i-1) * 1000, int64(i-1)*1000 + 500}})
	}
	rf3 := cluster.Replication{Strategy: cluster.NetworkTopology, Factors: map[cluster.Datacenter]int{"dc1": 3}}
	s.Keyspaces = []cluster.Keyspace{{Name: "orders", Replication: rf3, Tables: []cluster.Table{{Name: "events", GCGrace: 240 * time.Hour}}},
		{Name: "system_auth", Replication: rf3, Tables: []cluster.Table{{Name: "roles", GCGrace: 2160 * time.Hour}}}}
	return s
}

func ballot(of, by cluster.Name, v membership.Vote, o membership.Outcome) membership.Ballot {
	rack := cluster.Rack([]string{"a", "b", "c"}[by[1]-'1'])
	return membership.Ballot{Observer: by, Datacenter: "dc1", Rack: rack, Own: of == by, Vote: v, Age: 400 * time.Millisecond,
		Cites: []membership.Report{{Look: membership.Look{Subject: of, Path: membership.CQL, Outcome: o, Misses: 1, Held: time.Second}, Observer: by, At: now.Add(-400 * time.Millisecond)}}}
}

func alive(n cluster.Name) membership.Verdict {
	v := membership.Verdict{Node: n, At: now, Answer: membership.Alive, Since: now.Add(-10 * time.Minute), Against: 3, Heard: 3, Of: 3, Own: membership.Good, LastAlive: now}
	for _, by := range names {
		v.Ballots = append(v.Ballots, ballot(n, by, membership.Against, membership.Good))
	}
	return v
}

// Down is the verdict of a node whose process ended.
func Down(n cluster.Name) membership.Verdict {
	v := membership.Verdict{Node: n, At: now, Answer: membership.Gone, Cause: membership.ProcessDown, Since: now.Add(-36 * time.Second), For: 3, Heard: 3, Of: 3,
		Racks: 2, Drain: true, Own: membership.Exited}
	for _, by := range names {
		b := ballot(n, by, membership.For, membership.Refused)
		if by == n {
			b.Cites = []membership.Report{{Look: membership.Look{Subject: n, Path: membership.Process, Outcome: membership.Exited, Misses: 1, Held: 36 * time.Second}, Observer: by, At: now.Add(-400 * time.Millisecond)}}
		}
		v.Ballots = append(v.Ballots, b)
	}
	return v
}

func closed(n int, began time.Time) incident.Record {
	return incident.Record{Schema: 1, ID: "inc-dc1-" + digits(n), Cluster: "orders", Region: "eu-central", Datacenter: "dc1", Rack: "b", Node: "n2", Phase: incident.Closed,
		Cause: membership.ProcessDown, Mode: incident.Auto, Began: began, Policy: 6, Seq: 0, Votes: incident.Votes{For: 3, Heard: 3, Of: 3, Racks: 2},
		Marks: map[incident.Stage]time.Duration{incident.StageSeen: 0, incident.StageVerdict: 640 * time.Millisecond, incident.StageDrained: 810 * time.Millisecond,
			incident.StageReturned: 49 * time.Second, incident.StageServing: 50200 * time.Millisecond, incident.StageClosed: 80600 * time.Millisecond},
		Outage: incident.Outage{From: began.Add(-15 * time.Second), Writable: true}}
}

func digits(n int) string { return string(rune('0'+n/10)) + string(rune('0'+n%10)) }

// pools writes the wanted pool, with the nodes out, and reads it back.
func pools(s *api.Snapshot, out []cluster.Name) {
	p := s.World.Policy.Pools[0].Pool(loadbalancer.Pool{})
	actual := []loadbalancer.Actual{}
	for _, n := range names {
		a := loadbalancer.Actual{Server: n, Want: loadbalancer.Ready, Weight: 100, Normal: 100, Up: true, CheckKnown: true, Sessions: 4}
		if slices.Contains(out, n) {
			p.Wants[n] = loadbalancer.Wish{Want: loadbalancer.Drain}
			a.Want, a.Up, a.Sessions = loadbalancer.Drain, false, 0
		}
		actual = append(actual, a)
	}
	token := cluster.Token{Era: 1, Rev: 112}
	s.World.Pools = map[string]incident.StandingPool{"cql": {Pool: p, Token: token}}
	s.World.PoolSeen = map[string]map[cluster.Name]incident.PoolSeen{"cql": {"n1": {Token: token, InStep: true,
		Proxies: map[string]incident.ProxyStatus{"proxy-1": {Actual: actual, InStep: true, Stood: token}}}}}
}

// Returning is n3 on its way back: drained, fenced, repairing.
func Returning() api.Snapshot {
	s := Healthy()
	s.World.View.Verdicts = maps.Clone(s.World.View.Verdicts)
	s.World.View.Verdicts["n3"] = Down("n3")
	began := At.Add(-36 * time.Second)
	job := &repair.Job{Segments: make([]repair.Segment, 214)}
	done := *job
	for i := range 88 {
		done = done.Mark(i)
	}
	r := incident.Record{Schema: 1, ID: "inc-dc1-42", Cluster: "orders", Region: "eu-central", Datacenter: "dc1", Rack: "c", Node: "n3", HostID: "3f1c0000-0000-4000-8000-000000000003",
		Phase: incident.Returning, Cause: membership.ProcessDown, Mode: incident.Auto, Began: began, Policy: 7, Step: 9, Seq: 9,
		Votes:   incident.Votes{For: 3, Heard: 3, Of: 3, Racks: 2},
		Marks:   map[incident.Stage]time.Duration{incident.StageSeen: 0, incident.StageVerdict: 640 * time.Millisecond, incident.StageDrained: 810 * time.Millisecond},
		Outage:  incident.Outage{From: began.Add(-15 * time.Second), Writable: true, Deadline: At.Add(10*24*time.Hour - 51*time.Second), Table: "orders.events"},
		Return:  &incident.Return{Step: incident.Repairing, Tries: 1, Job: &done, Generation: 1763780481, Cassandra: 14200 * time.Millisecond},
		Pending: []incident.Effect{{ID: "inc-dc1-42.9.0", Limit: 5 * time.Minute, Once: &incident.Once{Agent: "n3", Verb: incident.VerbRepair, Target: "n3"}}}}
	fence(&s, r)
	pools(&s, []cluster.Name{"n3"})
	s.Ledgers = map[cluster.Datacenter]incident.Ledger{"dc1": {Holders: []incident.Holder{{Node: "n3", Rack: "c", Incident: r.ID, Kind: incident.HoldsReturn}}}}
	open(&s, r)
	s.Log = Story(r)
	return s
}

func fence(s *api.Snapshot, r incident.Record) {
	token := cluster.Token{Era: 1, Rev: 113}
	s.World.Fences = map[cluster.Name]incident.StandingFence{"n3": {Token: token, Fence: isolate.Fence{Node: "n3", HostID: r.HostID,
		Levels: isolate.Clients | isolate.Reads, Start: isolate.Hibernate, Incident: r.ID}}}
	s.World.Seen = map[cluster.Name]map[cluster.Name]isolate.Seen{"n3": {
		"n1": {Token: token, Sight: isolate.Down, Generation: 1763780481, Severity: 50},
		"n2": {Token: token, Sight: isolate.Down, Generation: 1763780481, Severity: 50},
		"n3": {Token: token, Own: &isolate.OwnState{Applied: true, Running: true, Mode: "STARTING", Severity: 50, Generation: 1763780481}}}}
}

func open(s *api.Snapshot, r incident.Record) {
	s.Open = []incident.Record{r}
	s.World.Open = s.Open
	s.Findings = incident.Diagnose(s.World)
}

// Held is the same return, handed to a person.
func Held() api.Snapshot {
	s := Returning()
	r := s.Open[0]
	r.Phase, r.HeldFrom, r.HeldRule = incident.Held, incident.Returning, incident.RulePreflight
	r.Held = "residency refuses keyspace audit: no rule of the policy names it; name it in the policy"
	r.Pending = nil
	open(&s, r)
	return s
}

// Slow is n3 that answers, and slower than the others: drained, and avoided by readers.
func Slow() api.Snapshot {
	s := Returning()
	v := alive("n3")
	v.Cause, v.Slow = membership.Slow, membership.Slowness{For: 48 * time.Second, Says: []cluster.Name{"n1", "n2"}, Of: 3,
		Typical: 41 * time.Millisecond, Peers: 2 * time.Millisecond, Inside: []string{"a disk write takes 310ms"}}
	s.World.View.Verdicts["n3"] = v
	r := s.Open[0]
	r.Cause, r.Phase, r.Return, r.Pending, r.Outage = membership.Slow, incident.Draining, nil, nil, incident.Outage{}
	r.Slow = &incident.Slowed{Step: incident.Avoided}
	s.World.Fences["n3"] = incident.StandingFence{Token: s.World.Fences["n3"].Token,
		Fence: isolate.Fence{Node: "n3", HostID: r.HostID, Levels: isolate.Reads, Start: isolate.Normal, Incident: r.ID}}
	open(&s, r)
	return s
}

// Asking is n3 whose host is gone: a fence waits for an approval, and dc1 was paused
// by somebody before and resumed.
func Asking() api.Snapshot {
	s := Returning()
	v := Down("n3")
	v.Cause, v.Own = membership.HostGone, membership.NoWord
	s.World.View.Verdicts = maps.Clone(s.World.View.Verdicts)
	s.World.View.Verdicts["n3"] = v
	s.World.Fences, s.World.Seen = map[cluster.Name]incident.StandingFence{}, nil
	r := s.Open[0]
	r.Cause, r.Return, r.Pending = membership.HostGone, nil, nil
	r.Phase, r.HeldFrom, r.HeldRule = incident.Held, incident.Draining, incident.RuleFencing
	r.Held = "HostGone would need a fence, which this version does not raise by itself; it goes on when the node answers or its process is gone"
	p := incident.Propose(incident.Record{ID: r.ID, Node: r.Node, HostID: r.HostID, Latest: r.Latest, Proposal: &incident.Proposal{Levels: isolate.Clients | isolate.Reads}}, s.World)
	r.Proposal = &p
	open(&s, r)
	return s
}

// Paused is a healthy cluster that somebody paused, with a finding that is muted.
func Paused() api.Snapshot {
	s := Healthy()
	s.World.Holds = incident.Holds{Pauses: []incident.Pause{{By: "ana", Why: "new switch", From: At.Add(-time.Hour), Until: At.Add(time.Hour)}},
		Mutes: []incident.Mute{{Code: "STORE_SHARES_DISK", Subjects: []string{"n1"}, By: "bo", Why: "moved on Tuesday", From: At.Add(-time.Hour), Until: At.Add(72 * time.Hour)}}}
	a := s.World.Agents["n1"]
	a.Troubles = []incident.Trouble{{Code: "STORE_SHARES_DISK"}}
	s.World.Agents["n1"] = a
	s.Findings = incident.Diagnose(s.World)
	return s
}

// Observing is n3 down in mode observe: nothing is done.
func Observing() api.Snapshot {
	s := Returning()
	p := *s.World.Policy
	p.Modes = map[cluster.Datacenter]incident.Mode{"dc1": incident.Observe}
	s.World.Policy = &p
	r := s.Open[0]
	r.Phase, r.Mode, r.Return, r.Pending, r.Would = incident.Suspected, incident.Observe, nil, nil, true
	delete(r.Marks, incident.StageDrained)
	s.World.Fences, s.World.Seen = nil, nil
	pools(&s, nil)
	open(&s, r)
	s.Log = s.Log[:2]
	return s
}

// Blind is an agent whose store does not answer.
func Blind() api.Snapshot {
	s := Healthy()
	s.StoreLost, s.Leader = "1 of 3 etcd members", ""
	s.World.Store = incident.StoreFacts{Lost: s.StoreLost, LostFor: 12 * time.Second, Leadless: 12 * time.Second}
	s.Findings = incident.Diagnose(s.World)
	return s
}

// Recovered is a store that came back from a copy, before anybody acknowledged it.
func Recovered() api.Snapshot {
	s := Healthy()
	s.World.Era = 2
	s.World.Recovery = &incident.Recovery{By: "ana", Why: "two disks are lost", From: "/backup/store on n1", At: At.Add(-time.Hour), Rev: 1_000_000_118}
	s.Findings = incident.Diagnose(s.World)
	return s
}

// Back is an agent that another store answers than the one that it knows.
func Back() api.Snapshot {
	s := Blind()
	s.StoreLost = "it stands at revision 90, and this agent has seen 118: it went back"
	s.World.Store.Lost, s.World.Store.Back = s.StoreLost, s.StoreLost
	s.Findings = incident.Diagnose(s.World)
	return s
}

// Deaf is an agent that does not judge: it knows what the store says.
func Deaf() api.Snapshot {
	s := Returning()
	s.Self = "n2"
	s.World.View = membership.View{}
	s.Missing = []string{"view: this agent does not judge"}
	s.Findings = incident.Diagnose(s.World)
	return s
}

// Unsure is n3 of which too few observers say something.
func Unsure() api.Snapshot {
	s := Healthy()
	v := Down("n3")
	v.Answer, v.Cause, v.Drain, v.For, v.Heard, v.Abstain, v.Own, v.Since = membership.Unknown, membership.NoCause, false, 1, 1, 1, membership.NoWord, now.Add(-4*time.Second)
	v.Ballots[1].Vote, v.Ballots[1].Unwell = membership.Abstains, true
	v.Ballots[2] = membership.Ballot{Observer: "n3", Datacenter: "dc1", Rack: "c", Own: true}
	s.World.View.Verdicts = maps.Clone(s.World.View.Verdicts)
	s.World.View.Verdicts["n3"] = v
	s.World.View.Observers["n2"] = membership.Heard{At: now.Add(-400 * time.Millisecond), Unwell: true}
	s.Findings = incident.Diagnose(s.World)
	return s
}

// Story is the journal of a return so far.
func Story(r incident.Record) []incident.Entry {
	lines := []struct {
		ms   int64
		line incident.Line
	}{
		{0, incident.Line{Kind: incident.Saw, Code: "saw_looks", Args: map[string]string{"observers": "n1: cql refused · n2: cql refused · own agent: process exited"}}},
		{640, incident.Line{Kind: incident.Judged, Code: "judged", Args: map[string]string{"cause": "process_down", "for": "3", "heard": "3", "of": "3", "racks": "2", "own": "exited"}}},
		{641, incident.Line{Kind: incident.Decided, Code: "decided_drain", Args: map[string]string{"node": "n3", "margin": "every range still has 2 of 3, need 2"}}},
		{810, incident.Line{Kind: incident.Proved, Code: "proved_drain", Args: map[string]string{"node": "n3", "pools": "cql"}}},
		{811, incident.Line{Kind: incident.Decided, Code: "decided_return", Args: map[string]string{"outage": "2026-11-22T03:01:09Z"}}},
		{900, incident.Line{Kind: incident.Waited, Code: "waits_agent", Rule: incident.RuleReach, Args: map[string]string{"node": "n3"}}},
		{15200, incident.Line{Kind: incident.Did, Code: "did_start", Effect: "inc-dc1-42.5.0", Args: map[string]string{"node": "n3", "how": "hibernated", "try": "1"}}},
		{29400, incident.Line{Kind: incident.Proved, Code: "proved_start", Args: map[string]string{"node": "n3", "took": "14.2 s", "generation": "1763780481"}}},
		{30400, incident.Line{Kind: incident.Proved, Code: "proved_down", Args: map[string]string{"node": "n3", "peers": "n1, n2"}}},
	}
	var out []incident.Entry
	ledger, rec := incident.Ledger{NextEvent: 101}, r
	rec.Seq = 0
	for _, l := range lines {
		at := time.Duration(l.ms) * time.Millisecond
		var entries []incident.Entry
		var err error
		ledger, rec, entries, err = incident.Append(ledger, rec, []incident.Line{l.line},
			incident.Writer{Cluster: "orders", Actor: incident.Actor{Kind: "leader", Name: "n1"}, Wall: r.Began.Add(at), Elapsed: at})
		if err != nil {
			panic(err) // a map of strings always has JSON
		}
		out = append(out, entries...)
	}
	return out
}
