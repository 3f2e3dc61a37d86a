// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

func hangs(n *fakeNode) { n.paused = true }

// The process is ended only behind the drain, after the age of its evidence,
// and the way back is that of a node that crashed.
func TestAHungNodeIsEndedAndComesBackProven(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		began := time.Now()
		r.set("n3", hangs)
		r.wait("the end of the process", time.Minute, func() bool { return r.count("n3 kill") == 1 })
		if took := time.Since(began); took < 15*time.Second || took > 25*time.Second {
			t.Errorf("it was ended after %v, want 15 s and a little", took)
		}
		local, err := r.nodes["n3"].disk.Local()
		if gate, _ := isolate.BeforeAsking(local, time.Now()); err != nil || gate.Start != isolate.Refuse {
			t.Errorf("its unit would start it again at once: the gate says %+v by %+v (%v)", gate, local, err)
		}
		r.awaitClosed(1, time.Minute)
		want := slices.Concat([]string{"n3 pool drain", "n3 kill", "n3 dies"}, theReturn[2:])
		if !slices.Equal(r.story, want) {
			t.Errorf("done: %s\nwant: %s", strings.Join(r.story, "; "), strings.Join(want, "; "))
		}
		rec := r.closed()[0]
		for _, s := range incident.Stages() {
			if _, reached := rec.Marks[s]; !reached {
				t.Errorf("stage %s was not reached", s)
			}
		}
		if rec.Fenced == nil || len(rec.Fenced.Proof) != 2 || rec.Cause != membership.Hung {
			t.Errorf("the archive says %+v of the fence, cause %s", rec.Fenced, rec.Cause)
		}
	})
}

// A unit that starts it again past the gate undoes its end: that is told, and the
// node is repaired where it runs.
func TestAHungNodeThatRunsAgainPastItsGateIsTold(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.paused, n.ungated = true, true })
		r.awaitClosed(1, 3*time.Minute)
		told := false
		for _, kv := range r.store.list(store.Logs) {
			var e incident.Entry
			if err := json.Unmarshal(kv.Value, &e); err != nil {
				t.Fatal(err)
			}
			told = told || strings.Contains(e.Sentence(), "runs already: whatever started it went past the gate")
		}
		if kills := r.count("n3 kill"); !told || kills != 1 {
			t.Errorf("told %v, %d kills: %v", told, kills, r.story)
			r.print()
		}
	})
}

func TestAPauseOfEightSecondsIsNotFenced(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		for range 3 {
			r.set("n3", hangs)
			time.Sleep(8 * time.Second)
			r.set("n3", func(n *fakeNode) { n.paused = false })
			r.awaitClosed(1, time.Minute)
			time.Sleep(30 * time.Second)
		}
		if kills := r.count("n3 kill"); kills != 0 || r.count("n3 native off") != 0 || r.count("n3 severity 50") != 0 {
			t.Errorf("fenced: %v", r.story)
		}
	})
}

// A process that wakes up between the decision and the act is left alone,
// whatever the leader knew.
func TestAProcessThatWokeUpIsNotEnded(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.store.mu.Lock()
		r.store.fault = func(_ cluster.Name, t store.Txn) fault {
			if o, claims, _ := orderOf(t); claims && o.Once.Verb == incident.VerbKill {
				time.AfterFunc(0, func() { r.set("n3", func(n *fakeNode) { n.paused = false }) })
			}
			return noFault
		}
		r.store.mu.Unlock()
		r.set("n3", hangs)
		r.wait("the end of the incident", 3*time.Minute, func() bool { return len(r.closed()) == 1 })
		if kills := r.count("n3 kill"); kills != 0 {
			t.Errorf("ended all the same: %v", r.story)
		}
	})
}

func TestTheAgentOfAHungNodeThatIsDeadIsMissed(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", hangs)
		r.halt("n3", false)
		r.wait("a person is asked", 2*time.Minute, func() bool {
			rec, open := r.open()
			return open && rec.Phase == incident.Held
		})
		if kills := r.count("n3 kill"); kills != 0 {
			t.Errorf("ended by nobody's hand: %v", r.story)
		}
		r.start("n3")
		r.awaitClosed(1, 3*time.Minute)
		if kills := r.count("n3 kill"); kills != 1 {
			t.Errorf("%d kills, want 1: %v", kills, r.story)
		}
	})
}

// Whoever is restarted after whatever was done, the process is ended once, and
// the node is back in the end.
func TestAnAgentRestartedWhileANodeIsFencedGoesOn(t *testing.T) {
	for _, e := range []string{"n3 verdict", "n3 pool drain", "n3 kill", "n3 start"} {
		for _, who := range []string{"own", "leader", "both"} {
			t.Run(e+", "+who, func(t *testing.T) {
				t.Parallel()
				inRegion(t, incident.Auto, func(r *region) {
					r.set("n3", hangs)
					r.reach(e, 1)
					leader := r.leader()
					if who != "leader" {
						r.restart("n3")
					}
					if who != "own" && leader != nil && (who != "both" || leader.name != "n3") {
						r.restart(leader.name)
					}
					r.awaitClosed(1, 5*time.Minute)
					if kills, starts := r.count("n3 kill"), r.count("n3 start"); kills != 1 || starts != 1 {
						t.Errorf("%d kills and %d starts: %v", kills, starts, r.story)
					}
				})
			})
		}
	}
}

// The order to end a process may be lost, or its answer, at each of its moments.
func TestAStoreThatDiesWhileANodeIsFencedCostsTimeOnly(t *testing.T) {
	for _, what := range []string{"claim", "settling", "commit"} {
		for nth, f := range []fault{neverThere, answerLost, writtenLater} {
			t.Run(fmt.Sprintf("%s, %s", what, f), func(t *testing.T) {
				t.Parallel()
				inRegion(t, incident.Auto, func(r *region) {
					d := death{what: what, nth: 1, fault: f, away: time.Duration(nth) * time.Second, hits: func(t store.Txn) bool {
						o, claims, settles := orderOf(t)
						ends := o.Once != nil && o.Once.Verb == incident.VerbKill
						return what == "claim" && claims && ends || what == "settling" && settles && ends || what == "commit" && ends && !claims && !settles
					}}
					struck := r.strike(d)
					r.set("n3", hangs)
					r.awaitClosed(1, 5*time.Minute)
					if kills := r.count("n3 kill"); kills != 1 || !struck() {
						t.Errorf("%d kills, the store died: %v; %v", kills, struck(), r.story)
					}
				})
			})
		}
	}
}
