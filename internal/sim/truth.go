// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/obey"
	"supervisor/loadbalancer"
)

// Truth is something that a story says of its world besides the checks, which
// hold in every world.
type Truth struct {
	Holds string // what is true while it holds
	atEnd bool   // it is looked at when the story is over; else each second, too
	fails func(w *world) string
}

// truths notes the first truth that does not hold. The run goes on: an
// invariant may break because of it.
func (w *world) truths(over bool) {
	for _, t := range w.o.Truths {
		if w.rep.Untrue != "" || t.atEnd && !over {
			continue
		}
		if why := t.fails(w); why != "" {
			w.rep.Untrue = fmt.Sprintf("%s, at %s: %s", t.Holds, time.Duration(w.now-epoch), why)
			w.note("UNTRUE %s", w.rep.Untrue)
		}
	}
}

// outAtMost bounds how many members may be out of the pool at once.
func outAtMost(most int) Truth {
	return Truth{Holds: fmt.Sprintf("at most %d members are out of the pool at once", most), fails: func(w *world) string {
		var out []string
		for _, n := range sortedNames(w.balancer.says) {
			if w.balancer.says[n].Want != loadbalancer.Ready {
				out = append(out, string(n))
			}
		}
		if len(out) <= most {
			return ""
		}
		return strings.Join(out, ", ") + " are out"
	}}
}

// changedAtMost bounds how many nodes may be changed by order at once.
func changedAtMost(most int) Truth {
	return Truth{Holds: fmt.Sprintf("at most %d nodes are started or repaired by order at once", most), fails: func(w *world) string {
		busy := 0
		for _, n := range w.nodes {
			if w.acting[string(n.name)+"/"+obey.Cassandra] != "" {
				busy++
			}
		}
		if busy <= most {
			return ""
		}
		return fmt.Sprintf("%d are", busy)
	}}
}

// startedAtMost bounds how often one node may be started by order.
func startedAtMost(most int) Truth {
	return Truth{Holds: fmt.Sprintf("no node is started by order more than %d times", most), fails: func(w *world) string {
		for _, n := range w.nodes {
			if n.ordered > most {
				return fmt.Sprintf("%s was, %d times", n.name, n.ordered)
			}
		}
		return ""
	}}
}

// endedAtMost bounds how often processes may be ended for hanging.
func endedAtMost(most int) Truth {
	return Truth{Holds: fmt.Sprintf("at most %d processes are ended for hanging", most), fails: func(w *world) string {
		if w.rep.Fenced <= most {
			return ""
		}
		return fmt.Sprintf("%d were", w.rep.Fenced)
	}}
}

// nobodySuspected wants no incident at all.
func nobodySuspected() Truth {
	return Truth{Holds: "no incident is opened", fails: func(w *world) string {
		for _, r := range w.open() {
			return fmt.Sprintf("%s is about %s: %s", r.ID, r.Node, r.Cause)
		}
		return ""
	}}
}

// personIsAsked wants an incident that cannot go on to be held.
func personIsAsked(within time.Duration) Truth {
	return Truth{Holds: fmt.Sprintf("an incident that cannot go on is held within %s", within), fails: func(w *world) string {
		for _, r := range w.open() {
			if age := w.wall().Sub(r.Began); !w.asked[r.ID] && age > within {
				return fmt.Sprintf("%s is %s and %s old", r.ID, r.Phase, age.Round(second))
			}
		}
		return ""
	}}
}

// newestPlanStands wants no proxy to be turned back to what was wanted before.
func newestPlanStands() Truth {
	return Truth{Holds: "an older pool is never written over a newer one", fails: func(w *world) string {
		if w.balancer.undone == "" {
			return ""
		}
		return w.balancer.undone + " wrote one"
	}}
}

// nothingWithoutStore wants everything left as it is while there is no store that
// can be believed.
func nothingWithoutStore() Truth {
	return Truth{Holds: "nothing is begun while the store is away, or not to be believed", fails: func(w *world) string {
		if w.journal.begun == "" {
			return ""
		}
		return w.journal.begun + " was"
	}}
}

// allServe wants everybody back, and nothing left behind.
func allServe() Truth {
	return Truth{Holds: "in the end everybody serves, readers are kept from nobody, and no incident is open", atEnd: true, fails: func(w *world) string {
		for _, n := range w.nodes {
			if !n.answers() || n.severity != 0 {
				return fmt.Sprintf("%s answers %v, its severity is %v", n.name, n.answers(), n.severity)
			}
		}
		for _, r := range w.open() {
			return fmt.Sprintf("%s about %s is %s: %s", r.ID, r.Node, r.Phase, r.Held)
		}
		return ""
	}}
}

// serveOrAsk wants everybody back, or a person to be told of who is not.
func serveOrAsk() Truth {
	return Truth{Holds: "in the end each node serves, or is in an incident that is held", atEnd: true, fails: func(w *world) string {
		held := map[cluster.Name]bool{}
		for _, r := range w.open() {
			held[r.Node] = r.Phase == incident.Held
		}
		for _, n := range w.nodes {
			if (!n.answers() || n.severity != 0) && !held[n.name] {
				return fmt.Sprintf("%s answers %v, its severity is %v", n.name, n.answers(), n.severity)
			}
		}
		return ""
	}}
}
