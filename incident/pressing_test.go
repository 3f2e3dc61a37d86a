// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/repair"
)

func segmentWith(hosts ...cluster.Name) repair.Segment {
	return repair.Segment{Keyspace: "ks", Ranges: []cluster.TokenRange{{Start: 1, End: 2}}, Hosts: hosts}
}

// repairing is an incident whose repair has these segments; pending are those of its
// batch that is under way.
func repairing(id string, n cluster.Name, waits Rule, segments []repair.Segment, pending ...repair.Segment) Record {
	r := Record{Schema: SchemaNow, ID: id, Node: n, Datacenter: "dc1", Phase: Returning, Waits: waits,
		Return: &Return{Step: Repairing, Job: &repair.Job{Segments: segments}, Pace: repair.Pace{Batch: 4}}}
	if len(pending) > 0 {
		r.Pending = []Effect{{ID: id + ".1.0", Once: &Once{Verb: VerbRepair, Agent: n, Target: n, Segments: pending}}}
	}
	return r
}

// Where the policy does not heed loads, nothing is waited for.
func TestLoadsAreHeededOnlyWhereThePolicySaysSo(t *testing.T) {
	p := DefaultPolicy()
	r := repairing("inc-1", "n1", "", []repair.Segment{segmentWith("n1", "n2"), segmentWith("n1", "n3")})
	w := World{Now: cluster.Moment(time.Hour), Policy: &p, Open: []Record{r, repairing("inc-2", "n9", "", nil, segmentWith("n9", "n2", "n3"))}}
	if got, permit := newTurn(r, w).batch(); permit.Waits() || !slices.Equal(got, []int{0, 1}) || r.AsksLoad("n2", 9, &p) {
		t.Errorf("not heeded: %v by %+v", got, permit)
	}
	p.Repair.HeedLoad = true
	if got, permit := newTurn(r, w).batch(); !permit.Waits() || !r.AsksLoad("n2", 9, &p) {
		t.Errorf("heeded: %v by %+v", got, permit)
	}
}

func TestOneBatchAtATimeWorksWithAHost(t *testing.T) {
	mine := []repair.Segment{segmentWith("n1", "n2"), segmentWith("n1", "n3"), segmentWith("n1", "n4"), segmentWith("n1", "n2")}
	rows := []struct {
		why   string
		waits Rule // of this repair
		busy  map[cluster.Name]cluster.Name
		other Record
		want  []int // of its segments; nil: it waits
	}{
		{"nobody else repairs", "", nil, Record{}, []int{0, 1, 2, 3}},
		{"another works with a host: what follows on without it", "", nil, repairing("inc-2", "n9", "", nil, segmentWith("n9", "n2")), []int{1, 2}},
		{"so does a batch that is on its way to the store", "", map[cluster.Name]cluster.Name{"n2": "n9"}, Record{}, []int{1, 2}},
		{"another works with all of them", "", nil, repairing("inc-2", "n9", "", nil, segmentWith("n9", "n2", "n3", "n4")), nil},
		{"another works with others", "", nil, repairing("inc-2", "n9", "", nil, segmentWith("n9", "n8")), []int{0, 1, 2, 3}},
		{"another waited for these hosts: it is let first", "", nil, repairing("inc-2", "n9", RuleRepairPeer, []repair.Segment{segmentWith("n9", "n3")}), nil},
		{"who waited has its turn", RuleRepairPeer, nil, repairing("inc-2", "n9", RuleRepairPeer, []repair.Segment{segmentWith("n9", "n3")}), []int{0, 1, 2, 3}},
		{"one that waits for others does not matter", "", nil, repairing("inc-2", "n9", RuleRepairPeer, []repair.Segment{segmentWith("n9", "n8")}), []int{0, 1, 2, 3}},
	}
	for _, row := range rows {
		p := DefaultPolicy()
		p.Repair.HeedLoad = true
		r := repairing("inc-1", "n1", row.waits, mine)
		w := World{Now: cluster.Moment(time.Hour), Policy: &p, Busy: row.busy, Open: []Record{r}, Loads: map[cluster.Name]Loaded{}}
		if row.other.ID != "" {
			w.Open = append(w.Open, row.other)
		}
		for _, n := range []cluster.Name{"n1", "n2", "n3", "n4"} {
			w.Loads[n] = Loaded{Load: repair.Load{Free: 500, Total: 1000}, Since: w.Now, Still: w.Now}
		}
		got, permit := newTurn(r, w).batch()
		if permit.Waits() {
			got = nil
		}
		if !slices.Equal(got, row.want) || row.want == nil && permit.Rule != string(RuleRepairPeer) {
			t.Errorf("%s: %v by %+v, want %v", row.why, got, permit, row.want)
		}
	}
}
