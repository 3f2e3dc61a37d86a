// SPDX-License-Identifier: Apache-2.0

package apitest

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/repair"
)

// Repairing is n3 in its first repair: three batches of it are done, and one is
// under way.
func Repairing() api.Snapshot {
	s := Returning()
	job := job()
	for i := range 24 {
		job = job.Mark(i)
	}
	r := s.Open[0]
	ret := *r.Return
	ret.Job = &job
	r.Return = &ret
	r.Pending = []incident.Effect{{ID: "inc-dc1-42.12.0", Limit: 5 * time.Minute,
		Once: &incident.Once{Agent: "n3", Verb: incident.VerbRepair, Target: "n3", First: 24, Segments: job.Segments[24:32]}}}
	open(&s, r)
	s.Log = append(s.Log, tell(s.Log, r, []told{
		{31400, incident.Line{Kind: incident.Did, Code: "did_repair", Args: map[string]string{"done": "8", "total": "60", "round": "1"}}},
		{32900, incident.Line{Kind: incident.Did, Code: "did_repair", Args: map[string]string{"done": "16", "total": "60", "round": "1"}}},
		{33900, incident.Line{Kind: incident.Did, Code: "did_repair", Args: map[string]string{"done": "24", "total": "60", "round": "1"}}},
	})...)
	return s
}

// RepairWaits is the same repair, after an order failed, while a peer is away.
func RepairWaits() api.Snapshot {
	s := Repairing()
	r := s.Open[0]
	r.Pending, r.Waits = nil, incident.RuleRepairQuorum
	open(&s, r)
	s.Log = append(s.Log, tell(s.Log, r, []told{
		{34900, incident.Line{Kind: incident.Saw, Code: "order_failed", Args: map[string]string{"verb": "repair", "agent": "n3", "detail": "repair session 7 failed: endpoint 10.0.3.12 died"}}},
		{35000, incident.Line{Kind: incident.Waited, Code: "waits_preflight", Rule: incident.RuleRepairQuorum,
			Args: map[string]string{"reason": "repair of orders: 1 of its replicas in dc1 can be compared (n3), want 2"}}},
	})...)
	return s
}

// Repaired is a cluster whose last return has closed: of its repair the journal
// tells.
func Repaired() api.Snapshot {
	s := Healthy()
	r := closed(43, At.Add(-time.Hour))
	r.Node, r.Rack = "n3", "c"
	r.Return = &incident.Return{Step: incident.RampingFull, Tries: 1, Rounds: 2, Cassandra: 31 * time.Second}
	s.Closed = append(s.Closed, r)
	s.Log = tell(nil, r, []told{
		{50000, incident.Line{Kind: incident.Proved, Code: "proved_up", Args: map[string]string{"node": "n3", "peers": "n1, n2"}}},
		{53000, incident.Line{Kind: incident.Did, Code: "did_repair", Args: map[string]string{"done": "60", "total": "60", "round": "2"}}},
	})
	return s
}

// AskedRepair is a healthy cluster in which ana asked for a repair of n3: 24 of 60
// segments are done, and 4 ranges were left out.
func AskedRepair() api.Snapshot {
	s := Healthy()
	job := job()
	for i := range 24 {
		job = job.Mark(i)
	}
	r := incident.Record{Schema: 1, ID: "rep-dc1-43", Cluster: "orders", Region: "eu-central", Datacenter: "dc1", Rack: "c", Node: "n3",
		Phase: incident.Returning, Mode: incident.Auto, Began: At.Add(-time.Minute), Policy: 7, Step: 4, Seq: 3, Marks: map[incident.Stage]time.Duration{incident.StageSeen: 0},
		Return: &incident.Return{Step: incident.Repairing, Job: &job, Cassandra: 20 * time.Second},
		Repair: &incident.AskedRepair{By: "ana", Why: "old disk", Scope: incident.RepairScope{Node: "n3"}, Refused: 4}}
	r.Pending = []incident.Effect{{ID: "rep-dc1-43.4.0", Limit: 5 * time.Minute,
		Once: &incident.Once{Agent: "n3", Verb: incident.VerbRepair, Target: "n3", First: 24, Segments: job.Segments[24:28]}}}
	s.World.Repairs = []incident.Record{r}
	s.Log = tell(nil, r, []told{
		{0, incident.Line{Kind: incident.Asked, Code: "asked_repair", Who: "ana", Args: map[string]string{"by": "ana", "why": "old disk", "node": "n3", "segments": "60", "refused": "4"}}},
		{20000, incident.Line{Kind: incident.Did, Code: "did_repair", Args: map[string]string{"done": "12", "total": "60", "round": "1"}}},
		{50000, incident.Line{Kind: incident.Did, Code: "did_repair", Args: map[string]string{"done": "24", "total": "60", "round": "1"}}},
	})
	return s
}

// job has 60 segments of two keyspaces.
func job() repair.Job {
	var j repair.Job
	for i := range 60 {
		g := repair.Segment{Keyspace: "orders", Hosts: []cluster.Name{"n3", "n1", "n2"}, Ranges: []cluster.TokenRange{{Start: int64(i * 10), End: int64(i*10 + 10)}}}
		if i >= 40 {
			g.Keyspace = "system_auth"
		}
		j.Segments = append(j.Segments, g)
	}
	return j
}

type told struct {
	ms   int64
	line incident.Line
}

// tell goes on with a journal.
func tell(before []incident.Entry, r incident.Record, lines []told) []incident.Entry {
	ledger := incident.Ledger{NextEvent: int64(101 + len(before))}
	r.Seq = int64(len(before))
	var out []incident.Entry
	for _, l := range lines {
		at := time.Duration(l.ms) * time.Millisecond
		var entries []incident.Entry
		var err error
		ledger, r, entries, err = incident.Append(ledger, r, []incident.Line{l.line},
			incident.Writer{Cluster: "orders", Actor: incident.Actor{Kind: "leader", Name: "n1"}, Wall: r.Began.Add(at), Elapsed: at})
		if err != nil {
			panic(fmt.Sprint(err)) // a map of strings always has JSON
		}
		out = append(out, entries...)
	}
	return slices.Clip(out)
}
