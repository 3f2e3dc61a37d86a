// SPDX-License-Identifier: Apache-2.0

//go:build cassandra

package cassandra

import (
	"slices"
	"testing"
	"time"
)

// Every part that an audit counts on is told by a release that is believed to.
func TestRealHoldings(t *testing.T) {
	for _, n := range realNodes(t) {
		h, err := adminOf(t, n).Holdings(within(t, 10*time.Second), []string{"system_auth"})
		if err != nil {
			t.Fatal(err)
		}
		if h.Stored == nil || h.Written == nil || h.Snapshots == nil || h.HintsFor == nil || h.Traced == nil || h.Batched == nil {
			t.Errorf("%s: a part is not told: %+v", n.Name, h)
		}
		s := sessionOf(t, n, One)
		if _, err := s.CDCTables(within(t, 10*time.Second)); err != nil {
			t.Errorf("%s: %v", n.Name, err)
		}
		connected, err := s.ConnectedTo(within(t, 10*time.Second))
		if err != nil || slices.Contains(connected, "") {
			t.Errorf("%s: clients of %q, %v", n.Name, connected, err)
		}
	}
}
