// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"

	"supervisor/cluster"
	"supervisor/membership"
)

// Storm tells whether so much fails at once that it is more likely the
// network or us: then no destructive step starts in the datacenter.
func Storm(w World, dc cluster.Datacenter) (bool, string) {
	if storm, reason := membership.Storm(w.View, w.Topology, w.Policy.Bars(), dc); storm {
		return true, reason
	}
	suspects := membership.Suspects(w.View, w.Topology, dc)
	if a, b, overlap := overlapping(w, suspects); overlap {
		return true, fmt.Sprintf("%s and %s are both suspect and replicate the same ranges", a, b)
	}
	return false, ""
}

// overlapping finds two suspects that replicate a range of the same keyspace.
func overlapping(w World, suspects []cluster.Name) (a, b cluster.Name, found bool) {
	if w.Schema == nil || len(suspects) < 2 {
		return "", "", false
	}
	ring, err := cluster.NewRing(w.Schema.Members)
	if err != nil {
		return "", "", false
	}
	for _, ks := range w.Schema.Keyspaces {
		if cluster.NeverReplicated(ks.Name) || cluster.Exempt(ks.Name) {
			continue
		}
		placed, err := ring.Placement(ks.Replication)
		if err != nil {
			continue
		}
		for _, p := range placed {
			var hit []cluster.Name
			for _, s := range suspects {
				if slices.Contains(p.Replicas, s) {
					hit = append(hit, s)
				}
			}
			if len(hit) > 1 {
				return hit[0], hit[1], true
			}
		}
	}
	return "", "", false
}
