// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/membership"
)

func TestModeObserveDoesNothing(t *testing.T) {
	inRegion(t, incident.Observe, func(r *region) {
		r.crash("n3")
		r.wait("an incident", 10*time.Second, func() bool { _, open := r.open(); return open })
		time.Sleep(10 * time.Minute)
		if n := r.touchedSoFar(); n != 0 {
			t.Errorf("%d acts: %v", n, r.story)
		}
		if rec, open := r.open(); !open || rec.Phase != incident.Suspected || !rec.Would {
			t.Errorf("the record: open %v, %+v", open, rec)
		}
		r.mu.Lock()
		r.nodes["n3"].begin(1)
		r.mu.Unlock()
		r.awaitClosed(1, time.Minute)
		if n := r.touchedSoFar(); n != 0 {
			t.Errorf("%d acts: %v", n, r.story)
		}
	})
}

func TestAPauseOfTwoSecondsCostsOneDrainAtMost(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.paused = true })
		time.Sleep(2 * time.Second)
		r.set("n3", func(n *fakeNode) { n.paused = false })
		time.Sleep(time.Minute)
		if _, open := r.open(); open {
			t.Error("still open after a minute")
		}
		drains, back := r.count("n3 pool drain"), r.count("n3 pool ready 100 %")
		if drains > 1 || back != drains {
			t.Errorf("%d drains and %d give-backs", drains, back)
		}
		if n := r.touchedSoFar(); n != drains+back {
			t.Errorf("more than a drain: %v", r.story)
		}
	})
}

func TestANodeThatRefusesClientsWhileItsProcessLivesIsOnlyDrained(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.nativeOff = true })
		time.Sleep(5 * time.Minute)
		if n := r.touchedSoFar(); n != 1 || r.count("n3 pool drain") != 1 {
			t.Errorf("done: %v, want one drain", r.story)
		}
		r.set("n3", func(n *fakeNode) { n.nativeOff = false })
		r.awaitClosed(1, time.Minute)
		if n := r.touchedSoFar(); n != 2 || r.count("n3 pool ready 100 %") != 1 {
			t.Errorf("done: %v, want a drain and a give-back", r.story)
		}
	})
}

func TestAPlannedStopOfANodeThatRanForDaysIsBelieved(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) {
			r.agents["n3"][0].looks.since["n3process"] = time.Now().Add(-26 * time.Hour)
			n.drained, n.native = true, false
		})
		time.Sleep(3 * time.Second)
		r.crash("n3")
		time.Sleep(30 * time.Second)
		r.quiet()
		if v := r.leader().snapshot().World.View.Verdicts["n3"]; v.Cause != membership.Planned {
			t.Errorf("n3 is %s for %s, want a planned stop", v.Answer, v.Cause)
		}
	})
}

func TestAPlannedStopOutlivesARestartOfItsAgent(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.drained, n.native = true, false })
		time.Sleep(3 * time.Second)
		r.crash("n3")
		time.Sleep(10 * time.Second)
		r.restart("n3")
		time.Sleep(time.Minute)
		r.quiet()
	})
}

func TestADrainIsMarkedWithItsMomentAndWithWhatThePeersKeep(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		time.Sleep(5 * time.Second)
		before := time.Now()
		r.set("n3", func(n *fakeNode) { n.drained, n.native = true, false })
		time.Sleep(5 * time.Second)
		local, err := r.nodes["n3"].disk.Local()
		if err != nil || !local.Clean || local.HintWindow != 3*time.Hour {
			t.Fatalf("the marker: %+v, %v", local, err)
		}
		if early := before.Sub(local.CleanFrom); early < 0 || early > 2*beatEvery {
			t.Errorf("it left at %v, drained at %v", local.CleanFrom, before)
		}
	})
}

// A node that was drained has missed writes as a crashed one has once nobody
// keeps hints for it any more.
func TestAPlannedStopIsBelievedNoLongerThanHintsAreKept(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.mu.Lock()
		r.hints = 10 * time.Minute
		r.mu.Unlock()
		time.Sleep(20 * time.Minute) // the agents read it again, and the node runs for longer than that
		r.set("n3", func(n *fakeNode) { n.drained, n.native = true, false })
		time.Sleep(3 * time.Second)
		r.crash("n3")
		time.Sleep(9 * time.Minute)
		r.quiet()
		r.awaitClosed(1, 5*time.Minute)
		if r.count("n3 start") == 0 {
			t.Errorf("it was not returned: %v", r.story)
		}
	})
}
