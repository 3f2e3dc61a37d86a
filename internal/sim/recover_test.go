// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"strings"
	"testing"
	"time"
)

var (
	// pace is how far apart the moments are that TestEveryRecovery tries.
	pace = flag.Duration("pace", 6*time.Second, "how far apart the moments are at which TestEveryRecovery copies and loses the store")
	// stormy is how many seeds TestRecoveriesAmidFaults plays.
	stormy = flag.Int64("stormy", 40, "how many seeds TestRecoveriesAmidFaults plays")
)

// The cases are an incident at whose every moment the store is copied, and lost
// at every later one: what was done in between is forgotten, and may not be done
// again, nor left half done. In the end the store is acknowledged.
func TestEveryRecovery(t *testing.T) {
	cases := 0
	for name, strokes := range crashStories {
		t.Run(name, func(t *testing.T) {
			o := crashOptions(name, strokes)
			o.Storm = 3 * time.Minute
			for copied := time.Duration(0); copied <= 36*time.Second; copied += *pace {
				for lost := copied; lost <= copied+36*time.Second; lost += *pace {
					for _, looks := range []time.Duration{0, 40 * time.Second} {
						back := lost + 10*time.Second
						o.Recovery = &Recovery{Copied: copied, Lost: lost, Back: back, Acknowledged: back + looks}
						cases++
						if r := play(t, o); r.Violation != "" {
							t.Errorf("copied %s, lost %s, looked at for %s: %s", copied, lost, looks, r.Violation)
						}
					}
				}
			}
		})
	}
	t.Logf("%d recoveries", cases)
}

// The store is lost and brought back in the middle of everything else that can go
// wrong.
func TestRecoveriesAmidFaults(t *testing.T) {
	for seed := int64(1); seed <= *stormy; seed++ {
		copied := time.Duration(10+seed%7*10) * time.Second
		lost := copied + time.Duration(seed%5*15)*time.Second
		back := lost + time.Duration(5+seed%3*15)*time.Second
		o := Options{Seed: seed, Nodes: []int{6, 3, 3}[seed%3], Storm: 4 * time.Minute, Calm: 45 * time.Minute,
			Recovery: &Recovery{Copied: copied, Lost: lost, Back: back, Acknowledged: back + time.Duration(seed%2*40)*time.Second}}
		if r := play(t, o); r.Violation != "" {
			t.Errorf("seed %d, %+v: %s", seed, *o.Recovery, r.Violation)
		}
	}
}

func TestARecoveryIsOverBeforeTheStorm(t *testing.T) {
	o := crashOptions("", nil)
	for _, r := range []Recovery{{Copied: 2, Lost: 1, Back: 3, Acknowledged: 4}, {Lost: 1, Back: 1, Acknowledged: 4}, {Back: 3, Acknowledged: 2}, {Back: 1, Acknowledged: o.Storm}} {
		o.Recovery = &r
		if _, err := Run(o); err == nil || !strings.Contains(err.Error(), "before the storm") {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
