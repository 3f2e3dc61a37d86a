// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"time"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/membership"
)

const (
	// waitingFor is how many tasks wait for each thread of a pool that does not keep up.
	waitingFor = 2
	// collectingShare is the share of the time between two readings that garbage
	// collections may take until it is much.
	collectingShare = 0.1
)

// inside watches what may make this node slow, by one reading after the other.
type inside struct {
	process cluster.Boot
	at      cluster.Moment
	said    *cassandra.Vitals // the last reading of this process
}

// take tells what stands out in a reading. What counts from the beginning of the
// process is held against the reading before.
func (i *inside) take(v vitals) (stands membership.Inside) {
	if v.process != i.process {
		*i = inside{process: v.process}
	}
	if v.said == nil {
		return 0
	}
	for _, p := range v.said.Pools {
		if bit, known := waits[p.Name]; known && p.Threads > 0 && p.Pending > waitingFor*p.Threads {
			stands |= bit
		}
	}
	if before := i.said; before != nil {
		if collected(before, v.said) > time.Duration(collectingShare*float64(v.at.Sub(i.at))) {
			stands |= membership.Collecting
		}
		if before.Dropped >= 0 && v.said.Dropped > before.Dropped {
			stands |= membership.Dropped
		}
	}
	i.at, i.said = v.at, v.said
	return stands
}

// collected is what collections took between two readings; 0: not known.
func collected(before, now *cassandra.Vitals) time.Duration {
	if before.Collecting < 0 || now.Collecting < 0 {
		return 0
	}
	return now.Collecting - before.Collecting
}

var waits = map[string]membership.Inside{"ReadStage": membership.ReadsWait, "MutationStage": membership.WritesWait,
	"Native-Transport-Requests": membership.ClientsWait}

// sayInside puts beside the word about the own process what stands out in it.
func (d *desk) sayInside() {
	for i, l := range d.looks {
		if l.Subject == d.a.o.Self && l.Path == membership.Process && l.Outcome == membership.Good {
			d.looks[i].Inside = d.inside
		}
	}
}
