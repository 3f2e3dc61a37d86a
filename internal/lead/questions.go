// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"slices"

	"supervisor/incident"
	"supervisor/repair"
)

// Questions are the questions about write counters that this host is to answer, of
// this region and those that are read beside it: it holds data of the node that
// returns.
func (s *State) Questions() []string {
	var out []string
	add := func(open []incident.Record) {
		for i := range open {
			q := open[i].Question()
			if q != "" && s.Schema != nil && slices.Contains(repair.Replicas(*s.Schema, open[i].Node), s.Self) {
				out = append(out, q)
			}
		}
	}
	add(s.Picture.OpenRecords())
	for _, r := range s.Elsewhere() {
		add(s.abroad[r].picture.OpenRecords())
	}
	slices.Sort(out)
	return out
}
