// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/membership"
)

// Bars are the judge's bounds by the policy. An announced stop is believed no
// longer than the others keep hints for it, of which hints is the shortest that
// is known (zero: none): after that it has missed writes as a crash has.
func (s *State) Bars(hints time.Duration) membership.Bars {
	b := s.Picture.Policy.Value.Bars()
	if hints > 0 {
		b.PlannedMax = min(b.PlannedMax, hints)
	}
	return b
}

// Hints is the shortest time for which any agent said its Cassandra keeps
// hints, own included; zero when nobody said.
func (s *State) Hints(own *incident.CassandraFacts) time.Duration {
	window := incident.HintWindow(s.Picture.Agents)
	if own != nil && own.HintWindow > 0 && (window == 0 || own.HintWindow < window) {
		window = own.HintWindow
	}
	return window
}

// The bounds of an agent that does not keep up.
const (
	// StallAfter is how late a tick may come before this agent abstains, and
	// StallFor how long it does: what it saw meanwhile may be its own fault.
	StallAfter = time.Second
	StallFor   = 30 * time.Second
	// deafAfter is how long a leader may hear fewer than half of the observers.
	deafAfter = 5 * time.Second
)

// Late takes a tick that was due then and comes now. When it comes too late
// the agent abstains for a while, and a leader has to resign.
func (s *State) Late(due, now cluster.Moment) bool {
	if now.Sub(due) <= StallAfter {
		return false
	}
	s.stalled = now.Add(StallFor)
	return true
}

// Stalled tells whether this agent ran so late lately that it abstains.
func (s *State) Stalled(now cluster.Moment) bool { return now < s.stalled }

// Deaf tells whether this leader has heard fewer than half of the observers for
// so long that it has to resign: somebody else may hear them.
func (s *State) Deaf(now cluster.Moment) bool {
	heard, of := s.view.Hearing()
	if !s.Leading() || heard*2 >= of || now.Sub(s.view.Began) < deafAfter {
		s.deaf = 0
		return false
	}
	if s.deaf == 0 {
		s.deaf = now
	}
	if now.Sub(s.deaf) < deafAfter {
		return false
	}
	s.deaf = 0
	return true
}
