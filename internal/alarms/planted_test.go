// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// seedOf is the first seed that plays a fault on a size.
func seedOf(t *testing.T, fault string, size int) uint64 {
	t.Helper()
	for seed := range uint64(len(faults) * len(sizes)) {
		if f, n := storyOf(seed); f.name == fault && n == size {
			return seed
		}
	}
	t.Fatalf("no seed plays %s on %d nodes", fault, size)
	return 0
}

// found tells whether a run broke what it should.
func found(r row, f fault, what string) bool {
	return slices.ContainsFunc(r.breaks(f), func(s string) bool { return strings.Contains(s, what) })
}

// A bar that does not hear the node's own agent fences a node that hears nobody and
// says that it is fine; the checker sees it.
func TestBarThatIgnoresTheOwnAgentIsFound(t *testing.T) {
	deaf := func(x membership.Verdict, b membership.Bars, age time.Duration, now cluster.Moment) (bool, []string) {
		x.Ballots = slices.Clone(x.Ballots)
		for i := range x.Ballots {
			if x.Ballots[i].Own {
				x.Ballots[i].Vote, x.Ballots[i].Cites = membership.Unheard, nil
			}
		}
		return membership.FenceBar(x, b, age, now)
	}
	seed := seedOf(t, "cut_in", 5)
	f, _ := storyOf(seed)
	if r := play(t, seed, keyFile(t), planted(deaf)); !found(r, f, "wrong fences") {
		t.Errorf("%v: no wrong fence found", r)
	}
}

// A bar that nothing meets is never wrong, and of no use: the crash at the end
// shows it.
func TestBarThatNothingMeetsIsFound(t *testing.T) {
	none := func(membership.Verdict, membership.Bars, time.Duration, cluster.Moment) (bool, []string) {
		return false, nil
	}
	for seed := uint64(0); ; seed += uint64(len(faults)) { // calm ones, until one loses its host
		r := play(t, seed, keyFile(t), planted(none))
		if f, _ := storyOf(seed); r.crash == "host" {
			if !found(r, f, "not to be fenced") {
				t.Errorf("%v: nothing found", r)
			}
			return
		}
	}
}

// A judge that wants three silent looks believes twice as early with bars of one:
// the starved ones show it.
func TestBarsThatBelieveOneSilenceAreFound(t *testing.T) {
	seed := seedOf(t, "starved_16", 9)
	f, _ := storyOf(seed)
	hasty := func(r *run) {
		inner := r.fault.play
		r.fault.play = func(r *run) string {
			r.w.locked(func() { r.w.bars.MissesMax = 1 })
			return inner(r)
		}
	}
	if r := play(t, seed, keyFile(t), hasty); !found(r, f, "needless drains") {
		t.Errorf("%v: no needless drain found", r)
	}
}
