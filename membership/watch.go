// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"

	"supervisor/cluster"
)

// Degree is how many others watch a node beside its own agent.
const Degree = 10

// WatchMax is how many others one agent watches at most. A host that stands
// alone in its rack is the first choice of everybody, and chance is uneven too.
// Twice Degree is the smallest bound with which nobody goes short of watchers:
// who still lacks one has been refused by all others but nine, each of them
// full, and there are not so many nodes to fill them.
const WatchMax = 2 * Degree

// NewTopology places every host of the roster and assigns its watchers.
func NewTopology(hosts []cluster.Host) Topology {
	t := Topology{Nodes: make(map[cluster.Name]Place, len(hosts))}
	for _, h := range hosts {
		t.Nodes[h.Name] = Place{Region: h.Region, Datacenter: h.Datacenter, Rack: h.Rack}
	}
	t.Watch = Assign(t.Nodes)
	t.seats = seated(t)
	return t
}

// Seated is the topology ready for many turns, of one that was put together
// otherwise than by NewTopology.
func (t Topology) Seated() Topology {
	t.seats = seated(t)
	return t
}

// Assign gives every node its watchers, sorted: its own agent and up to Degree
// others of its region. Each node asks the others in the order of candidates;
// one that has WatchMax already keeps those it ranks highest, and who is turned
// away asks on. So it is decided by ranks alone, in whatever order the nodes
// are asked for, and a host that comes or goes changes few lists.
func Assign(nodes map[cluster.Name]Place) map[cluster.Name][]cluster.Name {
	a := assignment{nodes: nodes, order: map[cluster.Name][]cluster.Name{}, asked: map[cluster.Name]int{},
		watches: map[cluster.Name][]cluster.Name{}, watchers: map[cluster.Name]int{}}
	open := slices.Sorted(maps.Keys(nodes))
	for len(open) > 0 {
		n := open[len(open)-1]
		open = open[:len(open)-1]
		open = append(open, a.ask(n)...)
	}
	watch := make(map[cluster.Name][]cluster.Name, len(nodes))
	for n := range nodes {
		watch[n] = append(watch[n], n)
	}
	for o, subjects := range a.watches { // order: every list is sorted below
		for _, n := range subjects {
			watch[n] = append(watch[n], o)
		}
	}
	for _, watchers := range watch { // order: each list is sorted for itself
		slices.Sort(watchers)
	}
	return watch
}

// assignment is who watches whom so far.
type assignment struct {
	nodes    map[cluster.Name]Place
	order    map[cluster.Name][]cluster.Name // whom a node asks, the first of them
	asked    map[cluster.Name]int            // how many of those it has asked
	watches  map[cluster.Name][]cluster.Name // by observer
	watchers map[cluster.Name]int            // by subject
}

// ask finds watchers for a node and returns those that lost one to it.
func (a *assignment) ask(n cluster.Name) (lost []cluster.Name) {
	for a.watchers[n] < Degree {
		o, left := a.next(n)
		if !left {
			break
		}
		a.watches[o] = append(a.watches[o], n)
		a.watchers[n]++
		if len(a.watches[o]) <= WatchMax {
			continue
		}
		worst := slices.MinFunc(a.watches[o], func(x, y cluster.Name) int {
			return cmp.Or(cmp.Compare(rendezvous(string(x), string(o)), rendezvous(string(y), string(o))), cmp.Compare(x, y))
		})
		a.watches[o] = slices.DeleteFunc(a.watches[o], func(x cluster.Name) bool { return x == worst })
		a.watchers[worst]--
		if worst != n {
			lost = append(lost, worst)
		}
	}
	return lost
}

// next is whom a node asks next. Most need the first few of their candidates
// only, so more are listed when these are used up.
func (a *assignment) next(n cluster.Name) (o cluster.Name, left bool) {
	i := a.asked[n]
	if i == len(a.order[n]) {
		a.order[n] = candidates(a.nodes, n, 2*i+Degree)
		if i == len(a.order[n]) {
			return "", false
		}
	}
	a.asked[n]++
	return a.order[n][i], true
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

// candidates are the first so many others of a node's region that may watch
// it: one of each rack in turn, so that the loss of a rack blinds nobody.
// Within a rack the highest rendezvous hashes come first.
func candidates(nodes map[cluster.Name]Place, subject cluster.Name, most int) []cluster.Name {
	home := nodes[subject]
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
	var first []cluster.Name
	for depth, found := 0, true; found && len(first) < most; depth++ {
		found = false
		for _, at := range order {
			if list := racks[at]; depth < len(list) && len(first) < most {
				first, found = append(first, list[depth].name), true
			}
		}
	}
	return first
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
