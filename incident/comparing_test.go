// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"testing"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/repair"
	"supervisor/residency"
)

// A node whose plan cannot be read any more is not proven by comparing nothing: it
// is repaired again, behind its fence.
func TestALostPlanProvesNothing(t *testing.T) {
	whole := repair.Job{Segments: []repair.Segment{{Keyspace: "ks", Ranges: []cluster.TokenRange{{Start: 1, End: 2}}, Hosts: []cluster.Name{"n1", "n2"}}}, Done: []byte{1}}
	lost := whole.Apart("p").With(nil)
	rows := []struct {
		why    string
		job    repair.Job
		step   ReturnStep
		fenced bool
		want   Phase
		raises bool
	}{
		{"behind its fence it waits for nothing else", lost, Previewing, true, Returning, false},
		{"compared again in the open: the fence first", lost, Previewing, false, Returning, true},
		{"the rows tell without it", lost, Reading, false, Verifying, false},
		{"the plan is there", whole.Apart("p"), Previewing, true, Verifying, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			rec, w := behindFence(r.step)
			rec.Phase, rec.Held, rec.HeldRule, rec.HeldFrom = Verifying, "", "", PhaseUnknown
			rec.Return.Job, rec.Return.Compared = &r.job, repair.Bitmap{1}
			if !r.fenced {
				delete(w.Fences, "n1")
			}
			x := newTurn(rec, w)
			x.planLost()
			raised := false
			for _, e := range x.effects {
				raised = raised || e.Fence != nil && e.Fence.Levels.Has(isolate.Clients|isolate.Reads)
			}
			if x.r.Phase != r.want || raised != r.raises || r.want == Returning && (x.r.Return.Job != nil || x.r.Return.Step != AwaitUp) {
				t.Errorf("%s in step %s, raised %v, job %v", x.r.Phase, x.r.Return.Step, raised, x.r.Return.Job)
			}
		})
	}
}

// An order that ends after its plan was lost marks nothing, and the rest is
// planned anew.
func TestALostPlanIsNotGoneOnWith(t *testing.T) {
	rec, w := behindFence(Repairing)
	rec.Phase, rec.Held, rec.HeldRule, rec.HeldFrom = Returning, "", "", PhaseUnknown
	w.Schema = &cluster.Schema{Members: []cluster.Member{{Name: "n1", Datacenter: "dc1", Rack: "a", Tokens: []int64{1}}, {Name: "n2", Datacenter: "dc1", Rack: "b", Tokens: []int64{2}}}}
	lost := repair.Job{Segments: make([]repair.Segment, 2)}.Apart("p").With(nil)
	rec.Return.Job = &lost
	e := Effect{ID: "i1.1.0", Once: &Once{Agent: "n1", Verb: VerbRepair, Target: "n1"}}
	rec.Pending = []Effect{e}
	d := Next(rec, Finished{Effect: e.ID, Outcome: Done, Result: Result{Done: []int{0}}}, w)
	if job := d.Record.Return.Job; job == nil || job.Lost() || len(job.Segments) != 0 {
		t.Errorf("planned anew: %+v; %s %s", job, d.Record.Phase, d.Record.Held)
	}
	told := false
	for _, l := range d.Lines {
		told = told || l.Code == "saw_plan_lost"
	}
	if !told {
		t.Errorf("nobody is told: %+v", d.Lines)
	}
}

// What the node's agent says of its tables cuts the plan; without a word it is as
// it was.
func TestAPlanIsCutByWhatTheAgentTells(t *testing.T) {
	for _, row := range []struct {
		why      string
		facts    *CassandraFacts
		segments int
	}{
		{"no word", nil, 1},
		{"a word without sizes", &CassandraFacts{}, 1},
		{"a table of a GiB", &CassandraFacts{Sizes: map[string]map[string]int64{"ks": {"t": 1024}}}, 4},
		{"of another keyspace", &CassandraFacts{Sizes: map[string]map[string]int64{"other": {"t": 1024}}}, 1},
	} {
		rec, w := behindFence(RepairingAgain)
		rec.Phase, rec.Held, rec.HeldRule, rec.HeldFrom = Returning, "", "", PhaseUnknown
		w.Schema = &cluster.Schema{Keyspaces: []cluster.Keyspace{{Name: "ks", Replication: cluster.Replication{Strategy: cluster.Simple, Factor: 2}}},
			Members: []cluster.Member{{Name: "n1", Datacenter: "dc1", Rack: "a", Tokens: []int64{0}}, {Name: "n2", Datacenter: "dc1", Rack: "b", Tokens: []int64{-1 << 63}}}}
		w.Policy.Regions["eu"], w.Policy.Residency = []cluster.Datacenter{"dc1"}, residency.Open([]cluster.Region{"eu"})
		w.Agents["n1"] = Agent{Cassandra: row.facts}
		x := newTurn(rec, w)
		if !x.planRepair(RepairingAgain) || len(x.r.Return.Job.Segments) != row.segments {
			t.Errorf("%s: %s %s, %+v", row.why, x.r.Phase, x.r.Held, x.r.Return.Job)
		}
	}
}
