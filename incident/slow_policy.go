// SPDX-License-Identifier: Apache-2.0

package incident

import "time"

// SlowBars bound the answer to a node that answers, and slower than its peers.
type SlowBars struct {
	Act           bool          `json:"act" yaml:"act"`                       // false: it is only said
	DrainAfter    time.Duration `json:"drain_after" yaml:"drain_after"`       // slow on at its lower weight
	SeverityAfter time.Duration `json:"severity_after" yaml:"severity_after"` // slow on since it is drained
	OverAfter     time.Duration `json:"over_after" yaml:"over_after"`         // not slow for so long, before it is given back
	QuietFor      time.Duration `json:"quiet_for" yaml:"quiet_for"`           // the same, of one that comes and goes
	AskAfter      time.Duration `json:"ask_after" yaml:"ask_after"`           // then a person is asked
}

// SlowOverLeast is the least that SlowBars.OverAfter may be: a judge that began a
// moment ago calls nobody slow, and that is no sign that a node is not.
const SlowOverLeast = 20 * time.Second

func usualSlow() SlowBars {
	return SlowBars{Act: true, DrainAfter: 5 * time.Second, SeverityAfter: 10 * time.Second, OverAfter: 30 * time.Second,
		QuietFor: 5 * time.Minute, AskAfter: 15 * time.Minute}
}

// slow are the bounds. A policy of an earlier program says nothing about slow nodes, and
// nobody agreed to anything: they are told, and nothing is done. So it is without a policy.
func (p *Policy) slow() SlowBars {
	if p == nil || p.Slow == (SlowBars{}) {
		bars := usualSlow()
		bars.Act = false
		return bars
	}
	return p.Slow
}
