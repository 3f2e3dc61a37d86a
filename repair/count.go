// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"slices"

	"supervisor/cluster"
)

// Part is how far the segments of one keyspace have come.
type Part struct {
	Keyspace string
	Tables   []string       // blank: all
	Done     int            // segments
	Total    int            // segments
	Ranges   int            // of all segments
	Peers    []cluster.Name // who is compared with, by name
}

// Parts divides a job by its keyspaces, in the order in which they are
// repaired.
func (j Job) Parts() []Part {
	var out []Part
	index := map[string]int{}
	for i, s := range j.Segments {
		n, known := index[s.Keyspace]
		if !known {
			n = len(out)
			index[s.Keyspace] = n
			out = append(out, Part{Keyspace: s.Keyspace, Tables: slices.Clone(s.Tables)})
		}
		p := &out[n]
		p.Total++
		p.Ranges += len(s.Ranges)
		if j.Done.Has(i) {
			p.Done++
		}
		for k, h := range s.Hosts {
			if at, there := slices.BinarySearch(p.Peers, h); k > 0 && !there {
				p.Peers = slices.Insert(p.Peers, at, h)
			}
		}
	}
	return out
}
