// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"time"

	"supervisor/cluster"
)

// noteJoined keeps since when each process behind a fence is seen in the ring.
func (s *State) noteJoined(now cluster.Moment, wall time.Time) {
	if len(s.Picture.Fences) == 0 {
		s.joined = nil
		return
	}
	w := s.World("", now, wall)
	s.joined = w.NowJoined(s.joined)
}
