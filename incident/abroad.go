// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"supervisor/cluster"
	"supervisor/isolate"
)

// Nobody here judges a ring member of another region. It is known by three words:
// those of its own region's store, while that answers; those of its own agent
// there; and those of the Cassandras here about it. They may keep something here
// from being done, and never begin anything.

// Sights is what an agent tells those who decide about the ring members that are on
// no roster of its own region, and other regions about its Cassandra. It is there
// only while the agent knows: its Cassandra was asked a moment ago, or does not run.
type Sights struct {
	Runs bool `json:"runs,omitempty"` // its Cassandra does
	// Down are the storage addresses of those that it believes down.
	Down []string `json:"down,omitempty"`
}

// Foreign is what is known of a ring member that is not on this region's roster.
type Foreign struct {
	Region cluster.Region // empty: it is on no other region's roster either
	Told   bool           // its region's store answers: what is said there is said now
	Heard  bool           // and so is its agent
	// Agent is the last word of its agent, which may be an old one if it is not heard.
	Agent  Agent
	Fenced bool // a fence with any level stands there, by the last word
	Lapsed bool // its return is to be taken back, by the word of an agent there
	// Record is its open incident there, by the last word; nil: none.
	Record *Record
	// Up is true while no Cassandra here that was asked believes it down. Lost is true
	// when all here have believed it down for so long that it has given up each of
	// them as well: nothing passes between it and this region.
	Up, Lost bool
}

// LostAfter is how long all Cassandras of a region must have believed a ring member
// down before it counts as out of their reach. It began to miss them when they
// began to miss it, if it lives, and may be slower to say so.
const LostAfter = convictedMax

// serves tells whether clients there get answers from it: by its own agent's word,
// and none here misses it.
func (f Foreign) serves() bool { return f.Up && f.inOrder() }

// inOrder tells whether its own agent says that it serves, whoever reaches it.
func (f Foreign) inOrder() bool {
	c, s := f.Agent.Cassandra, f.Agent.Sights
	return f.Heard && !f.Fenced && s != nil && s.Runs && c != nil && c.Mode == normalMode
}

// gone tells whether its own region has an incident open that says so, and nothing
// passes between it and this region.
func (f Foreign) gone() bool {
	return f.Told && f.Lost && f.Record != nil && costsWrites(f.Record.Cause)
}

// lacks tells whether it may lack writes, by its own region's word.
func (f Foreign) lacks(w *World, n cluster.Name) bool {
	return f.Agent.Unrepaired || f.Lapsed || f.Record != nil && f.Record.lacks(w.verdict(n))
}

// agent is the present word of an agent, of whichever region.
func (w *World) agent(n cluster.Name) (Agent, bool) {
	if f, is := w.Abroad[n]; is {
		if !f.Heard {
			return Agent{}, false
		}
		return f.Agent, true
	}
	a, there := w.Agents[n]
	return a, there
}

// facts are what an agent says of its Cassandra's make-up; nil: nobody says.
func (w *World) facts(n cluster.Name) *CassandraFacts {
	if a, there := w.agent(n); there {
		return a.Cassandra
	}
	return nil
}

// sightings are the present words of all agents about a node.
func (w *World) sightings(n cluster.Name) map[cluster.Name]isolate.Seen {
	seen := w.Seen[n]
	gone := func(by cluster.Name, _ isolate.Seen) bool { _, there := w.Agents[by]; return !there }
	for by, s := range w.Seen[n] { // order: whether there is one that went
		if gone(by, s) {
			seen = maps.Clone(seen)
			maps.DeleteFunc(seen, gone)
			break
		}
	}
	if len(w.SeenAbroad[n]) == 0 {
		return seen
	}
	if seen = maps.Clone(seen); seen == nil {
		seen = map[cluster.Name]isolate.Seen{}
	}
	for by, s := range w.SeenAbroad[n] { // order: into a map
		if w.Abroad[by].Heard {
			seen[by] = s
		}
	}
	return seen
}

// saysUp tells whether an agent of another region says that its Cassandra sees a
// node: then something passes between them, whatever those here believe.
func (w *World) saysUp(peer, n cluster.Name) bool {
	return w.Abroad[peer].Heard && w.SeenAbroad[n][peer].Sight == isolate.Up
}

// keepers are the ring members whose word a cut of a node needs: all that may
// speak to it now, and those of other regions that may when the way is open again,
// but for one that its own region knows to be gone.
func (w *World) keepers(n cluster.Name) []cluster.Name {
	return w.members(n, func(m cluster.Name) bool {
		f, foreign := w.Abroad[m]
		return w.mayRead(m) || foreign && !f.gone()
	})
}

