// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

const (
	// paceLooks and paceFor are how many looks tell what answers typically take, and
	// how old these may be: a pause of one second is two of ten.
	paceLooks = 10
	paceFor   = 5500 * time.Millisecond
	// paceLeast is how many of them must have been answered. A path that loses
	// packets tells nothing of the node behind it.
	paceLeast = 6
	// paceUnit is how finely that is told: what is below says nothing of a node, and
	// would be news each second to a recording.
	paceUnit = 100 * time.Microsecond
)

// pace is the last looks at one node, with what they took.
type pace struct {
	looks [paceLooks]timed
	next  int
}

type timed struct {
	at       cluster.Moment
	took     time.Duration
	answered bool
}

// note keeps what a look took. One that was not answered took as long as it was waited
// for. What refuses, or answers nonsense, is another process next time.
func (p *pace) note(o membership.Outcome, took time.Duration, at cluster.Moment) {
	switch o {
	case membership.Good, membership.Late, membership.Silent:
		p.looks[p.next] = timed{at: at, took: took, answered: o != membership.Silent}
		p.next = (p.next + 1) % paceLooks
	case membership.NoWord: // our own trouble
	default:
		*p = pace{}
	}
}

// typical is the median of what the looks took, the shorter of two; 0 when too few
// were answered lately. It takes no memory of its own: all is asked for each second.
func (p *pace) typical(now cluster.Moment) time.Duration {
	var spans [paceLooks]time.Duration
	n, answered := 0, 0
	for _, l := range p.looks {
		if l.at == 0 || now.Sub(l.at) > paceFor {
			continue
		}
		spans[n] = l.took
		n++
		if l.answered {
			answered++
		}
	}
	if answered < paceLeast {
		return 0
	}
	slices.Sort(spans[:n])
	return max(paceUnit, spans[(n-1)/2].Round(paceUnit))
}
