// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"supervisor/cluster"
	"supervisor/repair"
)

// RepairScope is what a person wants repaired of a node.
type RepairScope struct {
	Node     cluster.Name   `json:"node"`
	Keyspace string         `json:"keyspace,omitempty"` // empty: all that are replicated
	Table    string         `json:"table,omitempty"`    // of Keyspace; empty: all
	Region   cluster.Region `json:"region,omitempty"`   // whose replicas alone are compared; empty: all that may
}

// PlanRepair is the repair of a node as it would be planned now, by the rules
// that hold for a return: the same peers, the same quorum, the same residency.
// With a region a quorum is counted in the node's datacenter alone: who names one
// wants the copies there compared among themselves, and nothing else. w has a
// policy and a schema, and a view.
//
// The error tells of what nobody can plan: a node that is not in the ring, or a
// ring that contradicts itself.
func PlanRepair(w World, s RepairScope) (repair.Job, []repair.Refused, error) {
	r, open := w.openAt(s.Node)
	r.Node = s.Node
	t := newTurn(r, w)
	if open {
		return t.planOf(s, t.lacksToo)
	}
	return t.planOf(s, nil)
}

// planOf is the plan of a scope; unlike the plan of a return it may leave
// something out. Without lacks a peer that lacks writes is no peer: nobody knows
// since when the node itself lacks something, if it does.
func (t *turn) planOf(s RepairScope, lacks func(cluster.Name) bool) (repair.Job, []repair.Refused, error) {
	regions := t.regions()
	live := func(n cluster.Name) bool {
		_, lacking := t.w.lacking(n)
		return t.mayRepairWith(n) && (lacks != nil || !lacking)
	}
	in := repair.PlanInput{
		Schema: *t.w.Schema, Node: s.Node,
		Live: func(n cluster.Name) bool {
			return n == s.Node || live(n) && (s.Region == "" || regions[n] == s.Region)
		},
		Lacks:     lacks,
		Regions:   regions,
		Residency: t.w.Policy.Residency,

		RangesPerSegment: rangesPerSegment, RangesJoined: rangesJoined,
		Sizes: t.sizes(), SegmentBytes: segmentBytes,
	}
	if s.Keyspace != "" {
		in.Keyspaces = []string{s.Keyspace}
	}
	if s.Table != "" {
		in.Tables = map[string][]string{s.Keyspace: {s.Table}}
	}
	if s.Region != "" {
		for _, ks := range t.w.Schema.Keyspaces {
			in.Local = append(in.Local, ks.Name)
		}
	}
	return repair.Plan(in)
}
