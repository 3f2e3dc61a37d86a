// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"cmp"
	"hash/fnv"
	"slices"

	"supervisor/cluster"
)

// Degree is how many others watch a node beside its own agent.
const Degree = 10

// NewTopology places every host of the roster and assigns its watchers.
func NewTopology(hosts []cluster.Host) Topology {
	t := Topology{Nodes: make(map[cluster.Name]Place, len(hosts)), Watch: make(map[cluster.Name][]cluster.Name, len(hosts))}
	for _, h := range hosts {
		t.Nodes[h.Name] = Place{Region: h.Region, Datacenter: h.Datacenter, Rack: h.Rack}
	}
	for n := range t.Nodes {
		t.Watch[n] = Watchers(t.Nodes, n, Degree)
	}
	return t
}

// Watched lists the nodes that observer looks at, its own included, sorted.
func (t Topology) Watched(observer cluster.Name) []cluster.Name {
	var nodes []cluster.Name
	for n, watchers := range t.Watch {
		if slices.Contains(watchers, observer) {
			nodes = append(nodes, n)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// Watchers assigns who looks at subject: its own agent and up to degree
// others of its region, one of each rack in turn, so that the loss of a rack
// blinds nobody. Within a rack the highest rendezvous hashes are taken: a host
// that comes or goes changes only the lists it belongs to. Sorted; empty when
// subject is not among nodes.
func Watchers(nodes map[cluster.Name]Place, subject cluster.Name, degree int) []cluster.Name {
	home, ok := nodes[subject]
	if !ok {
		return nil
	}
	type candidate struct {
		name cluster.Name
		rank uint64
	}
	racks := map[place][]candidate{}
	for n, p := range nodes { // order: every rack is sorted below
		if n != subject && p.Region == home.Region {
			at := place{p.Datacenter, p.Rack}
			racks[at] = append(racks[at], candidate{n, rendezvous(string(subject), string(n))})
		}
	}
	order := make([]place, 0, len(racks))
	for at, list := range racks { // order: each list and then all of them are sorted
		order = append(order, at)
		slices.SortFunc(list, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.name, b.name))
		})
	}
	slices.SortFunc(order, func(a, b place) int {
		return cmp.Or(cmp.Compare(rendezvous(string(subject), string(a.dc), string(a.rack)),
			rendezvous(string(subject), string(b.dc), string(b.rack))),
			cmp.Compare(a.dc, b.dc), cmp.Compare(a.rack, b.rack))
	})
	watchers := []cluster.Name{subject}
	for depth, found := 0, true; found && len(watchers) <= degree; depth++ {
		found = false
		for _, at := range order {
			if list := racks[at]; depth < len(list) && len(watchers) <= degree {
				watchers, found = append(watchers, list[depth].name), true
			}
		}
	}
	slices.Sort(watchers)
	return watchers
}

// rendezvous is one number for a tuple of words, alike on every machine. The
// last step spreads FNV's weak high bits (the finalizer of splitmix64).
func rendezvous(words ...string) uint64 {
	h := fnv.New64a()
	for _, w := range words {
		h.Write([]byte(w))
		h.Write([]byte{0})
	}
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
