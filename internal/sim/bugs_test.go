// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"strings"
	"testing"
)

// Each planted bug must be seen by the checker that is there for it; a check
// that sees nothing is no check.
func TestPlantedBugsAreSeen(t *testing.T) {
	rows := []struct {
		bug  string
		bugs Bugs
		seen []string // any of these invariants
	}{
		{"agents report DOWN whatever they see", Bugs{BelieveDown: true}, []string{"hibernation-is-down"}},
		{"marks do not survive a crash", Bugs{ForgetMarks: true}, []string{"intent-once"}},
		{"repairs say done and do nothing", Bugs{FakeRepair: true}, []string{"no-stale-read"}},
		{"the gate hibernates nobody", Bugs{PlainGate: true}, []string{"no-stale-read", "cold-start"}},
		{"the store compares nothing", Bugs{NoCompare: true}, []string{"intent-first", "one-open-incident", "journal", "closed-is-quiet", "intent-once"}},
		{"leaders leave a member out of a pool", Bugs{HalfPools: true}, []string{"pool-floor"}},
		{"leaders lose the ledger", Bugs{KeepLedger: true}, []string{"closed-is-quiet", "journal", "one-open-incident"}},
		{"executors act without a claim", Bugs{NoClaim: true}, []string{"intent-first", "intent-once"}},
		{"residency lets every region in", Bugs{Abroad: true}, []string{"no-border-crossing"}},
	}
	const most = 12
	for _, r := range rows {
		t.Run(r.bug, func(t *testing.T) {
			for s := int64(1); s <= most; s++ {
				o := options(s)
				o.Bugs = r.bugs
				got := Run(o).Violation
				name, _, _ := strings.Cut(got, " ")
				for _, want := range r.seen {
					if name == want {
						t.Logf("seed %d: %s", s, got)
						return
					}
				}
				if got != "" {
					t.Logf("seed %d, another one: %s", s, got)
				}
			}
			t.Errorf("%d seeds and none of %v", most, r.seen)
		})
	}
}

// One seed is one trace.
func TestASeedIsATrace(t *testing.T) {
	for s := range int64(4) {
		if a, b := Run(options(s+1)), Run(options(s+1)); a != b {
			t.Errorf("seed %d: %+v and then %+v", s+1, a, b)
		}
	}
}
