// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/incident"
)

// seedsMax is how many worlds a bug may be tried in: what one of them hides
// behind another check, or cannot show at all, the next one shows.
const seedsMax = 12

// blindMax bounds a run without the check: a bug may go round in circles.
const blindMax = 40000

// Each bug is seen by the check that is there for it, in a world that holds
// all checks without the bug. Every check is the only one that sees some bug:
// without it nobody would have known.
func TestPlantedBugsAreSeen(t *testing.T) {
	sound := map[string]bool{} // worlds that held all checks without a bug
	alone := map[string]bool{} // checks that were the only one to see something
	played := 0                // -run may leave some out
	slowest, most := "", 0     // the bug that took most steps until it was seen
	for _, b := range Bugs() {
		t.Run(b.Name, func(t *testing.T) {
			played++
			steps := 0 // in all worlds that were tried
			for seed := int64(1); seed <= seedsMax; seed++ {
				o := b.options(seed)
				got := play(t, o)
				if got.Invariant != b.Seen {
					steps += got.Steps
					continue
				}
				t.Logf("seed %d: %s", seed, got.Violation)
				if steps += got.Steps; steps > most {
					slowest, most = fmt.Sprintf("%s in world %d", b.Name, seed), steps
				}
				if !alone[b.Seen] {
					o.Blind, o.StepsMax = b.Seen, blindMax
					blind := play(t, o)
					alone[b.Seen] = blind.Violation == "" && blind.Steps < blindMax
					t.Logf("seed %d: without the check: %q", seed, blind.Violation)
				}
				o.Bug, o.Blind, o.StepsMax = "", "", 0
				if world := fmt.Sprint(seed, b.Story); !sound[world] {
					if without := play(t, o); without.Violation != "" {
						t.Errorf("without the bug: %s", without.Violation)
					}
					sound[world] = true
				}
				return
			}
			t.Errorf("%s, and in none of %d worlds does %s see it", b.Does, seedsMax, b.Seen)
		})
	}
	t.Logf("seen last: %s, after %d steps", slowest, most)
	for _, c := range Checks() {
		if played == len(Bugs()) && !alone[c.Name] && c.Name != string(incident.FenceBeforeReplace) {
			t.Errorf("%s is never the only check that sees a bug", c.Name)
		}
	}
}

// A check that sees nothing is no check. Those that the deciding code itself
// names need two bugs.
func TestEveryCheckSeesABug(t *testing.T) {
	twice := []incident.Rule{incident.IntentFirst, incident.TokenNeverFalls, incident.UnknownDestroysNothing, incident.NoBorderCrossing,
		incident.QuorumSurvives, incident.PoolFloor, incident.OneOpenIncident, incident.ClosedIsQuiet, incident.NoSilentWait}
	seen := map[string]int{}
	for _, b := range Bugs() {
		seen[b.Seen]++
	}
	for _, c := range Checks() {
		want := 1
		switch {
		case c.Name == string(incident.FenceBeforeReplace):
			want = 0 // nothing that exists replaces a node
		case slices.Contains(twice, incident.Rule(c.Name)):
			want = 2
		}
		if seen[c.Name] < want {
			t.Errorf("%s is there for %d bugs, want %d", c.Name, seen[c.Name], want)
		}
		delete(seen, c.Name)
	}
	for name := range seen {
		t.Errorf("a bug is to be seen by %s, which is no check", name)
	}
}

// The command that is told of a bug names a test of this file, and the bug by
// its whole name: one name begins another.
func TestABugSaysHowItIsPlayed(t *testing.T) {
	test := runtime.FuncForPC(reflect.ValueOf(TestPlantedBugsAreSeen).Pointer()).Name()
	test = test[strings.LastIndex(test, ".")+1:]
	for _, b := range Bugs() {
		if want := "-v -run '" + test + "/^" + b.Name + "$'"; !strings.HasSuffix(b.Play(), want) {
			t.Errorf("%q does not end in %q", b.Play(), want)
		}
	}
}

func TestAnUnknownBugIsNamed(t *testing.T) {
	_, err := Run(Options{Seed: 1, Storm: time.Minute, Bug: "moth"})
	var unknown UnknownBug
	if !errors.As(err, &unknown) || unknown.Name != "moth" {
		t.Errorf("got %v", err)
	}
}

// What the checks are not told of is found by the full pass, and said as that.
func TestTheFullPassFindsWhatNoChangeShowed(t *testing.T) {
	for _, name := range []string{numb, untold} {
		o := Bug{Name: name, Story: killed()}.options(1)
		if got := play(t, o); !strings.Contains(got.Violation, "the full pass finds what no change showed") {
			t.Errorf("%s: %q", name, got.Violation)
		}
	}
}
