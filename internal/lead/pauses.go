// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
)

// paused is since when this agent knows a pause, and for how long it was to
// stand then.
type paused struct {
	since cluster.Moment
	left  time.Duration
}

// notePauses keeps, on this agent's own clock, how long each pause has to stand
// yet: a wall clock that jumps ahead ends none.
func (s *State) notePauses(now cluster.Moment, wall time.Time) {
	stand := s.Picture.Holds.Value.Pauses
	for p := range s.pauses { // order: each for itself
		if !slices.Contains(stand, p) {
			delete(s.pauses, p)
		}
	}
	for _, p := range stand {
		if _, known := s.pauses[p]; !known {
			s.pauses[p] = paused{now, p.Until.Sub(wall)}
		}
	}
}

// holds are what people asked to leave alone. A pause that is over by the wall
// clock alone still stands, for as long as the own clock says, and is early.
func (s *State) holds(now cluster.Moment, wall time.Time) (h incident.Holds, early bool) {
	h = s.Picture.Holds.Value
	h.Pauses = slices.Clone(h.Pauses)
	for i, p := range h.Pauses {
		seen, known := s.pauses[p]
		if left := seen.left - now.Sub(seen.since); known && left > 0 && !wall.Before(p.Until) {
			h.Pauses[i].Until, early = wall.Add(left), true
		}
	}
	return h, early
}
