// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"cmp"
	"slices"
	"time"

	"supervisor/membership"
)

// The pace of membership/probe.
const (
	cqlEvery     = 500 * time.Millisecond
	cqlRedial    = 2 * time.Second
	storageEvery = 2 * time.Second
	adminEvery   = time.Second
	adminMax     = time.Second
	diskEvery    = 2 * time.Second
	lookGap      = 20 * time.Millisecond
	lagMax       = time.Second
	unwellFor    = 3 * time.Second
	missesTold   = 3
)

// way is one path to one node.
type way struct {
	subject int
	path    membership.Path
}

// look is the newest look on one way, with the one that is being made.
type look struct {
	way
	outcome membership.Outcome
	misses  int
	since   time.Time
	at      time.Time
	live    bool // it never ends: it is as old as the asking

	every  time.Duration
	next   time.Time // when the next one begins
	began  time.Time
	busy   bool
	found  membership.Outcome
	ends   time.Time
	kept   bool // the connection
	dialed time.Time
}

// note keeps what a look found and tells whether that is news, as the probe does.
func (l *look) note(o membership.Outcome, at time.Time, live bool) (news bool) {
	switch {
	case o == membership.NoWord:
		return false
	case l.outcome != o:
		since := at
		if o.Prolongs(l.outcome) {
			since = l.since
		}
		l.outcome, l.since, l.misses, news = o, since, 0, true
	}
	l.at, l.live = at, live
	if o != membership.Good && o != membership.Late {
		l.misses++
		news = news || l.misses <= missesTold
	}
	return news
}

// newLooks are those of an agent, sorted as digests have them.
func (a *agent) newLooks(now time.Time) {
	add := func(subject int, p membership.Path, every time.Duration) {
		a.looks = append(a.looks, &look{way: way{subject, p}, every: every, next: now})
	}
	for _, name := range a.w.topology.Watched(a.name()) {
		n := a.w.names[name]
		add(n, membership.CQL, cqlEvery)
		if n != a.self {
			add(n, membership.Storage, storageEvery)
			add(n, membership.Phi, adminEvery)
			continue
		}
		add(n, membership.Process, cqlEvery)
		add(n, membership.Admin, adminEvery)
		add(n, membership.Disk, diskEvery)
	}
	slices.SortFunc(a.looks, func(x, y *look) int {
		return cmp.Or(cmp.Compare(a.w.nodes[x.subject].name, a.w.nodes[y.subject].name), cmp.Compare(x.path, y.path))
	})
}

// begin makes a look, or begins one that takes its time. The mutex is held.
func (a *agent) begin(l *look, now time.Time) (news bool) {
	for !l.next.After(now) {
		l.next = l.next.Add(l.every)
	}
	l.began = now
	took := lively
	switch l.path {
	case membership.Process:
		return l.note(a.ownProcess(), now, true)
	case membership.Disk:
		return l.note(membership.Good, now, false)
	case membership.Phi:
		if a.w.nodes[a.self].cassandra != serves {
			return false // nobody there to ask
		}
		return l.note(a.w.phi(a.self, l.subject, now), now, false)
	case membership.Admin:
		l.found, took = a.w.admin(a.self)
	case membership.Storage:
		l.found, took = a.w.storage(a.self, l.subject)
	default:
		if now.Sub(l.dialed) >= cqlRedial {
			l.kept = false
		}
		if !l.kept {
			l.dialed = now
		}
		l.found, took, l.kept = a.w.ask(a.self, l.subject, l.kept)
	}
	l.busy, l.ends = true, now.Add(took)
	a.lateReader(l, now)
	return false
}

// lateReader lets an answer lie unread when the agent loses its CPU in the middle
// of a look. Deadline and answer have passed when it goes on, and the deadline wins.
func (a *agent) lateReader(l *look, now time.Time) {
	s, soon := a.w.network.hosts[a.self].stalledSoon(now, 60*time.Millisecond)
	if !soon || a.dice.Float64() >= a.w.unread || l.found != membership.Good && l.found != membership.Late {
		return
	}
	l.ends = s.to
	most := cqlMax
	if l.path == membership.Admin {
		most = adminMax
	}
	switch took := s.to.Sub(now); {
	case *overslept > 0 && took > most+*overslept:
		l.found, l.kept, l.dialed = membership.NoWord, false, time.Time{}
	case took > most:
		l.found, l.kept, l.dialed = membership.Silent, false, time.Time{}
	case took > cqlLate && l.path == membership.CQL:
		l.found = membership.Late
	}
}

func (a *agent) ownProcess() membership.Outcome {
	if a.w.nodes[a.self].cassandra == ended {
		return membership.Exited
	}
	return membership.Good
}

// look makes what is due and notes what has ended.
func (a *agent) look(now time.Time) (news bool) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	for _, l := range a.looks {
		if l.busy && !l.ends.After(now) {
			l.busy = false
			news = l.note(l.found, now, false) || news
		}
		if !l.busy && !l.next.After(now) {
			news = a.begin(l, now) || news
		}
	}
	return news
}

// hurry makes the looks at a node that can be hurried at once. The mutex is held.
func (a *agent) hurry(subject int, now time.Time) {
	for _, l := range a.looks {
		if l.subject == subject && (l.path == membership.CQL || l.path == membership.Storage || l.path == membership.Admin) && !l.busy {
			if at := l.began.Add(lookGap); at.Before(l.next) {
				l.next = at
				if at.Before(now) {
					l.next = now
				}
			}
		}
	}
}

// told are the looks as a digest has them.
func (a *agent) told(now time.Time) []membership.Look {
	var out []membership.Look
	for _, l := range a.looks {
		if l.outcome == membership.NoWord {
			continue
		}
		t := membership.Look{Subject: a.w.nodes[l.subject].name, Path: l.path, Outcome: l.outcome, Misses: l.misses,
			Held: a.since(l.since, now), Age: a.since(l.at, now)}
		if l.live {
			t.Age = 0
		}
		switch answered := l.outcome == membership.Good || l.outcome == membership.Late; {
		case answered && l.path == membership.CQL:
			t.Took = lively // no Cassandra here is slow
		case answered && l.path == membership.Process:
			t.Held += time.Hour // nor cold, which would hide what is wrong
		}
		out = append(out, t)
	}
	return out
}

// since is how long ago something was on the agent's boot clock, of which a leap is
// a part when it came in between.
func (a *agent) since(then, now time.Time) time.Duration {
	d := now.Sub(then)
	if !a.leapt.IsZero() && then.Before(a.leapt) && !now.Before(a.leapt) {
		d += a.leap
	}
	return max(0, d)
}
