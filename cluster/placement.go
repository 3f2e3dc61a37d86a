// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"slices"
)

// Placed says which nodes hold a range, in the order Cassandra's own
// strategy finds them: the first is the primary replica.
type Placed struct {
	Range    TokenRange `json:"range"`
	Replicas []Name     `json:"replicas"` // read only: ranges may share it
}

// Replicated says that a second copy of the data may exist, so there is
// something to compare it with. Of a strategy nobody taught us it may.
func (rep Replication) Replicated() bool {
	switch rep.Strategy {
	case Local:
		return false
	case Simple:
		return rep.Factor > 1
	case NetworkTopology:
		total := 0
		for _, rf := range rep.Factors {
			total += max(0, rf)
		}
		return total > 1
	}
	return true
}

// Placement returns the replicas of every range in the order of Ranges. For
// Local there is nothing to place and the answer is empty. A strategy nobody
// taught us is an error, because a guess would count quorums wrong.
//
// The rules are those of Cassandra 5.0's NetworkTopologyStrategy and
// SimpleStrategy, without transient replication.
func (r Ring) Placement(rep Replication) ([]Placed, error) {
	var out []Placed
	var shared []Name // under Everywhere one list serves all ranges
	err := r.each(rep, func(i int, replicas []int) {
		if out == nil {
			out = make([]Placed, 0, len(r.tokens))
		}
		names := shared
		if names == nil {
			names = r.names(replicas)
		}
		if rep.Strategy == Everywhere {
			shared = names
		}
		out = append(out, Placed{Range: r.rangeAt(i), Replicas: names})
	})
	return out, err
}

// PlacementOf is Placement of the ranges that one node holds.
func (r Ring) PlacementOf(rep Replication, node Name) ([]Placed, error) {
	only := r.memberIndex(node)
	var out []Placed
	err := r.each(rep, func(i int, replicas []int) {
		if slices.Contains(replicas, only) {
			out = append(out, Placed{Range: r.rangeAt(i), Replicas: r.names(replicas)})
		}
	})
	return out, err
}

// ReplicasOf returns the nodes that hold a token, primary first. Ask with
// Murmur3Token to learn where a partition key stands.
func (r Ring) ReplicasOf(rep Replication, token int64) ([]Name, error) {
	if rep.Strategy == Local {
		return nil, nil
	}
	w, err := r.walk(rep)
	if err != nil {
		return nil, err
	}
	return r.names(w.replicas(r.indexOf(token))), nil
}

func (r Ring) names(replicas []int) []Name {
	out := make([]Name, len(replicas))
	for i, m := range replicas {
		out[i] = r.members[m].Name
	}
	return out
}

// each visits all ranges with the members that hold them. The slice is only
// good during the visit, and nobody may change it: the next one overwrites it.
func (r Ring) each(rep Replication, visit func(i int, replicas []int)) error {
	if rep.Strategy == Local {
		return nil
	}
	if r.walks != nil {
		if found, known := r.walks[settings(rep)]; known {
			for i, replicas := range found {
				visit(i, replicas)
			}
			return nil
		}
	}
	w, err := r.walk(rep)
	if err != nil {
		return err
	}
	for i := range r.tokens {
		visit(i, w.replicas(i))
	}
	return nil
}

// walker finds replica sets one range after the other. All its memory is
// allocated once: 1,000 nodes of 256 tokens are a quarter million walks.
type walker struct {
	ring  Ring
	turn  int // numbers the walks; a mark of an older turn counts as none
	node  []int
	rack  []int
	full  quota // what each walk starts with
	now   quota
	found []int
	all   []int // set when every node holds everything: no walk at all
}

// quota is what is still wanted during one walk. NetworkTopologyStrategy
// counts per datacenter; SimpleStrategy has a single entry and no racks.
type quota struct {
	left    []int // replicas still to find
	repeats []int // of those, how many may stand in a rack that has one
	open    int   // entries with something left
}

func (r Ring) walk(rep Replication) (*walker, error) {
	w := &walker{ring: r, node: make([]int, len(r.members)), rack: make([]int, r.places.rackTotal)}
	switch rep.Strategy {
	case NetworkTopology:
		for d, dc := range r.places.datacenters {
			rf := max(0, rep.Factors[dc])
			w.full.add(min(rf, r.places.nodes[d]), rf-r.places.racks[d])
		}
	case Simple:
		w.rack = nil
		w.full.add(min(max(0, rep.Factor), r.owners()), 0)
	case Everywhere:
		for i, m := range r.members {
			if len(m.Tokens) > 0 {
				w.all = append(w.all, i)
			}
		}
	default:
		return nil, fmt.Errorf("place replicas by strategy %d: not one we know", rep.Strategy)
	}
	w.now = quota{left: make([]int, len(w.full.left)), repeats: make([]int, len(w.full.left))}
	return w, nil
}

func (q *quota) add(left, repeats int) {
	q.left, q.repeats = append(q.left, left), append(q.repeats, repeats)
	if left > 0 {
		q.open++
	}
}

func (r Ring) owners() int {
	total := 0
	for _, n := range r.places.nodes {
		total += n
	}
	return total
}

// replicas walks the ring from the end of range i until every quota is met.
// It is met before the ring ends: no quota exceeds the nodes of its
// datacenter, and the repeats leave room for one node of every rack.
func (w *walker) replicas(i int) []int {
	if w.all != nil {
		return w.all
	}
	w.turn++
	w.found = w.found[:0]
	w.now.open = w.full.open
	copy(w.now.left, w.full.left)
	copy(w.now.repeats, w.full.repeats)
	owner := w.ring.owner
	for at := i; at < len(owner) && w.now.open > 0; at++ {
		w.meet(owner[at])
	}
	for at := 0; at < i && w.now.open > 0; at++ {
		w.meet(owner[at])
	}
	return w.found
}

// meet takes the member if its datacenter still wants one and it stands in a
// rack that has none yet. When there are fewer racks than replicas the
// difference is taken from known racks at once, in ring order; that is how
// Cassandra does it since 3.0.
func (w *walker) meet(member int) {
	d := 0
	if w.rack != nil {
		d = w.ring.places.ofMember[member]
	}
	if w.now.left[d] == 0 || w.node[member] == w.turn {
		return
	}
	if w.rack != nil {
		rack := w.ring.places.rackOf[member]
		if w.rack[rack] == w.turn {
			if w.now.repeats[d] <= 0 {
				return
			}
			w.now.repeats[d]--
		}
		w.rack[rack] = w.turn
	}
	w.node[member] = w.turn
	w.found = append(w.found, member)
	if w.now.left[d]--; w.now.left[d] == 0 {
		w.now.open--
	}
}
