// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/membership"
)

// A node that was cut off while it was proven is back for less than the hints
// last. Behind its own fence it answers nobody, however long that is waited for.
func TestBackWithItsClientsShutOut(t *testing.T) {
	behind := StandingFence{Fence: isolate.Fence{Node: "n1", Levels: isolate.Clients | isolate.Reads, Start: isolate.Hibernate}}
	open := StandingFence{Fence: isolate.Fence{Node: "n1", Start: isolate.Hibernate}}
	rows := []struct {
		why   string
		cause membership.Cause
		fence *StandingFence
		want  Phase
	}{
		{"by the fence of its return: it is repaired where it is", membership.CQLDead, &behind, Returning},
		{"by a hand, though its fence let them in: that is asked", membership.CQLDead, &open, Draining},
		{"by a hand", membership.CQLDead, nil, Draining},
		{"it is cut off still", membership.Isolated, &behind, Draining},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			p := DefaultPolicy()
			v := membership.Verdict{Node: "n1", Answer: membership.Gone, Drain: true, Cause: r.cause, Own: membership.Good, Process: "p1"}
			w := World{Policy: &p, Hints: time.Hour, Elapsed: time.Minute, View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{"n1": v}}}
			if r.fence != nil {
				w.Fences = map[cluster.Name]StandingFence{"n1": *r.fence}
			}
			x := newTurn(Record{ID: "i", Node: "n1", Process: "p1", Phase: Draining, Cause: membership.Isolated, Return: &Return{Step: Previewing, Process: "p1"}}, w)
			if x.draining(); x.r.Phase != r.want {
				t.Errorf("%s, waits for %s", x.r.Phase, x.r.Waits)
			}
		})
	}
}
