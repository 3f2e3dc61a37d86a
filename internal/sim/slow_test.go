// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"math/rand"
	"testing"
	"time"

	"supervisor/incident"
)

var slowSeeds = flag.Int("slow", 24, "seeds of worlds with slow nodes")

// Nodes are slow amid other faults: the answer to it is mild, is undone, and hides
// nothing that befalls them besides.
func TestSlowNodesAmidFaults(t *testing.T) {
	others := []string{"gray", "kill", "pause", "hang", "vm-pause", "kill-with-agent", "agent-crash", "leader-crash", "crash-at-step", "cut-both", "cut-store",
		"answers-lost", "store-no-quorum", "store-watch-slow", "store-lease-burst", "proxy-mute", "proxy-restart", "snitch-off",
		"mode-observe", "policy-change", "agents-restart", "power-loss", "cql-off", "restart-loop"}
	slowed, held := 0, 0
	for seed := int64(1); seed <= int64(*slowSeeds); seed++ {
		rng := rand.New(rand.NewSource(seed))
		o := Options{Seed: 70_000 + seed, Nodes: 3 + int(seed%4), Storm: 5 * time.Minute, Calm: 60 * time.Minute, Slow: true}
		for i := range 3 {
			at := time.Duration(10+90*i) * time.Second
			o.Strokes = append(o.Strokes, Stroke{At: at, Fault: "gray", Node: rng.Intn(o.Nodes), Salt: rng.Int63n(1000), For: time.Duration(15+rng.Int63n(70)) * time.Second})
			if slow := o.Strokes[len(o.Strokes)-1]; i == 1 && seed%4 == 1 { // a person restarts it
				o.Strokes = append(o.Strokes, Stroke{At: slow.At + time.Duration(8+rng.Int63n(25))*time.Second, Fault: "drain-by-hand", Node: slow.Node, Salt: rng.Int63n(1000)})
			}
			for range 2 {
				o.Strokes = append(o.Strokes, Stroke{At: at + time.Duration(rng.Int63n(int64(80*time.Second))), Fault: others[rng.Intn(len(others))], Node: rng.Intn(o.Nodes), Salt: rng.Int63n(1000)})
			}
		}
		if seed%3 == 0 {
			o.Said = []Saying{{At: time.Duration(40+rng.Int63n(200)) * time.Second, Who: "ana", Verb: incident.AskAbort, Node: rng.Intn(o.Nodes)}}
		}
		r := play(t, o)
		if r.Violation != "" {
			t.Errorf("seed %d: %s", seed, r.Violation)
		}
		slowed, held = slowed+r.Slowed, held+r.Held
	}
	if t.Logf("%d incidents about slow nodes, %d incidents held", slowed, held); slowed < *slowSeeds/2 {
		t.Errorf("%d incidents about slow nodes in %d worlds: nothing is shown", slowed, *slowSeeds)
	}
}
