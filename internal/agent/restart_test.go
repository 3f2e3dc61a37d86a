// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"os"
	"path/filepath"
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

// TestHowLongANodeWasAwayIsRememberedOnItsDisk stops every agent, as a
// new installation of them all does, while a node is down.
func TestHowLongANodeWasAwayIsRememberedOnItsDisk(t *testing.T) {
	away := func(days int, forget bool, then func(*region)) {
		inRegion(t, incident.Auto, func(r *region) {
			time.Sleep(time.Minute)
			for _, n := range names {
				r.halt(n, true)
			}
			r.crash("n3")
			if forget {
				if err := os.Remove(filepath.Join(r.dir, "n3", aliveFile)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Duration(days) * 24 * time.Hour)
			for _, n := range names {
				r.start(n)
			}
			then(r)
		})
	}
	held := func(r *region) incident.Record {
		var rec incident.Record
		r.wait("held", time.Minute, func() bool { rec, _ = r.open(); return rec.Phase == incident.Held })
		if starts := r.count("n3 start"); starts != 0 || rec.HeldRule != incident.RuleGCGrace {
			t.Errorf("%d starts, held by %s: %s", starts, rec.HeldRule, rec.Held)
		}
		return rec
	}
	away(9, false, func(r *region) {
		r.awaitClosed(1, 2*time.Minute)
		if began := r.closed()[0].Outage.From; time.Since(began) < 9*24*time.Hour {
			t.Errorf("the outage of nine days begins %s ago", time.Since(began))
		}
	})
	away(11, false, func(r *region) {
		if rec := held(r); rec.Outage.Unseen {
			t.Error("the disk was not asked")
		}
	})
	away(1, true, func(r *region) {
		if rec := held(r); !rec.Outage.Unseen {
			t.Error("nobody can know when it began")
		}
		word := time.Now().Add(-25*time.Hour).Format(time.RFC3339) + "\n"
		if err := os.WriteFile(filepath.Join(r.dir, "n3", aliveFile), []byte(word), 0o600); err != nil {
			t.Fatal(err)
		}
		r.awaitClosed(1, 2*time.Minute)
	})
}
