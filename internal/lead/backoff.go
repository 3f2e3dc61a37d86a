// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"fmt"
	"time"

	"supervisor/cluster"
)

// The pauses after commits in a row that were not written.
const (
	failedMax  = 4 // in a row, without a pause
	pauseFirst = 100 * time.Millisecond
	pauseMax   = 5 * time.Second
)

// backOff spaces decisions when reading anew does not help: a key that this
// program cannot read, of a later version perhaps, never compares as it should,
// and the store must not be read whole again and again for it. What the network
// does costs no pause.
func (s *State) backOff(failed bool, err error, now cluster.Moment) {
	if !failed {
		s.failed, s.until = 0, 0
		return
	}
	s.failed++
	s.reason = "what stands there is not what was read"
	if err != nil {
		s.reason = err.Error()
	}
	if more := s.failed - failedMax; more > 0 {
		s.until = now.Add(min(pauseMax, pauseFirst<<min(more, 8)))
	}
}

// unwrittenFor is how long after its pause a failure is told: until then the next
// decision was tried, if there is one.
const unwrittenFor = 10 * time.Second

// unwritten tells why a leader's decisions do not get written, though the whole
// store could be read after each of them; empty: nothing says so.
func (s *State) unwritten(now cluster.Moment) string {
	if s.failed <= failedMax || now > s.until.Add(unwrittenFor) {
		return ""
	}
	return fmt.Sprintf("%d transactions of the leader in a row failed, the last: %s", s.failed, s.reason)
}
