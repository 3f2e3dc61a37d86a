// SPDX-License-Identifier: Apache-2.0

package kills

import (
	"syscall"
	"testing"
)

func TestNineStopsMeetEverySeatWithEveryWaking(t *testing.T) {
	met := map[Deed]bool{}
	for n := 1; n <= 9; n++ {
		met[DeedAt(n, true)] = true
	}
	if len(met) != 9 {
		t.Errorf("%d of 9: %v", len(met), met)
	}
}

// One that was killed has nothing to wake up to.
func TestTheKilledAreStartedAtOnce(t *testing.T) {
	seats := map[Seat]bool{}
	for n := 1; n <= 3; n++ {
		d := DeedAt(n, false)
		if d.Signal != syscall.SIGKILL || d.Back != AtOnce || d.Stops() || d.done() != "killed" {
			t.Errorf("point %d: %+v", n, d)
		}
		seats[d.Seat] = true
	}
	if len(seats) != 3 {
		t.Errorf("%v, want every place of the store's leader", seats)
	}
}
