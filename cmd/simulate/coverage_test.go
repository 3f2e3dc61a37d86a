// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"supervisor/internal/sim"
)

// What never happened counts as too seldom, and is named first.
func TestCoverageCountsWhatNeverHappened(t *testing.T) {
	c := coverage{[]string{"often", "never", "once", "just"}, map[string]int{"often": 11, "just": 10, "once": 1, "gone": 99}, 10}
	if got, want := c.String(), "3 struck, 2 of them 10 times and more, which a long run wants of all; the rarest: never 0, once 1, just 10, often 11"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The ledger gets what the run says, out of all that exists.
func TestLedgerSaysOutOfHowMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("| a row |\n<!-- rows -->\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := sum{Seeds: 3, Played: 90 * time.Minute, Struck: map[string]int{}, Pairs: map[string]int{sim.Pairs()[0]: pairsWanted}}
	for _, f := range sim.Faults()[1:] {
		s.Struck[f] = faultsWanted
	}
	if err := s.enter(request{ledger: path, commit: "abc", from: 1}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	faults, pairs := len(sim.Faults()), len(sim.Pairs())
	row := fmt.Sprintf("| abc | %d:1 | 3 | 2 | 0 | 0 | %d of %d | 1 of %d | 0 |\n", sim.Edition, faults-1, faults, pairs)
	if want := "| a row |\n" + row + "<!-- rows -->\nafter\n"; string(text) != want {
		t.Errorf("got  %q\nwant %q", text, want)
	}
}
