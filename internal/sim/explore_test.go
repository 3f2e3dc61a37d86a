// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var (
	depth = flag.Int("depth", 1, "how many departures from the plain order TestExplore plays on one path")
	paths = flag.Int("paths", 0, "how many paths TestExplore plays at most; 0: all")
)

// small is the scope of one crash, one cut, one lost answer and one long wait;
// short waits while something is under way come with deeper ones.
func smallScope(depth int, bug string) Scope {
	return Scope{Depth: depth, Crashes: 1, Cuts: 1, Losses: 1, Ticks: depth - 1, Ages: 1, Bug: bug}
}

// TestExplore plays every path of a small scope: -depth=2 has two faults on one
// path and takes long; -paths bounds it.
func TestExplore(t *testing.T) {
	s := smallScope(*depth, "")
	s.PathsMax = *paths
	x := Explore(s)
	t.Logf("depth %d: %d states on %d paths, %d of them led to a state that was seen; the plain story has %d moves, the longest path %d",
		*depth, x.States, x.Paths, x.Merged, x.Story, x.Longest)
	t.Logf("%d paths end closed, %d held; %d states with an heir, %d after a late transaction, all paths played: %v",
		x.Closed, x.Held, x.Heirs, x.Late, !x.Cut)
	if x.Violation != "" {
		t.Errorf("%s\n%s", x.Violation, strings.Join(x.Path, "\n"))
	}
	if *depth >= 1 && *paths == 0 && (x.Closed == 0 || x.Heirs == 0 || x.Late == 0) {
		t.Errorf("nothing happened that could have been wrong: %+v", x)
	}
}

// An exploration that finds nothing planted proves nothing. Each bug is found,
// and not with fewer departures than it needs.
func TestExploreFindsPlantedBugs(t *testing.T) {
	rows := []struct {
		why   string
		bug   string
		depth int
		seen  []string // any of these invariants
		needs moveKind // a move without which it is not found
	}{
		{"executors act without a claim", noClaim, 0, []string{"intent-first"}, begins},
		{"the store compares nothing", noCompare, 1, []string{"closed-is-quiet", "one-open-incident", stepOnce, "legal-edges"}, wins},
		{"marks do not survive a crash", forgetMarks, 1, []string{"intent-once"}, crashes},
		{"leaders take a lost answer for not written", lostIsNot, 1, []string{stepOnce, "one-open-incident", "legal-edges"}, loses},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			if r.depth > 0 {
				if x := Explore(smallScope(r.depth-1, r.bug)); x.Violation != "" {
					t.Errorf("found with fewer departures: %s", x.Violation)
				}
			}
			x := Explore(smallScope(r.depth, r.bug))
			if !slices.Contains(r.seen, x.Invariant) {
				t.Fatalf("%d paths and none of %v: %q", x.Paths, r.seen, x.Violation)
			}
			t.Logf("path %d: %s\n%s", x.Paths, x.Violation, strings.Join(x.Path, "\n"))
			without := !slices.ContainsFunc(x.Path, func(m string) bool { return strings.Contains(m, moveWords[r.needs]) })
			if without {
				t.Errorf("the path has no %q", moveWords[r.needs])
			}
		})
	}
}

// The same scope is the same exploration.
func TestExploreIsAFunctionOfItsScope(t *testing.T) {
	s := smallScope(1, "")
	s.PathsMax = 30
	if a, b := Explore(s), Explore(s); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v and then %+v", a, b)
	}
}
