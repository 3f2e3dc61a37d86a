// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"testing"
	"testing/synctest"
	"time"
)

// Whoever asked others for a look at a lost host, and hears from them that they do
// not reach it either, is well and goes on voting.
func TestLostHostMakesNobodyUnwell(t *testing.T) {
	key := keyFile(t)
	for _, size := range []int{3, 9} {
		synctest.Test(t, func(t *testing.T) {
			r := &run{seed: 1, size: size, dice: dice(1)}
			r.w = newWorld(1, size, key)
			for n := range size {
				r.w.start(n, "first")
			}
			if !until(startMax, r.quiet) {
				t.Fatalf("%d agents: not all well", size)
			}
			lost := size - 1
			r.w.stop(lost, false)
			r.w.locked(func() { r.w.network.hosts[lost].down, r.w.nodes[lost].cassandra, r.w.count.crashed = true, ended, lost })
			if took(10*time.Second, r.abstained) >= 0 {
				t.Errorf("%d agents: one takes itself for unwell because another host was lost", size)
			}
			for n := range size {
				r.w.stop(n, false)
			}
			r.w.all.Wait()
			time.Sleep(leftovers)
		})
	}
}
