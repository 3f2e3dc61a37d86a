// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/repair"
)

// Effect is something that is to become true in the world. Exactly one of its
// parts is set; a kind nobody knows is refused.
type Effect struct {
	ID    string        `json:"id"`    // <incident>.<step>: the idempotency key
	Limit time.Duration `json:"limit"` // on the executor's clock, from claim or first sight
	// Fence is wanted state at fence/<node>; Lift removes that key.
	Fence *isolate.Fence     `json:"fence,omitempty"`
	Lift  cluster.Name       `json:"lift,omitempty"`
	Pool  *loadbalancer.Pool `json:"pool,omitempty"`
	Once  *Once              `json:"once,omitempty"`
}

// LimitMax bounds every order: long work is many small orders.
const LimitMax = 5 * time.Minute

// Verb is what an order asks for. The list is closed.
type Verb uint8

// The verbs. VerbUnknown is refused.
const (
	VerbUnknown     Verb = iota
	VerbStart            // start Cassandra through the gate, hibernated
	VerbKill             // end the verified process at once
	VerbJoinRing         // leave hibernation
	VerbRepair           // a batch of segments, coordinated by this agent's Cassandra
	VerbPreview          // compare without streaming, by another coordinator
	VerbReadRows         // known rows at ONE through the node, against QUORUM through another
	VerbPowerOff         // turn the power of the target's host off, by the site's hook
	VerbPowerStatus      // look by the hook whether it is off; done only if it is
)

var verbWords = cluster.Words{"unknown", "start", "kill", "join_ring", "repair", "preview", "read_rows", "power_off", "power_status"}

// Verbs lists every wire word.
func Verbs() []string { return append([]string(nil), verbWords...) }

// String is the wire word.
func (v Verb) String() string { return verbWords.Word(uint8(v)) }

// MarshalText spells the verb.
func (v Verb) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a wire word.
func (v *Verb) UnmarshalText(text []byte) error {
	n, err := verbWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("verb: %w", err)
	}
	*v = Verb(n)
	return nil
}

// Once is an effect that is done once, by one agent.
type Once struct {
	Agent  cluster.Name   `json:"agent"`
	Verb   Verb           `json:"verb"`
	Target cluster.Name   `json:"target"` // the node it is about
	HostID cluster.HostID `json:"host_id"`
	// Process names the Cassandra process meant by Kill and JoinRing.
	Process cluster.Boot `json:"process,omitempty"`
	// Silent is set of a Kill that is a fence: it is for a process that answers
	// nothing, and one that answers its executor is left alone.
	Silent   bool            `json:"silent,omitempty"`
	Segments repair.Segments `json:"segments,omitempty"` // Repair, Preview
	First    int             `json:"first,omitempty"`    // index in the job of Segments[0]
	Rows     []KnownRows     `json:"rows,omitempty"`     // ReadRows
}

// KnownRows names a table whose rows a returning node must know. Only counts
// ever leave the host that reads them.
type KnownRows struct {
	Keyspace string `json:"keyspace" yaml:"keyspace"`
	Table    string `json:"table" yaml:"table"`
	Max      int    `json:"max" yaml:"max"` // rows read at the most
}

// name is keyspace.table.
func (k KnownRows) name() string { return k.Keyspace + "." + k.Table }

// OrderState is how far an order has come. Etcd decides the race between
// claim and cancel.
type OrderState uint8

// The states: open to claimed to settled, or open to cancelled.
const (
	Open OrderState = iota
	Claimed
	Settled
	Cancelled
)

var orderWords = cluster.Words{"open", "claimed", "settled", "cancelled"}

// String is the wire word.
func (s OrderState) String() string { return orderWords.Word(uint8(s)) }

// MarshalText spells the state.
func (s OrderState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a wire word.
func (s *OrderState) UnmarshalText(text []byte) error {
	v, err := orderWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("order state: %w", err)
	}
	*s = OrderState(v)
	return nil
}

// Outcome is how an order ended.
type Outcome uint8

// The outcomes. Uncertain is never taken for "not done".
const (
	NoOutcome  Outcome = iota
	Done               // the effect is there, as far as its actor can tell
	Failed             // it was tried and is not there
	TurnedAway         // a guard of the executor refused before anything was done
	Uncertain          // the limit passed, or nobody knows: verify by another path
)

var outcomeWords = cluster.Words{"none", "done", "failed", "refused", "uncertain"}

// String is the wire word.
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

// Result is what an executor found out while it acted.
type Result struct {
	Why        string        `json:"why,omitempty"` // of a failure or refusal; bounded, no row data
	Rule       Rule          `json:"rule,omitempty"`
	Process    cluster.Boot  `json:"process,omitempty"`
	Generation int64         `json:"generation,omitempty"`
	Took       time.Duration `json:"took,omitempty"` // on the executor's clock
	// Done are the segments that were repaired or compared, also by an order that
	// did not get to its end: Once.First plus the place in Once.Segments.
	Done    []int    `json:"done,omitempty"`
	Differs []string `json:"differs,omitempty"` // keyspace.table whose preview showed differences
	Read    int      `json:"read,omitempty"`    // known rows read at ONE
	Old     int      `json:"old,omitempty"`
	Missing int      `json:"missing,omitempty"`
	// Unread are the keyspace.table of which no row could be compared.
	Unread []string `json:"unread,omitempty"`
}

// Order is one Once on its way: the key order/<agent>/<effect id>.
type Order struct {
	Effect
	Incident string       `json:"incident"`
	Why      string       `json:"why"`
	Policy   int64        `json:"policy"`
	Era      uint32       `json:"era"` // in which it was written; a store of another one is not its own
	State    OrderState   `json:"state"`
	By       cluster.Boot `json:"by,omitempty"` // the agent's boot that claimed it
	Outcome  Outcome      `json:"outcome"`
	Result   Result       `json:"result"`
}
