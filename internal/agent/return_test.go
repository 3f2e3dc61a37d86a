// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/incident"
)

// theReturn is everything that is done for a node that crashed, in order.
var theReturn = []string{
	"n3 dies", "n3 pool drain",
	"n3 start", "n3 begin hibernate", "n3 severity 50",
	"n3 repair ks", "n3 repair other",
	"n3 join_ring",
	"n3 repair ks", "n3 repair other",
	"n1 preview ks", "n1 preview other",
	"n3 severity 0", "n3 native on", "n3 rows read, 0 old",
	"n3 pool ready 10 %", "n3 pool ready 100 %",
}

func TestACrashedNodeComesBackProven(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		began := time.Now()
		r.crash("n3")
		r.wait("the drain", time.Second, func() bool { return r.count("n3 pool drain") == 1 })
		r.awaitClosed(1, time.Minute)
		if !slices.Equal(r.story, theReturn) {
			t.Errorf("done: %s\nwant: %s", strings.Join(r.story, "; "), strings.Join(theReturn, "; "))
		}
		for _, s := range incident.Stages() {
			if _, reached := r.closed()[0].Marks[s]; !reached && s != incident.StageFenced {
				t.Errorf("stage %s was not reached", s)
			}
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
		local, err := r.nodes["n3"].disk.Local()
		if err != nil || local.Returning || local.Fence != nil {
			t.Errorf("the gate's copy after it: %+v (%v)", local, err)
		}
	})
}

func TestAPeerThatSaysUpCostsAStart(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.falseUp = true })
		r.crash("n3")
		r.awaitClosed(1, 2*time.Minute)
		if kills, starts := r.count("n3 kill"), r.count("n3 start"); kills != 1 || starts != 2 {
			t.Errorf("%d kills and %d starts, want 1 and 2", kills, starts)
		}
	})
}

func TestAnOldRowSendsTheNodeBackToRepair(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.old = 2 })
		r.crash("n3")
		r.awaitClosed(1, 2*time.Minute)
		if rounds := r.count("n3 repair ks"); rounds != 3 {
			t.Errorf("ks was repaired %d times, want 3", rounds)
		}
		if off := r.count("n3 native off"); off != 1 {
			t.Errorf("the native transport was stopped %d times, want 1", off)
		}
	})
}

func TestCountersThatDifferedAreComparedAgain(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.counters = 2 })
		r.crash("n3")
		r.awaitClosed(1, 2*time.Minute)
		if ks, other := r.count("n1 preview ks"), r.count("n1 preview other"); ks != 3 || other != 1 {
			t.Errorf("ks was compared %d times and other %d times, want 3 and 1", ks, other)
		}
	})
}
