// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
)

// session is a repair of one segment. It is Cassandra's: it goes on with the
// process, whatever becomes of the agent that asked for it.
type session struct {
	order    string
	process  cluster.Boot
	hosts    []cluster.Name
	snapshot map[int]bool // what they held together when it began
	over     bool
	failed   string // why it failed; empty: it did not
}

// repair has one segment repaired after the other, when nothing goes on that was
// begun before.
func (a *agent) repair(o incident.Order, ended outcome) {
	began := a.now()
	var await func()
	await = func() {
		n := a.n
		n.begun, _ = n.begun.Of(n.process).Look(func(cmd int) (bool, error) { return !n.sessions[cmd-1].over, nil })
		switch {
		case len(n.begun.On) == 0 || a.w.bug(overlapping):
			a.nextSegment(o, 0, nil, ended)
		case a.now().Sub(began) >= o.Limit:
			ended(incident.Uncertain, incident.Result{Why: "an earlier repair goes on"})
		default:
			a.after(second, await)
		}
	}
	await()
}

// nextSegment begins the i-th segment and follows it; done are those before it.
func (a *agent) nextSegment(o incident.Order, i int, done []int, ended outcome) {
	if i == len(o.Once.Segments) {
		ended(incident.Done, incident.Result{Done: done})
		return
	}
	if a.n.process != o.Once.Process || !a.n.runs() {
		ended(incident.Failed, incident.Result{Why: "the process that was to be repaired is gone", Done: done})
		return
	}
	if a.tooLate(o, done, ended) {
		return
	}
	if i == 0 {
		a.w.repairBegins(a, o)
	}
	s := a.n.beginsSession(o, o.Once.Segments[i].Hosts)
	takes := a.w.between(300*time.Millisecond, 3*second)
	for _, h := range s.hosts {
		if a.w.byName[h].stuck {
			takes = o.Limit + second
		}
	}
	told := func() {}
	a.w.after(takes, func() {
		a.n.endsSession(s)
		told()
	})
	if takes > o.Limit {
		a.after(o.Limit, func() { ended(incident.Uncertain, incident.Result{Done: done}) })
		return
	}
	boot := a.id
	told = func() {
		if a.id != boot {
			return // the boot that asked is gone
		}
		a.soonest(func() {
			if s.failed != "" {
				ended(incident.Failed, incident.Result{Why: s.failed, Done: done})
				return
			}
			a.nextSegment(o, i+1, append(done, o.Once.First+i), ended)
		})
	}
}

// beginsSession begins a repair and writes its number down. Two at once are one too
// many.
func (n *node) beginsSession(o incident.Order, hosts []cluster.Name) *session {
	n.undisturbed(o)
	n.w.did(o)
	for _, h := range hosts {
		n.w.withinGrace(n.w.byName[h], "is repaired with")
	}
	s := &session{order: o.ID, process: n.process, hosts: slices.Clone(hosts), snapshot: n.w.hold(hosts)}
	n.sessions = append(n.sessions, s)
	n.begun = n.begun.Begun(len(n.sessions))
	return s
}

// undisturbed wants no repair to go on in the process when another act begins.
func (n *node) undisturbed(o incident.Order) {
	for _, s := range n.sessions {
		if !s.over && s.process == n.process {
			n.w.broken(oneAtATime, "%s begins on %s while a repair of %s goes on", o.ID, n.name, s.order)
		}
	}
}

// endsSession gives each host what any of them had, if all are there.
func (n *node) endsSession(s *session) {
	s.over = true
	for _, h := range s.hosts {
		t := n.w.byName[h]
		if !t.gossips() || !n.w.linked(n, t) || h == n.name && t.process != s.process {
			s.failed = "no answer from " + string(h)
			return
		}
	}
	if n.w.bug(fakeRepair) {
		return
	}
	for _, h := range s.hosts {
		n.w.fill(n.w.byName[h], s.snapshot, s.hosts)
	}
}
