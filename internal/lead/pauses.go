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
			s.pauses[p] = paused{now, min(p.Until.Sub(wall), p.Until.Sub(p.From))}
		}
	}
}

// holds are what people asked to leave alone, as this leader obeys it: a pause
// that is over by the wall clock alone ends when the own clock says so.
func (s *State) holds(now cluster.Moment, wall time.Time) incident.Holds {
	h := s.Picture.Holds.Value
	h.Pauses = slices.Clone(h.Pauses)
	for i, p := range h.Pauses {
		seen, known := s.pauses[p]
		if left := seen.left - now.Sub(seen.since); known && left > 0 && !wall.Before(p.Until) {
			h.Pauses[i].Until = wall.Add(left)
		}
	}
	return h
}

// asWritten are such holds as they may be written: a later end is this leader's
// doubt of its wall clock, and nobody's word.
func (s *State) asWritten(h incident.Holds) incident.Holds {
	h.Pauses = slices.Clone(h.Pauses)
	for i, p := range h.Pauses {
		was := slices.IndexFunc(s.Picture.Holds.Value.Pauses, func(each incident.Pause) bool {
			return each.Datacenter == p.Datacenter && each.From.Equal(p.From)
		})
		if was >= 0 {
			h.Pauses[i] = s.Picture.Holds.Value.Pauses[was]
		}
	}
	return h
}
