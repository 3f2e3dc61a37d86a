// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	seed  = flag.Int64("seed", 0, "the one seed that TestSeed plays, loudly")
	seeds = flag.Int("seeds", 24, "how many seeds TestSeeds plays")
	from  = flag.Int64("from", 1, "the first of them")
)

func options(seed int64) Options {
	return Options{Seed: seed, Storm: 3 * time.Minute, Calm: 45 * time.Minute}
}

// TestSeeds plays a bounded number of seeds with every fault on.
func TestSeeds(t *testing.T) {
	var sum Report
	for s := *from; s < *from+int64(*seeds); s++ {
		r := Run(options(s))
		if r.Violation != "" {
			t.Errorf("seed %d: %s\nreplay: go test ./internal/sim -run TestSeed$ -v -seed=%d", s, r.Violation, s)
		}
		sum.Steps, sum.Opened, sum.Closed, sum.Held = sum.Steps+r.Steps, sum.Opened+r.Opened, sum.Closed+r.Closed, sum.Held+r.Held
		sum.Kills, sum.Crashes, sum.Lost, sum.Cold = sum.Kills+r.Kills, sum.Crashes+r.Crashes, sum.Lost+r.Lost, sum.Cold+r.Cold
	}
	t.Logf("%+v", sum)
	if *seeds >= 20 && (sum.Closed == 0 || sum.Lost == 0 || sum.Crashes == 0) {
		t.Errorf("nothing happened that could have been wrong: %+v", sum)
	}
}

// TestSeed replays one seed and prints what happened.
func TestSeed(t *testing.T) {
	if *seed == 0 {
		*seed = 1
	} else {
		traced = func(line string) { fmt.Println(line) }
		defer func() { traced = nil }()
	}
	r := Run(options(*seed))
	t.Logf("%+v", r)
	if r.Violation != "" {
		t.Errorf("%s\nreplay: go test ./internal/sim -run TestSeed$ -v -seed=%d", r.Violation, *seed)
	}
}
