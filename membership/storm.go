// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"slices"
	"strings"

	"supervisor/cluster"
)

// Suspects lists, sorted, the nodes of a datacenter that are Gone for another
// reason than a planned stop, or that at least two observers say are gone
// while the answer is still Unknown.
func Suspects(v View, t Topology, dc cluster.Datacenter) []cluster.Name {
	var names []cluster.Name
	for n, p := range t.Nodes {
		if p.Datacenter != dc {
			continue
		}
		x := v.Verdicts[n]
		if x.Cause != Planned && (x.Answer == Gone || x.Answer == Unknown && x.For >= 2) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// Storm tells whether more nodes of a datacenter are suspected than
// max(1, StormShare of it), and says so in a sentence. Whether the ranges of
// two suspects overlap, and which of the Suspects have been out for long, is
// asked elsewhere: it needs the ring and the incidents.
func Storm(suspects []cluster.Name, t Topology, b Bars, dc cluster.Datacenter) (bool, string) {
	of := 0
	for _, p := range t.Nodes {
		if p.Datacenter == dc {
			of++
		}
	}
	limit := max(1, b.StormShare*float64(of))
	if float64(len(suspects)) <= limit {
		return false, ""
	}
	return true, fmt.Sprintf("storm: %d of %d nodes of %s are suspected (%s), at most %d may be",
		len(suspects), of, dc, shorten(suspects, 5), int(limit))
}

// shorten joins at most most names and counts the rest.
func shorten(names []cluster.Name, most int) string {
	words := make([]string, 0, most+1)
	for i, n := range names {
		if i == most {
			words = append(words, fmt.Sprintf("%d more", len(names)-most))
			break
		}
		words = append(words, string(n))
	}
	return strings.Join(words, ", ")
}
