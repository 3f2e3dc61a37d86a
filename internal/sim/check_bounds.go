// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/obey"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/loadbalancer"
)

// budgetHolds is asked when an act changes a node: as many of a datacenter as the
// policy says are changed by order at once, and of one rack. What nobody waits
// for any more ends by itself and counts for nothing.
func (w *world) budgetHolds(a *agent, o incident.Order) {
	if r, open := get[incident.Record](w, store.Record(o.Incident)); !open || !r.Awaits(o.ID) {
		return
	}
	var others []string
	racks := []cluster.Rack{a.n.place.Rack}
	for _, m := range w.nodes {
		if m == a.n || m.home() != a.n.home() || !w.changes(m) {
			continue
		}
		others = append(others, string(m.name))
		if !slices.Contains(racks, m.place.Rack) {
			racks = append(racks, m.place.Rack)
		}
	}
	most := max(1, w.policy.Budgets.NodesPerDatacenter)
	if len(others) >= most || len(racks) > 1 {
		w.broken(string(incident.RuleBudget), "%s begins %s beside %s, at most %d at once and of one rack", a.id, o.Once.Verb, strings.Join(others, ", "), most)
	}
}

// changes tells whether a node is changed by an order that its incident waits for.
// One that hibernates and is held, or waits for others, is not: it gave its turn
// back.
func (w *world) changes(n *node) bool {
	id, _ := get[string](w, store.Open(n.name))
	r, open := get[incident.Record](w, store.Record(id))
	return open && r.Awaits(w.acting[string(n.name)+"/"+obey.Cassandra])
}

// fencedByHand is a fence that a person wants on a node that nobody else would
// fence: it is one of those that may be out, and nobody fences in a storm.
func (w *world) fencedByHand(n *node) {
	var out []string
	elsewhere := false
	for _, m := range w.nodes {
		if _, open := w.store.Get(store.Open(m.name)); open && m != n && m.home() == n.home() && !m.answers() {
			out = append(out, string(m.name))
			elsewhere = elsewhere || m.place.Rack != n.place.Rack
		}
	}
	if most := max(1, w.policy.Budgets.NodesPerDatacenter); len(out) >= most || elsewhere {
		w.broken(string(incident.RuleBudget), "%s is fenced by hand while %s is out, at most %d at once and of one rack", n.name, strings.Join(out, ", "), most)
	}
	w.calmFor(n, "is fenced by hand")
}

// stormSpan is how lately nodes must have failed to be one storm, with room for
// what leaders see of it: two minutes by their rule.
const stormSpan = 100 * time.Second

// missesNodes notes since when each node is missed by most who watch it, and
// announced nothing, until it answers again: what ends behind its fence did not
// fail anew.
func (w *world) missesNodes() {
	if !w.led() {
		w.unledAt = w.now
	}
	for _, n := range w.nodes {
		switch gone := !n.takes() && w.judgedGone(n); {
		case n.answers(), n.announced():
			n.goneAt = 0
		case gone && n.goneAt == 0:
			n.goneAt = w.now
		}
	}
}

// announced tells whether a node said that it goes. One that was started since, and
// ended before anybody had to see it, is away as it said.
func (n *node) announced() bool {
	unseen := !n.runs() && n.leftAt != 0 && n.wentAt.Sub(n.beganAt) < noticed
	return n.leaving() || unseen && n.w.now.Sub(n.leftAt) < n.w.hintWindow
}

// stormOver lists the nodes of a datacenter that truly failed close together, if
// they are more than the policy allows, or replicate one range.
func (w *world) stormOver(dc cluster.Datacenter) []cluster.Name {
	var out []cluster.Name
	of := 0
	for _, n := range w.nodes {
		if n.home() != dc {
			continue
		}
		of++
		// What a look says changes with what was done to a node that was gone already,
		// and for a moment nobody says anything.
		known := w.now.Sub(n.goneAt) >= steady && w.now.Sub(max(n.changedAt, n.shakenAt)) >= noticed
		if n.goneAt != 0 && !n.takes() && known && w.now.Sub(n.goneAt) <= stormSpan {
			out = append(out, n.name)
		}
	}
	together := slices.ContainsFunc(w.ring, func(p cluster.Placed) bool {
		return len(among(p.Replicas, out)) > 1
	})
	if float64(len(out)) > max(1, w.policy.Detection.StormShare*float64(of)) || together {
		return out
	}
	return nil
}

