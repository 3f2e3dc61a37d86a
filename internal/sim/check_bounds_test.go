// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"supervisor/incident"
)

// A budget of two lets two nodes of one rack return at once, and of two racks one
// after the other.
func TestTwoRacksAreNeverChangedAtOnce(t *testing.T) {
	rows := []struct {
		why      string
		fellow   int // of n4, in rack r1
		together bool
	}{
		{"n1 stands in the same rack", 0, true},
		{"n5 stands in another", 4, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			o := small(1, 3*time.Minute, hit(second, "kill-anyway", 3), hit(second, "kill-anyway", r.fellow))
			policed(&o, func(p *incident.Policy) { p.Budgets.NodesPerDatacenter = 2 })
			o.Truths = []Truth{changedAtMost(1)}
			got := play(t, o)
			if got.Violation != "" || (got.Untrue != "") != r.together {
				t.Errorf("%s; %q", got.Violation, got.Untrue)
			}
		})
	}
}
