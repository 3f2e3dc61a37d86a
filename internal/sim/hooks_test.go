// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"math/rand"
	"testing"
	"time"
)

var hookSeeds = flag.Int("hooks", 24, "seeds of worlds with power hooks")

// Hosts are turned off amid everything else that goes wrong, by hooks that work and
// by hooks that do not, and somebody turns them on again.
func TestPowerHooksAmidFaults(t *testing.T) {
	others := []string{"cut-both", "cut-in", "vm-pause", "kill", "kill-with-agent", "agent-crash", "leader-crash", "crash-at-step", "cut-store",
		"answers-lost", "store-no-quorum", "store-watch-slow", "power-loss", "restart-loop", "mass-return", "start-by-hand", "agents-restart", "old-snapshot"}
	off, held := 0, 0
	for seed := int64(1); seed <= int64(*hookSeeds); seed++ {
		rng := rand.New(rand.NewSource(seed))
		o := Options{Seed: 60_000 + seed, Nodes: 3 + int(seed%4), Storm: 5 * time.Minute, Calm: 60 * time.Minute,
			Hooks: &Hooks{Guardless: []int{int(seed % 3)}, Broken: seed%2 == 0}}
		for i := range 2 {
			at := time.Duration(1+140*i) * time.Second
			o.Strokes = append(o.Strokes, Stroke{At: at, Fault: "host-frozen", Node: rng.Intn(o.Nodes), Salt: rng.Int63n(1000)})
			for range 3 { // while it stands still, is turned off, and is turned on
				o.Strokes = append(o.Strokes, Stroke{At: at + time.Duration(rng.Int63n(int64(100*time.Second))), Fault: others[rng.Intn(len(others))], Node: rng.Intn(o.Nodes), Salt: rng.Int63n(1000)})
			}
		}
		r := play(t, o)
		if r.Violation != "" {
			t.Errorf("seed %d: %s", seed, r.Violation)
		}
		off, held = off+r.TurnedOff, held+r.Held
	}
	if t.Logf("%d hosts turned off, %d incidents held", off, held); off < *hookSeeds/3 {
		t.Errorf("%d hosts turned off in %d worlds: nothing is shown", off, *hookSeeds)
	}
}
