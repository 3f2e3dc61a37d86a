// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"maps"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// ago is a moment so long before now.
func (s *stage) ago(text string) cluster.Moment {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.w.Now.Add(-d)
}

// slowly makes a verdict that of a node which so many observers have found slow for
// six seconds now; none: it is not.
func (s *stage) slowly(v *membership.Verdict, says string) {
	v.Slow = membership.Slowness{}
	if says == "" {
		return
	}
	v.Cause, v.Slow = membership.Slow, membership.Slowness{Since: s.w.Now.Add(-6 * time.Second), For: 6 * time.Second, Of: v.Of,
		Says:    slices.Sorted(maps.Keys(s.w.Hosts))[:s.number(says)],
		Typical: 40 * time.Millisecond, Peers: 2 * time.Millisecond, Inside: []string{"a disk write takes 300ms"}}
}

// slowStep is where the answer to a slow node stands.
func slowStep(r Record) string {
	if !r.OfSlowness() || r.Phase == Suspected {
		return ""
	}
	return "/" + r.Slow.Step.String()
}
