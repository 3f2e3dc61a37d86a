// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

func TestWhatAnswersTypicallyTake(t *testing.T) {
	const ms = time.Millisecond
	type seen struct {
		times   int
		outcome membership.Outcome
		took    time.Duration
	}
	good := func(n int, took time.Duration) seen { return seen{n, membership.Good, took} }
	for _, row := range []struct {
		why   string
		looks []seen
		later time.Duration
		want  time.Duration
	}{
		{"nothing was looked at", nil, 0, 0},
		{"five answers say nothing", []seen{good(5, 3*ms)}, 0, 0},
		{"six do", []seen{good(6, 3*ms)}, 0, 3 * ms},
		{"a pause of two seconds is no pace", []seen{good(6, 3*ms), {2, membership.Late, 390 * ms}, {2, membership.Silent, 400 * ms}}, 0, 3 * ms},
		{"half are slow: the shorter one", []seen{good(5, 3*ms), good(5, 80*ms)}, 0, 3 * ms},
		{"more than half are slow", []seen{good(4, 3*ms), good(6, 80*ms)}, 0, 80 * ms},
		{"the last ten count", []seen{good(10, 3*ms), good(10, 80*ms)}, 0, 80 * ms},
		{"silence counts as long as it was waited for", []seen{good(6, 80*ms), {4, membership.Silent, 400 * ms}}, 0, 80 * ms},
		{"and too much of it says nothing", []seen{good(5, 80*ms), {5, membership.Silent, 400 * ms}}, 0, 0},
		{"who refuses answers as another process", []seen{good(10, 80*ms), {1, membership.Refused, ms}, good(5, ms)}, 0, 0},
		{"a look that could not be made is none", []seen{good(10, 80*ms), {2, membership.NoWord, ms}}, 0, 80 * ms},
		{"old looks say nothing", []seen{good(10, 80*ms)}, paceFor, 0},
	} {
		t.Run(row.why, func(t *testing.T) {
			table, now := newTable(func(membership.Path, membership.Outcome) {}), cluster.Moment(time.Hour)
			table.note(key{"n2", membership.CQL}, membership.Good, now, false, nil)
			for _, s := range row.looks {
				for range s.times {
					now = now.Add(500 * ms)
					table.time("n2", s.outcome, s.took, now)
				}
			}
			if got := table.looks(now.Add(row.later))[0].Took; got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestOnlyAnAnswerTellsWhatItTook(t *testing.T) {
	table, now := newTable(func(membership.Path, membership.Outcome) {}), cluster.Moment(time.Hour)
	for range 10 {
		table.time("n2", membership.Good, time.Millisecond, now)
	}
	for _, p := range []membership.Path{membership.CQL, membership.Storage} {
		for o, want := range map[membership.Outcome]time.Duration{membership.Good: time.Millisecond, membership.Silent: 0} {
			if p == membership.Storage {
				want = 0
			}
			table.note(key{"n2", p}, o, now, false, nil)
			for _, l := range table.looks(now) {
				if l.Path == p && l.Took != want {
					t.Errorf("%s by %s took %v, want %v", o, p, l.Took, want)
				}
			}
		}
	}
}

// A probe times the answers of every node that it looks at, its own too.
func TestAnswersAreTimed(t *testing.T) {
	const lag = 30 * time.Millisecond
	h := build(t, func(o *Options) { o.Pace.CQLEvery = 10 * time.Millisecond })
	h.n2.lag = lag
	h.begin()
	for h.look("n1", membership.CQL).Took == 0 || h.look("n2", membership.CQL).Took == 0 {
		<-time.After(time.Millisecond)
	}
	if own, other := h.look("n1", membership.CQL).Took, h.look("n2", membership.CQL).Took; other < lag || own >= other {
		t.Errorf("an answer of its own node takes %v, one of the other %v, which waits for %v", own, other, lag)
	}
}