func among(all, some []cluster.Name) []cluster.Name {
	return slices.DeleteFunc(slices.Clone(all), func(n cluster.Name) bool { return !slices.Contains(some, n) })
}

// calmFor wants no storm where something is taken from a node. A person who says
// that he has seen it lets its incident go on.
func (w *world) calmFor(n *node, what string) {
	if w.now.Sub(w.unledAt) < steady || w.acked[n.name] {
		return
	}
	if out := w.stormOver(n.home()); len(out) > 0 {
		w.broken(string(incident.RuleStorm), "%s %s in a storm: %v are gone", n.name, what, out)
	}
}

// takenOut looks at the members that a pool takes out.
func (w *world) takenOut(pool loadbalancer.Pool) {
	serving := false
	for _, m := range pool.Members() {
		if w.wants[m].Want != loadbalancer.Ready || pool.Wants[m].Want == loadbalancer.Ready {
			continue
		}
		n := w.byName[m]
		serving = serving || w.serves(n) && w.longAsNow(n) && !n.twice()
		id, _ := get[string](w, store.Open(m))
		if r, open := get[incident.Record](w, store.Record(id)); open && r.Phase == incident.Draining && r.Hand == nil {
			w.calmFor(n, "is drained")
		}
	}
	if serving {
		w.halfOfThePool(pool)
	}
}

// halfOfThePool wants half of the members that answer to be left ready when one
// of them is taken out, rounded up. Whose answer is new counts as is kinder.
func (w *world) halfOfThePool(pool loadbalancer.Pool) {
	answering, left := 0, 0
	for _, m := range pool.Members() {
		n := w.byName[m]
		serves, long := w.serves(n), w.longAsNow(n)
		if serves && long {
			answering++
		}
		if pool.Wants[m].Want == loadbalancer.Ready && (serves || !long) {
			left++
		}
	}
	if floor := max(1, (answering+1)/2); left < floor {
		w.broken(string(incident.PoolFloor), "%d members answer and %d of them are left ready, at least %d must be", answering, left, floor)
	}
}

// serves tells whether clients reach a node.
func (w *world) serves(n *node) bool {
	f := w.raised[n.name]
	return n.answers() && f.Levels == 0 && w.passesForWell(n)
}

// longAsNow tells whether a node has been as it is for so long that leaders must
// know.
func (w *world) longAsNow(n *node) bool {
	return w.now.Sub(max(n.changedAt, n.shakenAt, n.helplessAt)) >= steady
}

// fencesWritten looks at the fences that a transaction wants, or takes away.
func (w *world) fencesWritten(t store.Txn) {
	for _, p := range t.Put {
		if name, is := strings.CutPrefix(p.Key, store.Fences); is {
			if f, ok := get[isolate.Fence](w, p.Key); ok {
				w.fenceWritten(cluster.Name(name), f)
			}
		}
	}
	for _, key := range t.Delete {
		if name, is := strings.CutPrefix(key, store.Fences); is {
			delete(w.raised, cluster.Name(name))
		}
	}
}

// fenceWritten looks at a fence that is wanted from now on.
func (w *world) fenceWritten(name cluster.Name, f isolate.Fence) {
	was, stood := w.raised[name]
	w.raised[name] = f
	r, _ := get[incident.Record](w, store.Record(f.Incident))
	if !stood && r.Hand != nil && r.Hand.Lifted == "" && r.Phase == incident.Draining {
		w.fencedByHand(w.byName[name])
	}
	w.fenceInPeace(name, was, f)
}
