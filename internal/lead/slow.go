// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/membership"
)

// openSlow begins an incident about a node that is slow, when nothing else is to be
// begun in its datacenter. A silence of it that nobody has written down yet comes
// first: it may lack writes of that.
func (s *State) openSlow(dc cluster.Datacenter, now cluster.Moment, wall time.Time) (Commit, bool) {
	if !s.anySlow() {
		return Commit{}, false
	}
	v, is := incident.WorthSlow(s.base(dc, now, wall), dc)
	_, open := s.Picture.Opens[v.Node]
	_, silent := s.silent[v.Node]
	if !is || open || silent || s.broken[v.Node] {
		return Commit{}, false
	}
	return s.begin(dc, opening{v, v.Since}, now, wall)
}

func (s *State) anySlow() bool {
	for _, v := range s.view.Verdicts { // order: only whether there is one
		if v.Cause == membership.Slow {
			return true
		}
	}
	return false
}
