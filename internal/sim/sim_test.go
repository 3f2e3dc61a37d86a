// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"testing"
	"time"
)

var (
	seed  = flag.Int64("seed", 0, "the one seed that TestSeed plays, loudly")
	seeds = flag.Int("seeds", 5, "how many seeds TestSeeds plays")
	from  = flag.Int64("from", 1, "the first of them")
)

func options(seed int64) Options {
	return Options{Seed: seed, Storm: 3 * time.Minute, Calm: 45 * time.Minute}
}

// play runs a schedule that must be a good one.
func play(t testing.TB, o Options) Report {
	t.Helper()
	r, err := Run(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSeeds plays a bounded number of seeds with about half of the faults on.
func TestSeeds(t *testing.T) {
	var sum Report
	struck := map[string]int{}
	for s := *from; s < *from+int64(*seeds); s++ {
		r := play(t, options(s))
		if r.Violation != "" {
			t.Errorf("seed %d, %d nodes: %s\nreplay: go test -tags grpcnotrace ./internal/sim -run TestSeed$ -v -seed=%d", s, r.Nodes, r.Violation, s)
		}
		sum.Steps, sum.Opened, sum.Closed, sum.Held = sum.Steps+r.Steps, sum.Opened+r.Opened, sum.Closed+r.Closed, sum.Held+r.Held
		sum.Kills, sum.Crashes, sum.Lost, sum.Cold = sum.Kills+r.Kills, sum.Crashes+r.Crashes, sum.Lost+r.Lost, sum.Cold+r.Cold
		sum.Fenced += r.Fenced
		sum.Played, sum.Active, sum.Nodes = sum.Played+r.Played, sum.Active+r.Active, sum.Nodes+r.Nodes
		for f, n := range r.Struck {
			struck[f] += n
		}
	}
	t.Logf("%+v", sum)
	t.Logf("%d of %d faults: %v", len(struck), len(Faults()), struck)
	if *seeds >= 5 && (sum.Closed == 0 || sum.Lost == 0 || sum.Crashes == 0) {
		t.Errorf("nothing happened that could have been wrong: %+v", sum)
	}
}

// TestSeed replays one seed and prints what happened.
func TestSeed(t *testing.T) {
	o := options(max(*seed, 1))
	if *seed != 0 {
		o.Trace = func(line string) { fmt.Println(line) }
	}
	r := play(t, o)
	t.Logf("%+v", r)
	if r.Violation != "" {
		t.Errorf("%s\nreplay: go test -tags grpcnotrace ./internal/sim -run TestSeed$ -v -seed=%d", r.Violation, o.Seed)
	}
}

// One seed is one trace.
func TestASeedIsATrace(t *testing.T) {
	for s := range int64(2) {
		if a, b := play(t, options(s+1)), play(t, options(s+1)); !reflect.DeepEqual(a, b) {
			t.Errorf("seed %d: %+v and then %+v", s+1, a, b)
		}
	}
}

func TestAnUnknownFaultIsNamedWithThoseThatExist(t *testing.T) {
	_, err := Run(Options{Seed: 1, Storm: time.Minute, Only: []string{"meteor"}})
	var unknown UnknownFault
	if !errors.As(err, &unknown) || unknown.Name != "meteor" {
		t.Errorf("got %v", err)
	}
}

// Every fault of the catalogue is drawn by some seed; those that are drawn in
// couples, and what makes their moment, are of the catalogue.
func TestSeedsDrawEveryFault(t *testing.T) {
	drawn := map[string]bool{}
	for s := range int64(200) {
		strokes, err := draw(rand.New(rand.NewSource(s)), 3*time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := known(strokes); err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(strokes, func(a, b Stroke) int { return cmp.Compare(a.At, b.At) }) {
			t.Errorf("seed %d: strokes out of order: %v", s, strokes)
		}
		for _, x := range strokes {
			drawn[x.Fault] = true
		}
	}
	for _, name := range Faults() {
		if !drawn[name] {
			t.Errorf("%s is never drawn", name)
		}
	}
}
