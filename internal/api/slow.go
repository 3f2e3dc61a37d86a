// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"

	"supervisor/incident"
	"supervisor/membership"
)

// slowStep is where the answer to a slow node stands.
func slowStep(r incident.Record) *Step {
	if !r.OfSlowness() || r.Phase == incident.Suspected {
		return nil
	}
	return &Step{Name: r.Slow.Step.String(), Number: int(r.Slow.Step) + 1, Of: len(incident.SlowSteps())}
}

// slowBars are those of a node that is only slow: one for each step of the ladder
// that it may climb, and none of those that end a process.
func slowBars(s Snapshot, v membership.Verdict) []Bar {
	next := []string{incident.SlowNext(s.World, v.Node)}
	drain := Bar{Step: "drain", Answer: "not_yet", Reasons: next}
	if out(s, v.Node) {
		drain = Bar{Step: "drain", Answer: "done", Reasons: []string{}}
	}
	fence := Bar{Step: "fence", Answer: "no", Reasons: []string{"nothing is fenced because it is slow: readers avoid it at most"}}
	if f, stands := s.World.Fences[v.Node]; stands && f.Avoids() {
		fence = Bar{Step: "fence", Answer: "done", Reasons: levelWords(f.Levels)}
	}
	return []Bar{drain, fence, {Step: "return", Answer: "no_need", Reasons: []string{}}, {Step: "replace", Answer: "no_need", Reasons: []string{}}}
}

// slowOver is what gives a slow node back.
func slowOver(s Snapshot) string {
	return fmt.Sprintf("not slow for %s -> all of it is undone, and it serves in full", seconds(incident.SlowOver(s.World)))
}
