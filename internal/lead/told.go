// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/membership"
)

// What this agent saw, and nobody could write down, it tells whoever leads later:
// that one may have begun since.

// Missed are the silences that this agent saw and would open an incident of if it
// led, by node. Each is told alike as long as it is told, or the agent's key would
// never rest.
func (s *State) Missed(now cluster.Moment, wall time.Time) []incident.Silence {
	var missed []incident.Silence
	for n, noted := range s.silent { // order: sorted below
		_, open := s.Picture.Opens[n]
		if open || !noted.over {
			continue
		}
		told := incident.Silence{Node: n, Cause: noted.Cause}
		if noted.LastAlive != 0 {
			told.Last = wall.Add(-now.Sub(noted.LastAlive)).UTC().Truncate(time.Second)
		}
		if before, is := s.told[n]; is {
			told = before
		}
		missed = append(missed, told)
	}
	slices.SortFunc(missed, func(a, b incident.Silence) int { return cmp.Compare(a.Node, b.Node) })
	s.told = make(map[cluster.Name]incident.Silence, len(missed))
	for _, m := range missed {
		s.told[m.Node] = m
	}
	return missed
}

// Lapsed are the nodes whose return this agent would take back if it led.
func (s *State) Lapsed() []cluster.Name { return slices.Sorted(maps.Keys(s.lapsed)) }

// word is what one agent says of one node's silence.
type word struct {
	by, of cluster.Name
	lapse  bool // in a return
}

// heed notes which words of others were followed: an incident is open, the return
// was taken back. Whoever says so may hear of it late, and must not have it done
// again; when it is silent about the node its next word counts.
func (s *State) heed() {
	heeded := map[word]bool{}
	note := func(w word, done bool) {
		if done || s.heeded[w] {
			heeded[w] = true
		}
	}
	for by, a := range s.Picture.Agents { // order: each for itself
		for _, m := range a.Missed {
			_, open := s.Picture.Opens[m.Node]
			note(word{by, m.Node, false}, open)
		}
		for _, n := range a.Lapsed {
			note(word{by, n, true}, !incident.SilenceSpoils(s.Picture.returning(n)))
		}
	}
	s.heeded = heeded
}

// returning is the open record of a node; an empty one spoils nothing.
func (p *Picture) returning(n cluster.Name) incident.Record {
	return p.Records[p.Opens[n].Value].Value
}

// toldOf is the longest silence of a node that answers of which others speak. How
// long it was is known by their wall time alone.
func (s *State) toldOf(n cluster.Name) (told incident.Silence, is bool) {
	if s.view.Verdicts[n].Answer != membership.Alive {
		return told, false
	}
	for _, by := range slices.Sorted(maps.Keys(s.Picture.Agents)) {
		for _, m := range s.Picture.Agents[by].Missed {
			if m.Node == n && !s.heeded[word{by, n, false}] && (!is || m.Last.Before(told.Last)) {
				told, is = m, true
			}
		}
	}
	return told, is
}

// toldVerdict is the verdict that opens an incident about a silence that only
// others saw.
func (s *State) toldVerdict(told incident.Silence, now cluster.Moment, wall time.Time) membership.Verdict {
	v := s.view.Verdicts[told.Node]
	v.Cause, v.Since, v.LastAlive = told.Cause, now, 0
	if !told.Last.IsZero() {
		v.LastAlive = now.Add(-max(0, wall.Sub(told.Last)))
		v.Since = v.LastAlive
	}
	return v
}

// lapses are the nodes whose return is to be taken back, by this agent's word or
// by another's.
func (s *State) lapses() map[cluster.Name]bool {
	lapsed := maps.Clone(s.lapsed)
	for by, a := range s.Picture.Agents { // order: each for itself
		for _, n := range a.Lapsed {
			if !s.heeded[word{by, n, true}] {
				lapsed[n] = true
			}
		}
	}
	return lapsed
}
