// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"time"
)

// firstGuess is what a half is taken to last of which none was played yet.
const firstGuess = 90 * time.Second

// Left is how long these halves will take: as long as such ones took until now, in
// the mean, or else as all did.
func Left(due []Slot, halves []Half) time.Duration {
	type kind struct {
		fault Fault
		with  bool
	}
	sum, n := map[kind]time.Duration{}, map[kind]int{}
	var all time.Duration
	for _, h := range halves {
		took := time.Duration(h.TookMS) * time.Millisecond
		sum[kind{h.Fault, h.With}] += took
		n[kind{h.Fault, h.With}]++
		all += took
	}
	guess := firstGuess
	if len(halves) > 0 {
		guess = all / time.Duration(len(halves))
	}
	var left time.Duration
	for _, s := range due {
		k := kind{s.Fault, s.With}
		if n[k] > 0 {
			left += sum[k] / time.Duration(n[k])
			continue
		}
		left += guess
	}
	return left
}

// about is a time to go as people read it.
func about(d time.Duration) string {
	if d < time.Hour {
		return fmt.Sprintf("about %d min", int(d.Round(time.Minute)/time.Minute))
	}
	return fmt.Sprintf("about %d h %02d min", int(d/time.Hour), int(d%time.Hour/time.Minute))
}
