// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"slices"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/repair"
)

// Questions are the questions about write counters that this host is to answer, of
// this region and those that are read beside it: it holds data of the node that
// returns.
func (s *State) Questions() []string {
	var out []string
	s.eachOpen(func(r incident.Record) {
		if q := r.Question(); q != "" && s.holdsOf(r.Node) {
			out = append(out, q)
		}
	})
	slices.Sort(out)
	return out
}

// MayBeAsked tells whether a question may come at all, by the policy, and whether one may
// come soon: a node is out of which this host holds data.
func (s *State) MayBeAsked() (ever, soon bool) {
	ever = s.Picture.Policy.Value.SkipsQuiet()
	s.eachOpen(func(r incident.Record) {
		soon = soon || ever && r.Phase != incident.Held && !r.OfSlowness() && s.holdsOf(r.Node)
	})
	return ever, soon
}

func (s *State) eachOpen(do func(incident.Record)) {
	for _, r := range s.Picture.OpenRecords() {
		do(r)
	}
	for _, region := range s.Elsewhere() {
		for _, r := range s.abroad[region].picture.OpenRecords() {
			do(r)
		}
	}
}

func (s *State) holdsOf(n cluster.Name) bool {
	return s.Schema != nil && slices.Contains(repair.Replicas(*s.Schema, n), s.Self)
}
