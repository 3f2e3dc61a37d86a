// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"time"

	"supervisor/cluster"
)

// Topology is who may watch whom, as the roster and the assignment say.
type Topology struct {
	Nodes map[cluster.Name]Place
	// Watch lists the eligible observers of each node, its own agent included,
	// alive or not.
	Watch map[cluster.Name][]cluster.Name
}

// Place is where a node stands.
type Place struct {
	Region     cluster.Region
	Datacenter cluster.Datacenter
	Rack       cluster.Rack
}

// Bars are the bounds a verdict is held against; all come from the policy.
type Bars struct {
	Fresh        time.Duration // a report older than this says nothing
	Stable       time.Duration // no change for this long before a verdict
	StableMax    time.Duration // but a verdict waits at most this long
	MissesMax    int           // silent looks in a row that make a For
	ObserversMin int           // with fewer eligible observers only advice is given
	PlannedMax   time.Duration // an announced stop is believed so long
	StormShare   float64       // more suspects of a datacenter than this share (at least 1) is a storm
}

// DefaultBars are the bounds of a policy that says nothing.
func DefaultBars() Bars {
	return Bars{Fresh: 3 * time.Second, Stable: 300 * time.Millisecond, StableMax: time.Second, MissesMax: 3,
		ObserversMin: 3, PlannedMax: time.Hour, StormShare: 0.2}
}

// View is the judge's whole memory: handed in, handed back, never changed in
// place.
type View struct {
	Began     cluster.Moment // when this judge began: an heir starts at Unknown
	At        cluster.Moment
	Verdicts  map[cluster.Name]Verdict
	Observers map[cluster.Name]Heard
	Reports   map[cluster.Name]map[Key]Report // by subject: the youngest of each observer and path
	Changed   map[cluster.Name]cluster.Moment // the last moment a node's ballots changed
}

// Key names one path of one observer to a subject.
type Key struct {
	Observer cluster.Name
	Path     Path
}

// Heard is the last sign of one observer.
type Heard struct {
	At     cluster.Moment
	Boot   cluster.Boot
	Unwell bool
}
