// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

func TestASilenceBeginsWhenHintsBegan(t *testing.T) {
	rows := []struct {
		why  string
		down func(b *bench) // what this host's Cassandra says before the silence
		want time.Duration  // how long the silence is taken for after 30 s
	}{
		{"up all the time", func(b *bench) { b.s.Downs(nil, b.now) }, 30 * time.Second},
		{"down for a minute before", func(b *bench) {
			b.s.Downs([]cluster.Name{"n3"}, b.now)
			b.now = b.now.Add(30 * time.Second)
			b.s.Downs([]cluster.Name{"n2", "n3"}, b.now)
			b.now = b.now.Add(30 * time.Second)
		}, 90 * time.Second},
		{"down before, and up again", func(b *bench) {
			b.s.Downs([]cluster.Name{"n3"}, b.now)
			b.now = b.now.Add(time.Minute)
			b.s.Downs([]cluster.Name{"n2"}, b.now)
		}, 30 * time.Second},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			b := newBench(t)
			gone := membership.Verdict{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3, Process: "p-n3"}
			r.down(b)
			gone.LastAlive = b.now
			b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Alive, Own: membership.Good, Process: "p-n3"})})
			b.write(b.turn(Viewed{View: b.view(gone)}))
			b.now = b.now.Add(30 * time.Second)
			b.turn(Viewed{View: b.view(gone)})
			rec := b.record()
			w := about(rec, b.s.clocks[rec.ID], b.s.base(rec.Datacenter, b.now, rec.Began))
			if turns := 5 * time.Second; w.ByWall || w.Elapsed < r.want || w.Elapsed > r.want+turns {
				t.Errorf("by wall %v, elapsed %s, want %s and what the turns took", w.ByWall, w.Elapsed, r.want)
			}
		})
	}
}

// All agents were started anew while the node was silent: how long it had been
// so, nobody can say.
func TestASilenceWhoseBeginningNobodySawIsNotMeasured(t *testing.T) {
	b := newBench(t)
	gone := membership.Verdict{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3, Process: "p-n3"}
	b.write(b.turn(Viewed{View: b.view(gone)}))
	b.turn(Viewed{View: b.view(gone)})
	rec := b.record()
	if w := about(rec, b.s.clocks[rec.ID], b.s.base(rec.Datacenter, b.now, rec.Began)); !w.ByWall {
		t.Errorf("it is taken for %s long", w.Elapsed)
	}
}

func TestASilenceThatNobodyWroteDownBeganWhenHintsBegan(t *testing.T) {
	for _, down := range []bool{false, true} {
		b := newBench(t)
		b.turn(Lost{})
		if down {
			b.s.Downs([]cluster.Name{"n3"}, b.now)
		}
		b.now = b.now.Add(2 * time.Minute) // its CQL is served, and hints are over
		b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Gone, Cause: membership.Hung, Drain: true, For: 3, Process: "p-n3"})})
		b.now = b.now.Add(10 * time.Second)
		b.turn(Viewed{View: b.view(membership.Verdict{Answer: membership.Alive, Own: membership.Good, Process: "p-n3"})})
		b.turn(Won{Term: b.term()})
		if opened := len(b.relist().Commits) == 1; opened != down {
			t.Errorf("down before %v, and an incident is opened: %v", down, opened)
		}
	}
}
