// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"errors"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/membership"
)

// slowly shows the leader a view in which everybody answers, and some slower than
// their peers; change changes n3.
func (b *bench) slowly(slow []cluster.Name, change func(*membership.Verdict)) Out {
	v := membership.View{Began: 1, At: b.now, Verdicts: map[cluster.Name]membership.Verdict{}}
	for _, n := range []cluster.Name{"n1", "n2", "n3"} {
		x := membership.Verdict{Node: n, At: b.now, Answer: membership.Alive, Own: membership.Good, Process: cluster.Boot("p-" + n), Of: 3, Since: 1, LastAlive: b.now}
		for _, s := range slow {
			if s == n {
				x.Cause = membership.Slow
				x.Slow = membership.Slowness{Since: b.now.Add(-6 * time.Second), For: 6 * time.Second, Says: []cluster.Name{"n1", "n2"}, Of: 2}
			}
		}
		if n == "n3" && change != nil {
			change(&x)
		}
		v.Verdicts[n] = x
	}
	return b.turn(Viewed{View: v})
}

func TestOneSlowNodeOpensAnIncident(t *testing.T) {
	b := newBench(t)
	if out := b.slowly([]cluster.Name{"n2", "n3"}, nil); len(out.Commits) > 0 {
		t.Errorf("two are slow: %+v", out.Commits)
	}
	b.write(b.slowly([]cluster.Name{"n3"}, nil))
	if r := b.record(); !r.OfSlowness() || r.Node != "n3" || !r.Outage.From.IsZero() || r.Marks[incident.StageVerdict] < 6*time.Second {
		t.Errorf("opened %+v", r)
	}
	if out := b.slowly([]cluster.Name{"n2", "n3"}, nil); len(out.Commits) > 1 {
		t.Errorf("another one beside it: %+v", out.Commits)
	}
}

func TestAnHeirCountsAnewThatANodeIsNotSlow(t *testing.T) {
	b := newBench(t)
	for out := b.slowly([]cluster.Name{"n3"}, nil); len(out.Commits) > 0; {
		out = b.write(out)
	}
	for out := b.slowly(nil, nil); len(out.Commits) > 0; {
		out = b.write(out)
	}
	for range 25 {
		b.turn(Ticked{})
	}
	if r := b.record(); !r.Slow.Over {
		t.Fatalf("not slow any more: %+v", r)
	}
	b.heir("n2")
	for out := b.slowly(nil, nil); len(out.Commits) > 0; {
		out = b.write(out)
	}
	began := b.now
	for b.record().Phase == incident.Draining && b.now.Sub(began) < time.Minute {
		if out := b.turn(Ticked{}); len(out.Commits) > 0 {
			b.write(out)
		}
	}
	if after := b.now.Sub(began); after < 25*time.Second || after > 40*time.Second {
		t.Errorf("given back %s after the heir began", after)
	}
}

// A slow node that was silent while nothing could be written down may lack writes,
// whatever it answers now.
func TestASilenceOfASlowNodeIsNotForgotten(t *testing.T) {
	b := newBench(t)
	for out := b.slowly([]cluster.Name{"n3"}, nil); len(out.Commits) > 0; {
		out = b.write(out)
	}
	out := b.slowly(nil, func(v *membership.Verdict) {
		v.Answer, v.Cause, v.Drain, v.For = membership.Gone, membership.Hung, true, 2
	})
	if len(out.Commits) != 1 {
		t.Fatalf("it is gone: %d commits", len(out.Commits))
	}
	b.turn(Answered{Commit: out.Commits[0], Err: errors.New("the store does not answer")})
	b.slowly([]cluster.Name{"n3"}, nil) // it answers again before anybody could write
	for out = b.relist(); len(out.Commits) > 0; {
		out = b.write(out)
	}
	if r := b.record(); r.OfSlowness() || r.Return == nil || !r.Return.InPlace {
		t.Errorf("its silence is forgotten: %+v", r)
	}
}
