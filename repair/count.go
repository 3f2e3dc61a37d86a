// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"slices"
	"strings"

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

// Again is the job once more of those tables alone that differ, as
// keyspace.table; nothing of it is done.
func (j Job) Again(differ []string) Job {
	tables := map[string][]string{}
	for _, name := range differ {
		if ks, table, ok := strings.Cut(name, "."); ok {
			tables[ks] = append(tables[ks], table)
		}
	}
	var segments []Segment
	for _, s := range j.Segments {
		if of := tables[s.Keyspace]; of != nil {
			s.Tables = slices.Clone(of)
			segments = append(segments, s)
		}
	}
	return Job{Segments: segments, Done: newBitmap(len(segments))}
}
