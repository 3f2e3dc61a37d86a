// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"time"

	"supervisor/cluster"
)

// Path is the way by which an observer looks at a node. Each way can fail
// alone; only together they say that a node is gone.
type Path uint8

// The paths. PathUnknown never counts for anything.
const (
	PathUnknown Path = iota
	Process          // own agent only: the process exists (pidfd, pid file)
	CQL              // an OPTIONS frame on a kept connection
	Admin            // own agent only: Jolokia answers
	Disk             // own agent only: a small file could be written and synced
	Storage          // the port between Cassandra nodes accepts
	Phi              // what the observer's own Cassandra thinks of the node
)

var pathWords = cluster.Words{"unknown", "process", "cql", "admin", "disk", "storage", "phi"}

// String is the wire word of the path.
func (p Path) String() string { return pathWords.Word(uint8(p)) }

// MarshalText spells the path.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a wire word.
func (p *Path) UnmarshalText(text []byte) error {
	v, err := pathWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	*p = Path(v)
	return nil
}

// Outcome is what one look found.
type Outcome uint8

// The outcomes. NoWord means that nobody has looked yet.
const (
	NoWord  Outcome = iota
	Good            // answered as it should; Phi below 2
	Late            // answered, but slowly; Phi from 2 to 5
	Refused         // the other side said no: reset, refused; the kernel there answers
	Silent          // no answer within the time-out; Phi of 5 and more
	Wrong           // answered with something else, or the call itself broke
	Exited          // Process: the process ended, or its pid file's process is gone
	Leaving         // Process: the node announced that it goes, a planned stop
)

// Unanswered tells whether o means that there was no answer.
func (o Outcome) Unanswered() bool { return o == Refused || o == Silent || o == Wrong }

// Prolongs tells whether o is the same absence of an answer as the one before it, so
// that Held goes on: who is silent and refuses later has not answered for all that
// time. Silence alone begins anew: whose port was closed, by a hand or because it
// starts, has not hung for all that time.
func (o Outcome) Prolongs(before Outcome) bool {
	return before.Unanswered() && o.Unanswered() && o != Silent
}

var outcomeWords = cluster.Words{"no_word", "good", "late", "refused", "silent", "wrong", "exited", "leaving"}

// String is the wire word of the outcome.
func (o Outcome) String() string { return outcomeWords.Word(uint8(o)) }

// MarshalText spells the outcome.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads a wire word.
func (o *Outcome) UnmarshalText(text []byte) error {
	v, err := outcomeWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("outcome: %w", err)
	}
	*o = Outcome(v)
	return nil
}

// Look is one path to one node as its observer last saw it.
type Look struct {
	Subject cluster.Name  `json:"subject"`
	Path    Path          `json:"path"`
	Outcome Outcome       `json:"outcome"`
	Misses  int           `json:"misses,omitempty"` // looks in a row with this outcome; silence needs three
	Held    time.Duration `json:"held"`             // the outcome has stood so long, on the observer's clock, or one that it Prolongs
	Age     time.Duration `json:"age"`              // from the look to the sending, on the observer's clock
	// Took is what the node's answers on the CQL path typically took of late: the
	// median of a few looks, to the microsecond at best; 0: too few of them were answered, or its
	// observer does not measure it.
	Took time.Duration `json:"took,omitempty"`
	// Inside is what the own agent finds remarkable in its node; on the Process path.
	Inside Inside `json:"inside,omitempty"`
}

// Digest is everything one observer knows, sent whole: the next one replaces
// a lost one. It is signed with the host's key; Boot and Seq stop replays.
type Digest struct {
	Cluster  string       `json:"cluster"`
	Observer cluster.Name `json:"observer"`
	Boot     cluster.Boot `json:"boot"` // of the agent
	Seq      uint64       `json:"seq"`
	Unwell   bool         `json:"unwell,omitempty"` // stalled loop, clock jump, health score above 0: abstains but from what answers it, stays eligible
	// Process is the boot of the observer's own Cassandra process, empty when none runs.
	Process cluster.Boot `json:"process,omitempty"`
	Looks   []Look       `json:"looks"`
}

// Report is a look as the judge's side received it. A digest without looks at
// anybody still arrives as one report with an empty Look, so that hearing the
// observer counts.
type Report struct {
	Look
	Observer cluster.Name   `json:"observer"`
	Boot     cluster.Boot   `json:"boot"`
	Process  cluster.Boot   `json:"process,omitempty"` // of the observer's own Cassandra
	Unwell   bool           `json:"unwell,omitempty"`
	At       cluster.Moment `json:"-"` // arrival on the judge's clock minus Age
}
