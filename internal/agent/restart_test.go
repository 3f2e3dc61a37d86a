// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"supervisor/incident"
)

// moments are the events of a return after which an agent is restarted.
var moments = slices.Concat([]string{"n3 verdict"}, slices.Compact(slices.DeleteFunc(slices.Clone(theReturn), func(e string) bool {
	return e == "n3 pool ready 100 %"
})))

// TestAnAgentRestartedAtAnyMomentGoesOn restarts the node's own agent, the
// leader, or both, right after each thing that is done.
func TestAnAgentRestartedAtAnyMomentGoesOn(t *testing.T) {
	seen := map[string]int{}
	for _, e := range moments {
		seen[e]++
		nth := seen[e]
		for _, who := range []string{"own", "leader", "both"} {
			t.Run(fmt.Sprintf("%s %d, %s", e, nth, who), func(t *testing.T) {
				t.Parallel()
				inRegion(t, incident.Auto, func(r *region) {
					r.crash("n3")
					r.reach(e, nth)
					leader := r.leader()
					if who != "leader" {
						r.restart("n3")
					}
					if who != "own" && leader != nil && (who != "both" || leader.name != "n3") {
						r.restart(leader.name)
					}
					r.awaitClosed(1, 5*time.Minute)
					r.onceEach(0)
				})
			})
		}
	}
}

// reach waits in small steps until an event has happened so often.
func (r *region) reach(event string, nth int) {
	r.t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if event == "n3 verdict" {
			if _, open := r.open(); open {
				return
			}
		} else if r.count(event) >= nth {
			return
		}
		if time.Since(began) > time.Minute {
			r.t.Errorf("%s: not reached", event)
			return
		}
	}
}

func TestACleanStopChangesNothing(t *testing.T) {
	for _, e := range []string{"n3 pool drain", "n3 severity 50", "n3 join_ring", "n3 native on"} {
		t.Run(e, func(t *testing.T) {
			inRegion(t, incident.Auto, func(r *region) {
				r.crash("n3")
				r.reach(e, 1)
				for _, n := range names {
					r.halt(n, true)
				}
				before := r.touchedSoFar()
				time.Sleep(10 * time.Minute)
				if after := r.touchedSoFar(); after != before {
					t.Errorf("%d acts after everybody had stopped: %v", after-before, r.story)
				}
				local, err := r.nodes["n3"].disk.Local()
				if started := r.count("n3 start") > 0; err != nil || local.Returning != started {
					t.Errorf("the gate's copy says returning %v after a start %v (%v)", local.Returning, started, err)
				}
				for _, n := range names {
					r.start(n)
				}
				r.awaitClosed(1, 5*time.Minute)
			})
		})
	}
}
