// SPDX-License-Identifier: Apache-2.0

package isolate

import (
	"encoding/json"
	"fmt"
	"strings"

	"supervisor/cluster"
)

// Levels is a set of fence levels, weakest first.
type Levels uint8

// The levels. Each can be undone but the stop of a process, which ends in a
// start through the gate, and the end of a host's power, which a person or the
// site turns on again. Ring is kept by everybody but the node.
const (
	Clients Levels = 1 << iota // native transport off: no client reaches the node
	Reads                      // Severity up: coordinators stop choosing this replica
	Process                    // stopped, and kept from starting by the gate
	Ring                       // cut off: its peers drop what it and they say to each other on the storage port
	Power                      // its host is turned off, by order to a control agent that has the site's hook
)

// levelNames are in the order of the bits.
var levelNames = cluster.Words{"clients", "reads", "process", "ring", "power"}

// Has tells whether all of want stand in l.
func (l Levels) Has(want Levels) bool { return l&want == want }

// String lists the levels: "clients, reads", or "none".
func (l Levels) String() string {
	var names []string
	for i, name := range levelNames {
		if l&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

// MarshalJSON writes the levels as a list of words.
func (l Levels) MarshalJSON() ([]byte, error) {
	names := []string{}
	for i, name := range levelNames {
		if l&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return json.Marshal(names)
}

// UnmarshalJSON reads a list of words; an unknown word is an error, because a
// fence nobody understands must not be taken for a weaker one.
func (l *Levels) UnmarshalJSON(b []byte) error {
	var names []string
	if err := json.Unmarshal(b, &names); err != nil {
		return fmt.Errorf("levels: %w", err)
	}
	*l = 0
	for _, name := range names {
		v, err := levelNames.Value(name)
		if err != nil {
			return fmt.Errorf("levels: %w", err)
		}
		*l |= 1 << v
	}
	return nil
}

// Start is how the gate lets Cassandra start.
type Start uint8

// The ways to start. StartUnknown is the zero value and never starts anything.
const (
	StartUnknown Start = iota
	Normal             // as if there were no supervisor
	Hibernate          // out of the ring, native transport off, until it is repaired
	Refuse             // not at all
	Wait               // ask again: nobody knows yet
)

var startWords = cluster.Words{"unknown", "normal", "hibernate", "refuse", "wait"}

// String is the wire word.
func (s Start) String() string { return startWords.Word(uint8(s)) }

// MarshalText spells the way to start.
func (s Start) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a wire word.
func (s *Start) UnmarshalText(text []byte) error {
	v, err := startWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	*s = Start(v)
	return nil
}

// Fence is the wanted state of a node's isolation, kept at one key. Its token
// is the revision at which the key was written.
type Fence struct {
	Node     cluster.Name   `json:"node"`
	HostID   cluster.HostID `json:"host_id"`
	Levels   Levels         `json:"levels"`
	Start    Start          `json:"start"`
	Incident string         `json:"incident"`
}

// Returns tells whether this is the fence of a return: it keeps clients and
// readers off, also across a start.
func (f Fence) Returns() bool { return f.Levels.Has(Clients|Reads) && f.Start == Hibernate }

// Avoids tells whether this is the fence of a node that is slow: readers choose
// others, and nothing else is kept from it.
func (f Fence) Avoids() bool { return f.Levels == Reads && f.Start == Normal }

// LeavesStart tells whether a fence says nothing about how its node starts: that of
// a slow node, or of one that was. Whether that lacks writes the other lines of the
// gate know, as if no fence stood.
func (f Fence) LeavesStart() bool { return f.Avoids() || f.Levels == 0 && f.Start == Wait }

// SeverityFenced is the Severity that keeps coordinators from choosing a
// replica. Measured on Cassandra 5.0: at 50 no coordinator chose it at ONE.
const SeverityFenced = 50.0

// Sight is what a Cassandra says of another one.
type Sight uint8

// The sights. SightUnknown means that the observer's own Cassandra did not
// say: it never counts as DOWN and never as UP.
const (
	SightUnknown Sight = iota
	Up
	Down
)

var sightWords = cluster.Words{"unknown", "up", "down"}

// String is the wire word.
func (s Sight) String() string { return sightWords.Word(uint8(s)) }

// MarshalText spells the sight.
func (s Sight) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a wire word.
func (s *Sight) UnmarshalText(text []byte) error {
	v, err := sightWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("sight: %w", err)
	}
	*s = Sight(v)
	return nil
}

// Seen is the report of one agent on one standing fence. Every agent writes
// what its own Cassandra says of the fenced node; the node's own agent adds
// what it did.
type Seen struct {
	Token cluster.Token `json:"token"` // of the fence the agent has read
	// What the agent's own Cassandra says of the node. Generation is the
	// gossip generation of the process it speaks of, so that a word about an
	// earlier process is never taken for one about the present.
	Sight      Sight   `json:"sight"`
	Generation int64   `json:"generation,omitempty"`
	Severity   float64 `json:"severity"`
	// SnitchOff is true where the agent's Cassandra ignores Severity.
	SnitchOff bool `json:"snitch_off,omitempty"`
	// Cut is true while this host drops what it and the node say to each other on
	// the storage port, read back from the kernel. Uncut is why it does not where the
	// fence wants it, or why nobody knows whether it still does.
	Cut   bool   `json:"cut,omitempty"`
	Uncut string `json:"uncut,omitempty"`
	// Own is filled by the node's own agent only.
	Own *OwnState `json:"own,omitempty"`
}

// OwnState is what a node's own agent says of its Cassandra.
type OwnState struct {
	Applied bool         `json:"applied"` // the fence's levels stand, read back
	Running bool         `json:"running"`
	Process cluster.Boot `json:"process,omitempty"`
	Mode    string       `json:"mode,omitempty"` // OperationMode: NORMAL, JOINING, STARTING …
	Native  bool         `json:"native"`         // native transport runs
	// Generation is the gossip generation the node itself claims.
	Generation int64   `json:"generation,omitempty"`
	Severity   float64 `json:"severity"`
}

// Act is one thing an agent does to its own node so that the fence stands.
type Act uint8

// The acts, in the order in which they are done.
const (
	RaiseSeverity Act = iota + 1
	StopNative
	LowerSeverity
	StartNative
)

// Converge lists what the node's own agent must do so that the fence stands.
// It returns nothing while the process is down, starting, or its state
// unknown: a process that does not run is fenced by the gate.
//
// Protection first: what takes a node out comes before what lets it in, and
// the native transport is opened only when Severity is already down, so that
// no client meets a node that its peers avoid.
func Converge(f Fence, own OwnState) []Act {
	if !own.Running {
		return nil
	}
	var acts []Act
	raised := own.Severity >= SeverityFenced
	if f.Levels.Has(Reads) && !raised {
		acts = append(acts, RaiseSeverity)
	}
	if f.Levels.Has(Clients) && own.Native {
		acts = append(acts, StopNative)
	}
	if own.Mode != "NORMAL" {
		return acts
	}
	if !f.Levels.Has(Reads) && own.Severity != 0 {
		acts = append(acts, LowerSeverity)
	}
	if !f.Levels.Has(Clients) && !own.Native && own.Severity == 0 {
		acts = append(acts, StartNative)
	}
	return acts
}

// Stands tells whether the fence stands on a running node.
func Stands(f Fence, own OwnState) bool {
	if f.Levels.Has(Process) {
		return !own.Running
	}
	severityOK := f.Levels.Has(Reads) == (own.Severity >= SeverityFenced) && (f.Levels.Has(Reads) || own.Severity == 0)
	// With readers kept off, the transport is not opened, and not closed either.
	nativeOK := !own.Native
	if !f.Levels.Has(Clients) {
		nativeOK = own.Native || f.Levels.Has(Reads)
	}
	return own.Running && severityOK && nativeOK
}
