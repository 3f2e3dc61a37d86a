// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"testing"
	"testing/synctest"
	"time"
)

// An agent that comes into a pool exchanges all with one or two of it and not with
// everybody: in a large pool whose agents are restarted that is a flood.
func TestWhoJoinsAsksFew(t *testing.T) {
	key := keyFile(t)
	synctest.Test(t, func(t *testing.T) {
		const size = 33
		r := &run{seed: 1, size: size, dice: dice(1)}
		r.w = newWorld(1, size, key)
		for n := range size {
			r.w.start(n, "first")
			time.Sleep(50 * time.Millisecond)
		}
		if !until(10*time.Second, r.met) {
			t.Error("not all are members everywhere after 10 s")
		}
		dials := 0
		r.w.locked(func() { dials = r.w.dials })
		if dials > 4*size {
			t.Errorf("%d exchanges until %d agents know each other, at most 4 for each", dials, size)
		}
		for n := range size {
			r.w.stop(n, false)
		}
		r.w.all.Wait()
		time.Sleep(leftovers)
	})
}
