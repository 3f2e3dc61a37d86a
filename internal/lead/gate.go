// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

// What an agent, as it knows the store, tells its own gate and keeps for it.

// Gate is what an agent knows beside the store when its gate asks.
type Gate struct {
	Local   isolate.Local
	Looks   []membership.Look // its own, newest of each path
	Whole   bool              // the store was read once
	Answers bool              // it answers now, and is the one that is meant
	Waited  time.Duration     // how long this gate has been asking
	At      cluster.Moment    // when it asks
	Guard   bool              // this host is to have a guard of ports, whether it answers or not
	Cuts    []cluster.Name    // the hosts that it has cut off, read back
}

// Asked is what the agent answers its gate by. Before the store was read once, and
// while the policy cannot be read, nobody knows the mode: it is not taken for
// observe. A store whose word about this node cannot be read is one that is silent:
// the copy counts.
func (s *State) Asked(g Gate) isolate.Asked {
	p := s.Picture
	trusted := g.Whole && p.Trusted()
	told := !p.unreadable(store.Fence(s.Self), store.Open(s.Self))
	q := isolate.Asked{Local: g.Local, Observe: trusted, Store: trusted && g.Answers && told, Waited: g.Waited}
	if me, listed := p.Hosts[s.Self]; listed {
		q.Observe = p.Policy.Value.ModeOf(me.Datacenter) == incident.Observe && p.Trusted()
	}
	q.Observe = q.Observe && !p.unreadable(store.Policy)
	if q.Store {
		q.Fence = nil // the store's word counts, the copy is for when it is silent
	}
	if f, _, stands := p.Standing(s.Self); stands {
		q.Standing = &f
	}
	if g.Guard {
		q.Uncut = append(p.uncut(s.Self, g.Cuts), s.uncutAbroad(g.Cuts)...)
	}
	if id := p.Opens[s.Self].Value; !p.onlySlow(s.Self) {
		q.Incident = id
	}
	q.PeersAnswering, q.Peers = membership.PeersAnswering(s.Self, g.Looks, s.Topology().Watched(s.Self), p.Policy.Value.Bars().MissesMax)
	running, known := s.runAbroad(g.At)
	if q.PeersAnswering += running; !known && q.PeersAnswering == 0 {
		q.Peers = 0 // another region may have gone on: nobody can say that no other node answers
	}
	return q
}

// uncut lists the hosts that a fence cuts off and this one has not cut off yet.
func (p *Picture) uncut(self cluster.Name, cuts []cluster.Name) []cluster.Name {
	var rest []cluster.Name
	for n := range p.Fences {
		if f, _, stands := p.Standing(n); stands && n != self && f.Levels.Has(isolate.Ring) && !slices.Contains(cuts, n) {
			rest = append(rest, n)
		}
	}
	slices.Sort(rest)
	return rest
}

// Kept is what an agent keeps on its disk for its gate, by a store that answers:
// the standing fence, the policy's word for a gate that nobody answers, and the
// deadline of this node's data while an incident is open.
//
// A return is over when its incident is in the archive, and not before: that a
// fence is not there may also mean that the store was lost or is an older one. A
// store that does not know the host, or that a person has still to acknowledge,
// changes nothing, and what cannot be read changes nothing of what it says.
func (p *Picture) Kept(n cluster.Name, l isolate.Local) isolate.Local {
	if _, listed := p.Hosts[n]; !listed || !p.Trusted() {
		return l
	}
	if f, _, stands := p.Standing(n); stands && !f.LeavesStart() {
		l = l.Fenced(f)
	} else if over, known := p.Archive[l.Incident]; known && over.Node == n {
		l = l.Over()
	}
	if !p.unreadable(store.Policy) {
		l.Unasked = isolate.StartUnknown
		if p.Policy.Value != nil {
			l.Unasked = p.Policy.Value.Gate.Unasked
		}
	}
	id := p.Opens[n].Value
	told := !p.unreadable(store.Open(n), store.Record(id))
	if deadline := p.Records[id].Value.Outage.Deadline; told && !l.Deadline.Equal(deadline) {
		l.Deadline = deadline
	}
	return l
}

// onlySlow tells whether the open incident of a node is about nothing but its
// slowness: it says nothing about how the node may start, nor since when it may
// lack writes. Without an incident it is false.
func (p *Picture) onlySlow(n cluster.Name) bool { return p.returning(n).OfSlowness() }

// Doubted tells whether an incident is open about a node that may lack writes.
func (p *Picture) Doubted(n cluster.Name) bool {
	_, open := p.Opens[n]
	return open && !p.onlySlow(n)
}

// Retaken tells whether a return has fenced the node and its gate knows that:
// from then on it is repaired, whatever happens.
func (p *Picture) Retaken(n cluster.Name, l isolate.Local) bool {
	f, _, stands := p.Standing(n)
	return stands && p.Trusted() && f.Returns() && l.Fence != nil && *l.Fence == f
}

// FenceOf is the fence that an incident has standing on a node: it says how its
// node starts, and whether a process may be kept from starting.
func (p *Picture) FenceOf(n cluster.Name, id string) (f isolate.Fence, stands bool) {
	f, _, stands = p.Standing(n)
	return f, stands && f.Incident == id
}

// Awaits tells whether an open incident waits for an order.
func (p *Picture) Awaits(o incident.Order) bool {
	if o.Once == nil {
		return false
	}
	rec, open := p.awaiting(o.Incident, o.Once.Target)
	return open && rec.Awaits(o.ID)
}

// OrdersByToken are the keys of the orders, oldest token first; those of one
// transaction by their names.
func (p *Picture) OrdersByToken() []string {
	return slices.SortedFunc(maps.Keys(p.Orders), func(a, b string) int {
		return cmp.Or(cmp.Compare(p.Orders[a].Create, p.Orders[b].Create), cmp.Compare(a, b))
	})
}
