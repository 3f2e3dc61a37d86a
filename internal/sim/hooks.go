// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/isolate"
	"supervisor/membership"
)

// Hooks say that the control agents of a world have the site's power hook. No seed
// draws them: it would play other stories.
type Hooks struct {
	// Guardless are the places, counted from 0, of nodes without a guard of ports:
	// where one is, a host that nobody reaches cannot be cut off.
	Guardless []int
	// Broken is the fault power-hook-broken: in a storm hooks are not run, fail,
	// hang, or fail when they have done it. They never say off of what is on.
	Broken bool
}

// hookEvery is how often an agent asks its hook about all hosts: scaled, as other
// clocks are.
const hookEvery = 15 * second

// bootHook begins to ask the hook, where there is one.
func (a *agent) bootHook() {
	if a.control && a.w.o.Hooks != nil {
		a.askHook()
		a.every(hookEvery, a.askHook)
	}
}

// askHook is what the agent's hook says of itself.
func (a *agent) askHook() { a.hookWorks = !a.hookBroken() }

// hookBroken draws whether a hook fails this time.
func (a *agent) hookBroken() bool { return a.w.o.Hooks.Broken && a.w.chance(0.3) }

// powers is what an agent tells of its hook; nil: it has none.
func (a *agent) powers(works bool) *incident.Powers {
	if a.w.o.Hooks == nil || !a.control {
		return nil
	}
	p := &incident.Powers{Cannot: map[cluster.Name]string{}}
	for _, m := range a.w.nodes {
		switch {
		case m == a.n:
		case works:
			p.Can = append(p.Can, m.name)
		default:
			p.Cannot[m.name] = "exit code 1"
		}
	}
	return p
}

// power does an order about another host's power: an off looks first, and is
// settled when the host is off.
func (a *agent) power(o incident.Order, ended outcome) {
	target, off := a.w.byName[o.Once.Target], o.Once.Verb == incident.VerbPowerOff
	a.after(a.w.between(second/2, 8*second), func() {
		switch {
		case a.hookBroken():
			a.brokenHook(o, target, off, ended)
		case target.off:
			ended(incident.Done, incident.Result{})
		case !off:
			ended(incident.Failed, incident.Result{Why: "the power hook says that it is on"})
		case a.vetoes(o):
			ended(incident.TurnedAway, incident.Result{Rule: incident.UnknownDestroysNothing, Why: "it is not gone"})
		default:
			a.turnsOff(o, target)
			ended(incident.Done, incident.Result{})
		}
	})
}

// turnsOff takes the power away.
func (a *agent) turnsOff(o incident.Order, target *node) {
	a.w.did(o)
	a.w.offOrdered(target)
	target.turnsOff()
}

// brokenHook is a hook that does not do as it should; what it did is not told.
func (a *agent) brokenHook(o incident.Order, target *node, off bool, ended outcome) {
	did := off && !target.off && !a.vetoes(o) && a.w.rng.Intn(2) == 0
	switch a.w.rng.Intn(3) {
	case 0:
		ended(incident.TurnedAway, incident.Result{Rule: incident.RuleFencing, Why: "another checksum is pinned"})
	case 1:
		if did {
			a.turnsOff(o, target)
		}
		ended(incident.Failed, incident.Result{Why: "exit code 1"})
	default:
		if did {
			a.turnsOff(o, target)
		}
		a.after(a.w.between(20*second, 90*second), func() { ended(incident.Uncertain, incident.Result{Why: "it did not end"}) })
	}
}

// vetoes is the last look of an executor before it turns a host off.
func (a *agent) vetoes(o incident.Order) bool {
	p := a.state.Picture
	f, stands := p.FenceOf(o.Once.Target, o.Incident)
	v := a.state.View().Verdicts[o.Once.Target]
	return !stands || !f.Levels.Has(isolate.Power) || !a.reaches() || !p.Awaits(o) || v.Answer != membership.Gone || len(membership.Answering(v)) > 0
}

// turnsOff ends everything on a host until somebody turns it on again.
func (n *node) turnsOff() {
	n.w.note("%s is turned off", n.name)
	n.off, n.offAt, n.losesAll = true, n.w.now, true
	n.kill("power hook")
	n.losesAll = false
	n.agent.crash()
	n.w.rep.TurnedOff++
	n.w.after(n.w.between(20*second, 2*time.Minute), n.turnedOn)
}

// turnedOn is a person's hand, or the site's: its unit and its agent start in the
// same moment, and neither has read the fence.
func (n *node) turnedOn() {
	n.w.note("%s is turned on", n.name)
	n.off, n.changedAt = false, n.w.now
	if !n.agent.up {
		n.agent.boot()
	}
	n.unitStart(n.w.now)
}

// offOrdered holds an end of a host's power against the truth: the fence says so,
// and nobody had an answer for as long as the policy wants.
func (w *world) offOrdered(n *node) {
	f := w.raised[n.name]
	settled := w.now.Sub(max(n.changedAt, n.shakenAt, n.helplessAt)) >= incident.DefaultPolicy().Ages.Fence
	if !f.Levels.Has(isolate.Power) {
		w.broken(fenceEvidence, "%s is turned off, and its fence has the levels %s", n.name, f.Levels)
	}
	if n.answers() && settled && !slices.ContainsFunc(w.nodes, func(m *node) bool { return m != n && !w.talks(m.name, n.name) }) {
		w.broken(fenceEvidence, "%s is turned off, and answers everybody", n.name)
	}
}

// offProven holds the proof of a host that was turned off against the truth.
func (w *world) offProven(r incident.Record) {
	if n := w.byName[r.Node]; n.offAt == 0 || n.runs() && n.beganAt < n.offAt {
		w.broken(fenceProven, "%s takes %s for turned off by the hook of %s: %s", r.ID, r.Node, r.Fenced.Power.Off, fmt.Sprint(n.offAt))
	}
}
