// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/internal/store"
	"supervisor/repair"
)

// A repair waits while a peer says that it has too much to do, by the rule's name,
// and goes on by itself; before and after it nobody tells anything.
func TestAPeerWithTooMuchToDoIsWaitedFor(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.heed()
		telling := func() []cluster.Name {
			var who []cluster.Name
			for n, a := range r.leader().snapshot().World.Agents {
				if a.Load != nil {
					who = append(who, n)
				}
			}
			return who
		}
		if who := telling(); len(who) > 0 {
			t.Errorf("%v tell their load, and nobody asks", who)
		}
		r.set("n2", func(n *fakeNode) { n.load = cassandra.Load{Compactions: 240} })
		r.crash("n3")
		waits := func(rule string) func() bool {
			return func() bool {
				return slices.ContainsFunc(r.leader().snapshot().World.Open, func(o incident.Record) bool { return string(o.Waits) == rule })
			}
		}
		r.wait("the wait for n2", time.Minute, waits(repair.CompactionsRule))
		if !r.leader().logged("n2 has 240 pending compactions, at most 100 allowed") {
			t.Error("the wait does not tell value and bound")
		}
		time.Sleep(5 * time.Minute)
		if r.count("n3 repair ks") > 0 || !waits(repair.CompactionsRule)() {
			t.Error("the repair began")
		}
		r.wait("the finding", 6*time.Minute, func() bool { return r.leader().finds("REPAIR_STALLED") })
		r.set("n2", func(n *fakeNode) { n.load = cassandra.Load{} })
		r.awaitClosed(1, 2*time.Minute)
		r.wait("silence about loads", 2*time.Minute, func() bool { return len(telling()) == 0 })
	})
}

// heed applies a policy that heeds loads.
func (r *region) heed() {
	p := policy(incident.Auto)
	p.Version, p.Repair.HeedLoad = 2, true
	b, err := json.Marshal(p)
	if err != nil {
		r.t.Fatal(err)
	}
	r.store.put(store.Policy, b)
}

// A Jolokia that answers nonsense keeps nobody asleep: what it said is told, and the
// repair goes on with one segment at a time.
func TestALoadThatCannotBeReadIsToldAndGoneOnWithout(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.heed()
		r.set("n2", func(n *fakeNode) { n.loadErr = fmt.Errorf("read load: dropped mutations: %w", cassandra.ErrNonsense) })
		r.crash("n3")
		r.awaitClosed(1, 3*time.Minute)
		if !r.leader().logged("n2 cannot say how much it has to do: read load: dropped mutations") {
			t.Error("nothing tells what cannot be read")
		}
	})
}

func TestDroppedWithinTheWindow(t *testing.T) {
	var r loadReader
	at := cluster.Moment(time.Hour)
	for _, row := range []struct {
		why         string
		after       time.Duration
		count, want int64
	}{
		{"what was dropped before the first reading is not of now", 0, 50, 0},
		{"two since", 5 * time.Second, 52, 2},
		{"still within a minute", 50 * time.Second, 52, 2},
		{"a minute after the last one none is", 10 * time.Second, 52, 0},
		{"another process counts anew", time.Second, 1, 0},
	} {
		at = at.Add(row.after)
		if got := r.within(at, row.count); got != row.want {
			t.Errorf("%s: %d, want %d", row.why, got, row.want)
		}
	}
}
