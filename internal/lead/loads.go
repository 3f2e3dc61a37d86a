// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"maps"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
)

// given are the hosts that batches on their way to the store work with, by datacenter,
// each with the node that it is for.
type given map[cluster.Datacenter]map[cluster.Name]cluster.Name

// noteLoads keeps since when each word about a load is there, from the moment at
// which it was read.
func (s *State) noteLoads(in Input, now cluster.Moment, wall time.Time) {
	switch in.(type) {
	case Changed, Abroad, Won:
		w := s.World("", now, wall)
		s.loads = w.NowLoaded(s.loads)
	}
}

// worksWith are the hosts that the orders of a commit compare.
func worksWith(c Commit) map[cluster.Name]cluster.Name {
	hosts := map[cluster.Name]cluster.Name{}
	for _, e := range c.Decision.Effects {
		e.WorksWith(hosts)
	}
	return hosts
}

// givenOut are those of other datacenters' commits: their transactions exclude
// nothing of this one's.
func (s *State) givenOut(dc cluster.Datacenter) map[cluster.Name]cluster.Name {
	if len(s.given) == 0 {
		return nil
	}
	all := map[cluster.Name]cluster.Name{}
	for _, other := range slices.Sorted(maps.Keys(s.given)) {
		if other != dc {
			maps.Copy(all, s.given[other])
		}
	}
	return all
}

// lookAhead is how many segments before its batch a host begins to tell its load.
const lookAhead = 2 * 16

// AsksLoad tells whether a host is to tell its load: it is among those that the next
// segments of a repair work with, here or in a region whose incidents are read; far is
// set where a fence alone tells that somebody in another region is being repaired.
func (s *State) AsksLoad(n cluster.Name) (asks, far bool) {
	policy := s.Picture.Policy.Value
	if policy == nil || !policy.Repair.HeedLoad {
		return false, false
	}
	open := s.Picture.OpenRecords()
	for i := range open {
		if open[i].AsksLoad(n, lookAhead, policy) {
			return true, false
		}
	}
	for _, r := range s.Elsewhere() {
		p := s.abroad[r].picture
		for _, f := range p.Fences { // order: whether there is one
			far = far || f.Value.Returns()
		}
		open := p.OpenRecords()
		for i := range open {
			if open[i].AsksLoad(n, lookAhead, policy) {
				return true, false
			}
		}
	}
	return far, far
}

// LoadOf is the last word of an agent about its load, and how old that is here.
func (s *State) LoadOf(n cluster.Name, now cluster.Moment) (l incident.Loaded, age time.Duration, told bool) {
	l, told = s.loads[n]
	return l, now.Sub(l.Since), told
}