// seeds tells whether a ring member can be a seed of one that is to be started. Where
// no Cassandra of this region runs none can miss a member of another one, and whoever
// is started first has no seed but there.
func (w *World) seeds(n cluster.Name) bool {
	if w.compares(n) {
		return true
	}
	_, run, all := w.downAbroad()
	return all && run == 0 && w.Abroad[n].inOrder()
}

// silentRegions says which other regions do not answer that some members belong to;
// empty: none.
func (w *World) silentRegions(members []cluster.Name) string {
	var silent []string
	for _, n := range members {
		if f, is := w.Abroad[n]; is && f.Region != "" && !f.Told && !slices.Contains(silent, string(f.Region)) {
			silent = append(silent, string(f.Region))
		}
	}
	if len(silent) == 0 {
		return ""
	}
	return " (the store of region " + strings.Join(silent, ", ") + " does not answer here)"
}

// foreigners are the members of the other regions, by name.
func (w *World) foreigners() []cluster.Name { return slices.Sorted(maps.Keys(w.Abroad)) }

// known lists the datacenters of which it is known who serves: those of the
// roster, and those of other regions where every agent is heard.
func (w *World) known() []cluster.Datacenter {
	all := w.datacenters()
	unheard, there := map[cluster.Datacenter]bool{}, map[cluster.Datacenter]bool{}
	for _, m := range w.Schema.Members {
		if f, is := w.Abroad[m.Name]; is {
			there[m.Datacenter] = true
			unheard[m.Datacenter] = unheard[m.Datacenter] || !f.Heard
		}
	}
	for _, dc := range slices.Sorted(maps.Keys(there)) {
		if !unheard[dc] && !slices.Contains(all, dc) {
			all = append(all, dc)
		}
	}
	return all
}

// alsoAbroad finds an incident of another region that began lately and has the same
// cause as a suspect here: one thing that strikes two regions at once is more
// likely the network or us.
func (w *World) alsoAbroad(suspects []cluster.Name) (reason string, is bool) {
	for _, n := range suspects {
		for _, f := range w.foreigners() {
			r := w.Abroad[f].Record
			if r == nil || !w.Abroad[f].Told || r.Cause != w.verdict(n).Cause || w.Wall.Sub(r.Began) > stormWindow {
				continue
			}
			return fmt.Sprintf("storm: %s is suspected here, and so is %s in region %s, for the same cause (%s)", n, f, w.Abroad[f].Region, r.Cause), true
		}
	}
	return "", false
}

// NowLost goes on from since when each ring member that is not on the roster has
// been believed down by all Cassandras of this region.
func (w *World) NowLost(was map[cluster.Name]cluster.Moment) map[cluster.Name]cluster.Moment {
	by, of, all := w.downAbroad()
	if len(by) == 0 || !all {
		return nil
	}
	now := map[cluster.Name]cluster.Moment{}
	for _, m := range w.Schema.Members {
		if _, ours := w.Hosts[m.Name]; ours || by[m.Address] < of {
			continue
		}
		now[m.Name] = w.Now
		if since, known := was[m.Name]; known {
			now[m.Name] = since
		}
	}
	return now
}

// LookAbroad fills in how the members of other regions stand with the Cassandras
// here; since is what NowLost knows.
func (w *World) LookAbroad(since map[cluster.Name]cluster.Moment) {
	by, of, _ := w.downAbroad()
	for _, m := range w.Schema.Members {
		f, is := w.Abroad[m.Name]
		if !is {
			continue
		}
		lost, missed := since[m.Name]
		f.Up = of > 0 && by[m.Address] == 0
		f.Lost = missed && w.Now.Sub(lost) >= LostAfter
		w.Abroad[m.Name] = f
	}
}

// downAbroad counts who here believes which address down, of how many; all is false
// while a Cassandra here that may speak to others was not asked.
func (w *World) downAbroad() (by map[string]int, of int, all bool) {
	if w.Schema == nil {
		return nil, 0, false
	}
	by, all = map[string]int{}, true
	for _, m := range w.Schema.Members {
		if _, ours := w.Hosts[m.Name]; !ours {
			continue
		}
		s := w.Agents[m.Name].Sights
		speaks := s != nil && s.Runs
		if !speaks && w.mayRead(m.Name) {
			all = false
		}
		if speaks {
			of++
			for _, address := range s.Down {
				by[address]++
			}
		}
	}
	return by, of, all
}
