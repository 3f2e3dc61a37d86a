// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/obey"
	"supervisor/isolate"
	"supervisor/membership"
)

// bug tells whether this one is planted.
func (w *world) bug(name string) bool { return w.o.Bug == name }

// spoilPolicy plants what a policy should not say.
func (w *world) spoilPolicy(p *incident.Policy) {
	if w.bug(hastyFence) {
		p.Ages.Fence = second
	}
	if w.bug(slowRamp) {
		p.Return.RampEvery = 4 * time.Minute
	}
}

// claimant is the boot that an order is claimed for.
func (a *agent) claimant() cluster.Boot {
	if a.w.bug(borrowedClaim) {
		return cluster.Boot(fmt.Sprintf("%s-a%d", a.n.name, a.starts-1))
	}
	return a.id
}

// timid plants that a leader resigns when a node is gone.
func (a *agent) timid(v membership.View) bool {
	if !a.w.bug(timidLeaders) || !a.term {
		return false
	}
	for _, x := range v.Verdicts { // order: whether there is one
		if x.Answer == membership.Gone {
			a.resign()
			return true
		}
	}
	return false
}

// fencing is how high a fence raises the Severity.
func (w *world) fencing() float64 {
	if w.bug(halfRaised) {
		return isolate.SeverityFenced / 2
	}
	return isolate.SeverityFenced
}

// straysFence plants what an agent does to its own node because of another.
func (a *agent) straysFence() {
	if !a.n.answers() {
		return
	}
	switch {
	case a.w.bug(wanderingFence):
		for _, name := range sortedNames(a.state.Picture.Fences) {
			if f, _, stands := a.state.Picture.Standing(name); stands && a.longGone(name) {
				a.w.touch(a.n, isolate.RaiseSeverity, f)
			}
		}
	case a.w.bug(panicFence):
		for _, t := range a.w.watched[a.n.name] {
			if a.longGone(t.name) {
				a.w.touch(a.n, isolate.RaiseSeverity, isolate.Fence{})
			}
		}
	}
}

// longGone tells whether a node has not served for so long that every leader
// must know.
func (a *agent) longGone(name cluster.Name) bool {
	n := a.w.byName[name]
	return n != a.n && !n.takes() && a.w.now.Sub(max(n.changedAt, n.shakenAt)) > steady
}

// asFound is an order as an executor finds it; to one that forgets, what an
// earlier boot claimed is open.
func asFound(o incident.Order, forgets bool) incident.Order {
	if forgets && o.State == incident.Claimed {
		o.State, o.By = incident.Open, ""
	}
	return o
}

// comesBack plants that the first act of a boot is begun again after the
// second, when the leader has long folded its order in.
func (a *agent) comesBack(key string, o incident.Order, mod int64, taken obey.Taken) {
	if !a.w.bug(staleOrder) || taken.Resource != obey.Cassandra {
		return
	}
	if again := a.again; again != nil {
		a.again = nil
		again()
		return
	}
	a.again = func() { a.perform(key, o, mod, taken) }
}

// endsEarly plants that a repair is reported done before it is done.
func (a *agent) endsEarly(key string, o incident.Order, mod int64, taken obey.Taken) {
	if !a.w.bug(earlyEnd) && !(a.w.bug(earlyFirst) && a.n.mode == starting) || o.Once.Verb != incident.VerbRepair {
		return
	}
	var all []int
	for i := range o.Once.Segments {
		all = append(all, o.Once.First+i)
	}
	a.settle(key, o, mod, taken, incident.Done, incident.Result{Done: all})
}

// restarted plants that another process runs by the time a kill comes.
func (a *agent) restarted() {
	if a.w.bug(anyKill) {
		a.n.kill("a moment before it is ended by order")
		a.n.start(true)
	}
}
