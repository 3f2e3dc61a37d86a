// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"net/http"
	"slices"

	"supervisor/cluster"
	"supervisor/incident"
)

// RepairPlan is what a repair of a node would do, and what of it is refused.
type RepairPlan struct {
	Node      cluster.Name    `json:"node"`
	Region    cluster.Region  `json:"region"`    // whose replicas alone are compared; empty: all that may
	Keyspaces []RepairPart    `json:"keyspaces"` // in the order in which they would be repaired
	Segments  int             `json:"segments"`
	Ranges    int             `json:"ranges"`
	Bytes     *int64          `json:"bytes"` // that would be compared; null: not known
	Refused   []RefusedRanges `json:"refused"`
}

// RefusedRanges are ranges of one keyspace that a rule forbids to repair now.
type RefusedRanges struct {
	Keyspace string        `json:"keyspace"`
	Ranges   int           `json:"ranges"`
	Rule     incident.Rule `json:"rule"`
	Why      string        `json:"why"`
}

// Barred tells whether a rule forbids all that there is to repair.
func (p RepairPlan) Barred() bool { return len(p.Keyspaces) == 0 && len(p.Refused) > 0 }

// RepairPlanPath is where the plan of a repair is asked for.
func RepairPlanPath(s incident.RepairScope) string {
	return Path("v1", "repairs", "plan", string(s.Node)) + query("keyspace", s.Keyspace, "table", s.Table, "region", string(s.Region))
}

func repairPlan(s Snapshot, r *http.Request) (RepairPlan, []string, error) {
	q := r.URL.Query()
	for key := range q { // order: the first that is not known, whichever
		if !slices.Contains([]string{"keyspace", "table", "region"}, key) {
			return RepairPlan{}, nil, problem(Usage, key, fmt.Sprintf("%q is no part of a repair; known: keyspace, table, region", key))
		}
	}
	p, err := PlanRepair(s, incident.RepairScope{Node: cluster.Name(r.PathValue("node")), Keyspace: q.Get("keyspace"), Table: q.Get("table"), Region: cluster.Region(q.Get("region"))})
	return p, nil, err
}

// repairTyped holds what was typed against what there is, as far as the leader
// would call it no refusal.
func repairTyped(s Snapshot, scope incident.RepairScope) error {
	if _, known := s.World.Hosts[scope.Node]; !known {
		return noNode(s, string(scope.Node))
	}
	if !s.judges() || s.World.Policy == nil || s.World.Schema == nil {
		return nil // the leader says so, by the rule's name
	}
	return repairable(s, scope)
}

// PlanRepair plans the repair of a node by the very rules that the leader plans by.
func PlanRepair(s Snapshot, scope incident.RepairScope) (RepairPlan, error) {
	if err := repairable(s, scope); err != nil {
		return RepairPlan{}, err
	}
	job, refused, err := incident.PlanRepair(s.World, scope)
	if err != nil {
		return RepairPlan{}, problem(GuardForbids, string(scope.Node), err.Error()).under(string(incident.RulePreflight))
	}
	out := RepairPlan{Node: scope.Node, Region: scope.Region, Keyspaces: []RepairPart{}, Refused: []RefusedRanges{}}
	for _, p := range job.Parts() {
		out.Keyspaces = append(out.Keyspaces, RepairPart{Keyspace: p.Keyspace, Tables: append([]string{}, p.Tables...), Total: p.Total, Ranges: p.Ranges, Peers: p.Peers})
		out.Segments += p.Total
		out.Ranges += p.Ranges
	}
	for _, x := range refused {
		i := slices.IndexFunc(out.Refused, func(y RefusedRanges) bool {
			return y.Keyspace == x.Keyspace && y.Rule == incident.Rule(x.Rule) && y.Why == x.Why
		})
		if i < 0 {
			i = len(out.Refused)
			out.Refused = append(out.Refused, RefusedRanges{Keyspace: x.Keyspace, Rule: incident.Rule(x.Rule), Why: x.Why})
		}
		out.Refused[i].Ranges += len(x.Ranges)
	}
	return out, nil
}

// repairable holds what was typed against what there is.
func repairable(s Snapshot, scope incident.RepairScope) error {
	if _, known := s.World.Hosts[scope.Node]; !known {
		return noNode(s, string(scope.Node))
	}
	if scope.Table != "" && scope.Keyspace == "" {
		return problem(Usage, scope.Table, "a table is of a keyspace: add --keyspace")
	}
	switch w := s.World; {
	case w.Policy == nil:
		return problem(GuardForbids, string(scope.Node), "no policy stands, so nobody knows where data may stand", "supervisor policy init, then policy apply FILE").under(string(incident.RulePolicy))
	case w.Schema == nil:
		return problem(GuardForbids, string(scope.Node), "ring and schema are not known yet: no Cassandra was asked").under(string(incident.RulePreflight))
	case !s.judges():
		return problem(GuardForbids, string(scope.Node), "this agent does not judge, so it does not know which replicas live", "ask a control agent: --socket").under(string(incident.RuleEvidence))
	}
	if err := regionKnown(s, scope); err != nil {
		return err
	}
	return tableKnown(s, scope)
}

// regionKnown wants the node in the region that its repair is kept in, and in
// the ring.
func regionKnown(s Snapshot, scope incident.RepairScope) error {
	members := s.World.Schema.Members
	i := slices.IndexFunc(members, func(m cluster.Member) bool { return m.Name == scope.Node })
	if i < 0 {
		return problem(GuardForbids, string(scope.Node), string(scope.Node)+" is on the roster and not in the ring, so it holds no range", "look at it: supervisor node "+string(scope.Node)).under(string(incident.RulePreflight))
	}
	if scope.Region == "" {
		return nil
	}
	var regions []string
	for region := range s.World.Policy.Regions { // order: sorted below
		regions = append(regions, string(region))
	}
	slices.Sort(regions)
	if !slices.Contains(regions, string(scope.Region)) {
		return problem(RegionUnknown, string(scope.Region), fmt.Sprintf("the policy has no region %q", scope.Region), didYouMean(string(scope.Region), regions))
	}
	if stands, _ := s.World.Policy.RegionOf(members[i].Datacenter); stands != scope.Region {
		return problem(Usage, string(scope.Node), fmt.Sprintf("%s stands in region %s, so its repair cannot be kept in %s", scope.Node, stands, scope.Region))
	}
	return nil
}

func tableKnown(s Snapshot, scope incident.RepairScope) error {
	if scope.Keyspace == "" {
		return nil
	}
	var names []string
	for _, ks := range s.World.Schema.Keyspaces {
		names = append(names, ks.Name)
		if ks.Name != scope.Keyspace {
			continue
		}
		var tables []string
		for _, t := range ks.Tables {
			tables = append(tables, t.Name)
		}
		if scope.Table != "" && !slices.Contains(tables, scope.Table) {
			return problem(TableUnknown, scope.Table, fmt.Sprintf("keyspace %s has no table %q", ks.Name, scope.Table), didYouMean(scope.Table, tables))
		}
		return nil
	}
	return problem(KeyspaceUnknown, scope.Keyspace, fmt.Sprintf("the schema has no keyspace %q", scope.Keyspace), didYouMean(scope.Keyspace, names))
}
