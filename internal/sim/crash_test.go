// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
)

// A run plays one passage of so many, another one each day, so that in time all
// are played by those who have no time for all of them.
var (
	every = flag.Int("every", 9, "how many passages lie between two deaths that TestEveryCrashPoint tries; 1: it tries all")
	first = flag.Int("first", 0, "the first passage that is tried; 0: by the day of the year")
)

// deaths are the passages of a story at which somebody is to die.
func deaths(t *testing.T, passages int) (at []int) {
	t.Helper()
	from := *first
	if from == 0 {
		from = 1 + time.Now().UTC().YearDay()%*every
	}
	t.Logf("deaths at passage %d and then at one of %d: -first %d -every %d", from, *every, from, *every)
	for n := from; n <= passages; n += *every {
		at = append(at, n)
	}
	return at
}

// again is the command that plays the one death anew, whatever day it is.
func again(t *testing.T, at, passages int) string {
	return fmt.Sprintf("again: go test -tags grpcnotrace ./internal/sim -run '^%s$' -first %d -every %d", strings.ReplaceAll(t.Name(), "/", "$/^"), at, passages)
}

// turnedOffStory is about a host that is turned off, since one of its peers cannot
// cut it off.
const turnedOffStory = "a host that is turned off"

// crashStories are incidents that together need every verb.
var crashStories = map[string][]Stroke{
	"a host that stands still":      {{At: time.Second, Fault: "host-frozen", Node: 2, Salt: 1}},
	"a kill":                        {{At: time.Second, Fault: "kill", Node: 2, Salt: 1}},
	"a hibernation that is missed":  {{At: 0, Fault: "hibernation-missed", Node: 2, Salt: 1}, {At: time.Second, Fault: "kill", Node: 2, Salt: 1}},
	"a pause beyond the hints":      {{At: time.Second, Fault: "vm-pause", Node: 2, Salt: 3}},
	"a kill with its agent":         {{At: time.Second, Fault: "kill-with-agent", Node: 2, Salt: 1}},
	"a hang":                        {{At: time.Second, Fault: "hang", Node: 2, Salt: 1}},
	turnedOffStory:                  {{At: time.Second, Fault: "host-frozen", Node: 2, Salt: 1}},
	"a leader that is killed aside": {{At: time.Second, Fault: "kill", Node: 2, Salt: 1}, {At: 3 * time.Second, Fault: "kill-anyway", Node: 0, Salt: 1}},
}

func crashOptions(story string, strokes []Stroke) Options {
	o := Options{Seed: 3, Nodes: 3, Storm: 90 * time.Second, Calm: 45 * time.Minute, Strokes: strokes}
	if story == turnedOffStory {
		o.Hooks = &Hooks{Guardless: []int{1}}
	}
	return o
}

// The cases are generated from a run without a death: one at each moment at
// which something is half done, whoever is at work then; and a second one of
// the heir a little later. A verb or a phase that no story passes fails here.
func TestEveryCrashPoint(t *testing.T) {
	seen := map[Passage]bool{}
	cases, told := 0, 0 // -run may leave stories out
	for name, strokes := range crashStories {
		t.Run(name, func(t *testing.T) {
			told++
			o := crashOptions(name, strokes)
			passages := 0
			o.Passage = func(n int, _ cluster.Name, at Passage) { passages, seen[at] = n, true }
			if r := play(t, o); r.Violation != "" || r.Opened == 0 {
				t.Fatalf("without a death: %+v", r)
			}
			o.Passage = nil
			for _, at := range deaths(t, passages) {
				for _, next := range []int{0, 1 + at%5} {
					o.CrashAt, o.CrashNext = at, next
					cases++
					if r := play(t, o); r.Violation != "" {
						t.Errorf("death at passage %d and %d later: %s\n%s", at, next, r.Violation, again(t, at, passages))
					}
				}
			}
		})
	}
	if told < len(crashStories) {
		return
	}
	leader, executor := Points()
	for _, v := range incident.Verbs()[1:] {
		for _, p := range executor {
			if !seen[Passage{p, v}] {
				t.Errorf("no story dies %s of %s", p, v)
			}
		}
	}
	for _, phase := range []incident.Phase{incident.Suspected, incident.Draining, incident.Fencing, incident.Deciding, incident.Returning, incident.Verifying, incident.Closed} {
		for _, p := range leader {
			if !seen[Passage{p, phase.String()}] {
				t.Errorf("no story dies %s in phase %s", p, phase)
			}
		}
	}
	t.Logf("%d deaths, %d kinds of passages", cases, len(seen))
}
