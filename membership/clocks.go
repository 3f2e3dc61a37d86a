// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"slices"
	"time"
)

// Clock is how far the wall clock of another host was seen ahead of this one's; it
// may be Error more or less.
type Clock struct{ Ahead, Error time.Duration }

// Drift is how this host's wall clock stands against those of others.
type Drift struct {
	Ahead time.Duration // of this host's clock; negative: it is behind
	Error time.Duration // of the least sure of those that count
	Count int           // hosts that it surely differs from, all in one direction
	Of    int           // hosts that were seen
}

// ClocksMin is from how many hosts on the word of others counts: of two clocks
// that differ nobody knows which is wrong.
const ClocksMin = 2

// Drifts compares this host's clock with others. Only when it surely differs from
// more than half of them, all in one direction, is it this one that is wrong: a host
// whose clock is right sees that of one host differ, and not of most.
func Drifts(others []Clock, bound time.Duration) (Drift, bool) {
	if len(others) < ClocksMin {
		return Drift{}, false
	}
	for _, sign := range []time.Duration{1, -1} {
		var ahead []time.Duration
		var off time.Duration
		for _, s := range others {
			if mine := -sign * s.Ahead; mine-s.Error > bound {
				ahead = append(ahead, mine)
				off = max(off, s.Error)
			}
		}
		if 2*len(ahead) > len(others) {
			slices.Sort(ahead)
			return Drift{Ahead: sign * ahead[(len(ahead)-1)/2], Error: off, Count: len(ahead), Of: len(others)}, true
		}
	}
	return Drift{}, false
}
