// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"math"
	"time"

	"supervisor/cluster"
)

// Topology is who may watch whom, as the roster and the assignment say. Views
// keep the maps: who changes the roster makes a new Topology.
type Topology struct {
	Nodes map[cluster.Name]Place
	// Watch lists the eligible observers of each node, its own agent included,
	// alive or not.
	Watch map[cluster.Name][]cluster.Name
	seats *seating // as NewTopology made it; nil: somebody else did
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
	SlowFactor   float64       // a node whose answers take longer than so many times those of its peers is an outlier
	SlowFloor    time.Duration // if they take longer than this, too
	SlowAfter    time.Duration // and Slow when it has been one for so long
}

// DefaultBars are the bounds of a policy that says nothing.
func DefaultBars() Bars {
	return Bars{Fresh: 3 * time.Second, Stable: 300 * time.Millisecond, StableMax: time.Second, MissesMax: 3,
		ObserversMin: 3, PlannedMax: time.Hour, StormShare: 0.2,
		SlowFactor: 5, SlowFloor: 10 * time.Millisecond, SlowAfter: 5 * time.Second}
}

// View is the judge's whole memory: handed in, handed back, never changed in
// place. The zero View is that of a judge that begins with its first turn.
type View struct {
	Began     cluster.Moment // when this judge began: an heir starts at Unknown
	At        cluster.Moment
	Verdicts  map[cluster.Name]Verdict
	Observers map[cluster.Name]Heard
	// Reports are the youngest looks of each observer, by subject and path.
	Reports map[cluster.Name][]Report
	Changed map[cluster.Name]cluster.Moment // the last moment a node's ballots changed
	// Unrest is when the present run of changes began: changes less than
	// Bars.Stable apart belong to one run.
	Unrest map[cluster.Name]cluster.Moment
	// Due is when a node must be judged again though nobody says anything.
	Due map[cluster.Name]cluster.Moment
	// Planned is when a node announced its stop; kept until it runs again.
	Planned map[cluster.Name]cluster.Moment
	// Paces are what is remembered of nodes whose answers stand out, and of those that
	// were gone a moment ago.
	Paces map[cluster.Name]Pace
	// Ignored counts reports that were not believed, by Reason.
	Ignored map[Reason]int
	// Duplicates are names that two agents use at once: both abstain.
	Duplicates map[cluster.Name]bool
	// Topology and Bars are those of the last turn: a change of them judges
	// every node again.
	Topology Topology
	Bars     Bars
}

// never is the Due of a node that only news can change.
const never cluster.Moment = math.MaxInt64

// Wake is the earliest moment at which a verdict can change without a report.
// The second result is false when there is none.
func (v View) Wake() (cluster.Moment, bool) {
	var wake cluster.Moment
	found := false
	for _, due := range v.Due { // order: the least of them
		if due != never && (!found || due < wake) {
			wake, found = due, true
		}
	}
	return wake, found
}

// Hearing counts how many observers of the roster are heard fresh, and how
// many there are. A leader that hears fewer than half has no picture to act on.
func (v View) Hearing() (heard, of int) {
	for n := range v.Topology.Nodes {
		of++
		if h, ok := v.Observers[n]; ok && v.At.Sub(h.At) <= v.Bars.Fresh {
			heard++
		}
	}
	return heard, of
}

// Reason is why a report was not believed; it is a metric's label.
type Reason string

// The reasons.
const (
	FromFuture      Reason = "future"           // arrived after the present moment: a broken clock
	UnknownObserver Reason = "unknown_observer" // not on the roster
	UnknownSubject  Reason = "unknown_subject"  // not on the roster
	NotAssigned     Reason = "not_assigned"     // on the roster, but does not watch this node
	NotOwn          Reason = "not_own"          // speaks of the inside of a node that is not its own
	Impossible      Reason = "impossible"       // negative ages, words that do not exist
	Superseded      Reason = "superseded"       // of an agent's start that a later one replaced
)

// Heard is the last sign of one observer.
type Heard struct {
	At       cluster.Moment // arrival of its last digest
	Boot     cluster.Boot
	Unwell   bool
	Process  cluster.Boot   // the last Cassandra process it named
	Renewed  cluster.Moment // when that took the place of another one; 0: it did not
	Former   []cluster.Boot // starts before this one, youngest last, at most formerMax
	Replaced cluster.Moment // when Boot took over from the youngest Former
	Twin     cluster.Moment // until then the name counts as used by two agents; 0: it does not
}
