// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"math/rand"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
)

// wordStories are words that together make every kind of decision about an
// incident that a person can ask for.
var wordStories = map[string]Options{
	"fenced and brought back": {Said: []Saying{
		{At: time.Second, Who: "ana", Verb: incident.AskFence, Node: 2}, {At: 20 * time.Second, Who: "ana", Verb: incident.AskUnfence, Node: 2}}},
	"aborted in its return and tried again": {Strokes: []Stroke{{At: time.Second, Fault: "kill", Node: 2, Salt: 1}}, Said: []Saying{
		{At: 20 * time.Second, Who: "ana", Verb: incident.AskAbort, Node: 2}, {At: 40 * time.Second, Who: "ana", Verb: incident.AskRetry, Node: 2}}},
	"its end approved": {Policy: moded(incident.Assist),
		Strokes: []Stroke{{At: time.Second, Fault: "hang", Node: 2, Salt: 1, For: 10 * time.Minute}}, Said: []Saying{
			{At: 50 * time.Second, Who: "ana", Verb: incident.AskApprove, Node: 2}}},
	"paused in its return": {Strokes: []Stroke{{At: time.Second, Fault: "kill", Node: 2, Salt: 1}}, Said: []Saying{
		{At: 15 * time.Second, Who: "ana", Verb: incident.AskPause, For: time.Hour}, {At: 50 * time.Second, Who: "bo", Verb: incident.AskResume}}},
}

// A leader that dies in the middle of a person's word leaves it whole or not
// taken in; its heir goes on from there, and in the end the node serves.
func TestEveryCrashPointOfAWord(t *testing.T) {
	for name, story := range wordStories {
		t.Run(name, func(t *testing.T) {
			o := crashOptions("", []Stroke{})
			o.Strokes, o.Said, o.Policy, o.Truths = append(o.Strokes, story.Strokes...), story.Said, story.Policy, []Truth{allServe()}
			passages := 0
			o.Passage = func(n int, _ cluster.Name, _ Passage) { passages = n }
			if r := play(t, o); r.Violation != "" || r.Untrue != "" || r.Opened == 0 {
				t.Fatalf("without a death: %+v", r)
			}
			o.Passage = nil
			for _, at := range deaths(t, passages) {
				for _, next := range []int{0, 1 + at%5} {
					o.CrashAt, o.CrashNext = at, next
					if r := play(t, o); r.Violation != "" || r.Untrue != "" {
						t.Errorf("death at passage %d and %d later: %s%s\n%s", at, next, r.Violation, r.Untrue, again(t, at, passages))
					}
				}
			}
		})
	}
}

var wordSeeds = flag.Int("words", 8, "how many seeds TestWordsAmongFaults plays")

// People say anything at any time, also what makes no sense, while all the
// faults of a seed happen: no invariant breaks, and what was begun ends.
func TestWordsAmongFaults(t *testing.T) {
	verbs := []incident.AskVerb{incident.AskFence, incident.AskUnfence, incident.AskApprove, incident.AskAbort, incident.AskAck, incident.AskRetry,
		incident.AskRetry, incident.AskUnfence, incident.AskPause, incident.AskResume}
	for seed := int64(1); seed <= int64(*wordSeeds); seed++ {
		rng := rand.New(rand.NewSource(seed))
		o := Options{Seed: 40_000 + seed, Nodes: 3 + int(seed%4), Storm: 3 * time.Minute, Calm: 60 * time.Minute}
		for range 14 {
			o.Said = append(o.Said, Saying{At: time.Duration(rng.Int63n(int64(3 * time.Minute))), Who: "ana", Verb: verbs[rng.Intn(len(verbs))],
				Node: rng.Intn(o.Nodes), For: time.Duration(1+rng.Intn(60)) * time.Second})
		}
		if r := play(t, o); r.Violation != "" {
			t.Errorf("seed %d: %s", seed, r.Violation)
		}
	}
}
