// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"slices"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/membership"
)

// Coordinators keep hints for a node from when their own gossip lost it, which
// may be before it is silent for those who judge: its gossip can end alone. Hints
// are then over that much sooner.

// Downs takes the nodes that this host's Cassandra believes down now. While it
// cannot be asked, what it said last stays.
func (s *State) Downs(down []cluster.Name, now cluster.Moment) {
	for n := range s.downs { // order: each node for itself
		if !slices.Contains(down, n) {
			delete(s.downs, n)
		}
	}
	for _, n := range down {
		if _, known := s.downs[n]; !known {
			s.downs[n] = now
		}
	}
}

// unhinted is the earlier of a moment and of when this host's Cassandra began to
// believe a node down, without a break until now.
func (s *State) unhinted(n cluster.Name, m cluster.Moment) cluster.Moment {
	if down, is := s.downs[n]; is {
		return min(m, down)
	}
	return m
}

// beginning is when the silence of a verdict began; zero when nobody who is heard
// saw the node alive before: all agents may have been started within it. Where
// its clients alone are shut out it takes writes, and agents often begin before
// their Cassandras do; but a store that forgot may have known of more.
func (s *State) beginning(v membership.Verdict) cluster.Moment {
	forgotten := s.forgot || !s.Picture.Trusted()
	if v.LastAlive == 0 && (forgotten || incident.Silent(v)) {
		return 0
	}
	return s.unhinted(v.Node, v.Since)
}

// silenceOf is a verdict as a silence that began when hints did.
func (s *State) silenceOf(v membership.Verdict) silence {
	v.Since = s.unhinted(v.Node, v.Since)
	v.LastAlive = min(v.LastAlive, v.Since)
	return silence{Verdict: v}
}
