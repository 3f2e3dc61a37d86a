// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// stormWindow is how close together failures must begin to be one storm.
const stormWindow = 2 * time.Minute

// Storm tells whether so much fails at once that it is more likely the
// network or us: then no destructive step starts in the datacenter. World.Open
// must hold every open incident, that of the node in question too.
func Storm(w World, dc cluster.Datacenter) (bool, string) {
	suspects := slices.DeleteFunc(append(membership.Suspects(w.View, w.Topology, dc), w.unsettled(dc)...), w.longOut)
	slices.Sort(suspects)
	if storm, reason := membership.Storm(suspects, w.Topology, w.Policy.Bars(), dc); storm {
		return true, reason
	}
	if reason, is := w.alsoAbroad(suspects); is {
		return true, reason
	}
	if a, b, overlap := overlapping(w, suspects); overlap {
		return true, fmt.Sprintf("%s and %s are both suspect and replicate the same ranges", a, b)
	}
	return false, ""
}

// unsettled lists the nodes of a datacenter that an incident is about and of which
// nobody is sure at this moment: what is silent where it refused before is neither
// for a second, and no storm is over by that.
func (w *World) unsettled(dc cluster.Datacenter) (names []cluster.Name) {
	for _, r := range w.Open {
		v := w.verdict(r.Node)
		if r.Datacenter == dc && r.Phase != Held && v.Answer == membership.Unknown && v.For < 2 && v.Cause != membership.Planned {
			names = append(names, r.Node)
		}
	}
	return names
}

// longOut tells whether a node failed before the present storm, if there is
// one, and its incident has taken it out: drained, or on its way back. It may
// hibernate for hours and be Held for days, and who fails next is one node. A
// node that a storm kept from being drained stays a suspect, so that no storm
// ends by growing old. The age is the judge's and not by wall time.
func (w *World) longOut(n cluster.Name) bool {
	if w.Now.Sub(w.verdict(n).Since) <= stormWindow {
		return false
	}
	return slices.ContainsFunc(w.Open, func(r Record) bool {
		_, drained := r.Marks[StageDrained]
		return r.Node == n && (drained || r.Return != nil && r.Return.Step > Preflight)
	})
}

// overlapping finds two suspects that replicate a range of the same keyspace.
func overlapping(w World, suspects []cluster.Name) (a, b cluster.Name, found bool) {
	if w.Schema == nil || len(suspects) < 2 {
		return "", "", false
	}
	ring, err := w.Schema.Ring()
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
