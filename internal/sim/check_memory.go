// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/isolate"
	"supervisor/loadbalancer"
)

// memory is what the checkers remember of what they saw.
type memory struct {
	archive    map[string][]byte
	settled    map[string]bool // effects that were begun in the world
	tokens     map[string]cluster.Token
	phases     map[string]incident.Phase // of the open incidents, as last written
	slowAt     map[string]moment         // when an incident about a slow node began
	severities map[cluster.Name]severitySet
	wants      map[cluster.Name]loadbalancer.Wish
	acting     map[string]string // effects in the doing, by resource
	asked      map[string]bool   // incidents that were held once
	passages   int               // of crash points
	actedAt    map[string]moment // since when they are
	stale      bool              // the truth changed since the checkers of standing truths ran
	full       bool              // they look at all of it

	raised  map[cluster.Name]isolate.Fence // fences, as last written
	paused  map[cluster.Datacenter]moment  // since when a pause stands there
	aborted map[string]bool                // incidents that a person stopped and nobody retried
	acked   map[cluster.Name]bool          // nodes of whose incident a person said that he has seen it
	stands  map[string]stepped             // where the open incidents stand
	said    map[string]moment              // words of people that lie in the inbox
	unledAt moment                         // when nobody led last who could see and write
	unfitAt moment                         // when something was wrong last for which bounds of time make room
	ended   int                            // processes that had ended by then
}

// stepped is the step of a record, and since when it stands there.
type stepped struct {
	step  uint32
	since moment
	open  moment // since when the incident is open, not held, and the only one; zero: it is held
}

func remembered() memory {
	return memory{archive: map[string][]byte{}, settled: map[string]bool{}, tokens: map[string]cluster.Token{},
		phases: map[string]incident.Phase{}, slowAt: map[string]moment{}, severities: map[cluster.Name]severitySet{}, wants: map[cluster.Name]loadbalancer.Wish{}, acting: map[string]string{}, actedAt: map[string]moment{},
		asked: map[string]bool{}, raised: map[cluster.Name]isolate.Fence{}, paused: map[cluster.Datacenter]moment{},
		aborted: map[string]bool{}, acked: map[cluster.Name]bool{}, stands: map[string]stepped{}, said: map[string]moment{}}
}
