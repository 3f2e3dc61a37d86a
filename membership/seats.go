// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"maps"
	"slices"

	"supervisor/cluster"
)

// seating numbers the nodes of a topology, so that counting the ballots of all
// of them asks no map for each.
type seating struct {
	names    []cluster.Name // in order; their seats are their places here
	watchers [][]watcher    // by seat, in the order of Topology.Watch
}

// watcher is an eligible observer of a node.
type watcher struct {
	name  cluster.Name
	place Place
	seat  int
}

func seated(t Topology) *seating {
	s := &seating{names: slices.Sorted(maps.Keys(t.Nodes)), watchers: make([][]watcher, len(t.Nodes))}
	for seat, n := range s.names {
		for _, o := range t.Watch[n] {
			if at, listed := slices.BinarySearch(s.names, o); listed {
				s.watchers[seat] = append(s.watchers[seat], watcher{o, t.Nodes[o], at})
			}
		}
	}
	return s
}

// of is the seat of a node of the topology; near is where it is looked for first.
func (s *seating) of(n cluster.Name, near int) int {
	for seat := near; seat < min(near+2, len(s.names)); seat++ {
		if s.names[seat] == n {
			return seat
		}
	}
	seat, _ := slices.BinarySearch(s.names, n)
	return seat
}

// witness is an observer as it stands while ballots are counted.
type witness struct {
	asked, known bool
	heard        Heard
	reports      []Report // from the subject that was asked for last
}

// witness is who sits on a seat. It is looked up once in a turn.
func (u *turn) witness(seat int) *witness {
	if u.witnesses == nil {
		u.witnesses = make([]witness, len(u.t.seats.names))
	}
	w := &u.witnesses[seat]
	if !w.asked {
		w.asked = true
		name := u.t.seats.names[seat]
		w.heard, w.known = u.v.Observers[name]
		w.reports = u.v.Reports[name]
	}
	return w
}

// about are the looks at a node. Nodes are asked for in order, and so reports
// stand.
func (w *witness) about(n cluster.Name) []Report {
	from := 0
	for from < len(w.reports) && w.reports[from].Subject < n {
		from++
	}
	w.reports = w.reports[from:]
	to := 0
	for to < len(w.reports) && w.reports[to].Subject == n {
		to++
	}
	return w.reports[:to:to]
}
