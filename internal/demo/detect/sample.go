// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"math"
	"slices"
)

// Sample are the times of one thing over several faults. What did not happen before
// the fault was ended counts as later than all that did: leaving it out would make
// who never notices look fast.
type Sample struct {
	ms    []int64 // of those that happened, sorted
	never int
}

// Add takes one time; null is never.
func (s *Sample) Add(ms *int64) {
	if ms == nil {
		s.never++
		return
	}
	i, _ := slices.BinarySearch(s.ms, *ms)
	s.ms = slices.Insert(s.ms, i, *ms)
}

// N is how many faults it is over.
func (s Sample) N() int { return len(s.ms) + s.never }

// Median is the middle one, of an even number the mean of both; false where that
// did not happen.
func (s Sample) Median() (int64, bool) {
	n := s.N()
	if n == 0 || n/2 >= len(s.ms) {
		return 0, false
	}
	return (s.ms[(n-1)/2] + s.ms[n/2]) / 2, true
}

// P99 is the smallest time that 99 of 100 are not above; of fewer than a hundred the
// worst. False where that did not happen.
func (s Sample) P99() (int64, bool) {
	n := s.N()
	i := int(math.Ceil(0.99*float64(n))) - 1
	if n == 0 || i >= len(s.ms) {
		return 0, false
	}
	return s.ms[i], true
}

// words are a time as people read it; what did not happen is as late as it was
// looked for.
func words(ms int64, happened bool) string {
	switch {
	case !happened:
		return notWithin()
	case ms < 10_000:
		return fmt.Sprintf("%.2f s", float64(ms)/1000)
	}
	return fmt.Sprintf("%.1f s", float64(ms)/1000)
}

func notWithin() string { return fmt.Sprintf("not within %.0f s", lookMax.Seconds()) }
