// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"fmt"
	"time"
)

// Name is a host and its agent: it routes orders and names budgets,
// incidents and the server in a proxy. It is what people type.
type Name string

// HostID is Cassandra's own identity of a node. An effect that names another
// HostID than the one found on the host is refused.
type HostID string

// Boot is random per start, of an agent or of a Cassandra process; equal
// boots mean that nothing was restarted in between.
type Boot string

// Region, Datacenter and Rack say where a host stands. A region is the area
// within which data may have to stay; it holds one or more datacenters.
type (
	Region     string
	Datacenter string
	Rack       string
)

// Moment is nanoseconds on the boot clock of whoever reads it. It is never
// stored, never sent and never compared between hosts. Only a recording of one
// agent's judge keeps its moments.
type Moment int64

// Add returns the moment d later.
func (m Moment) Add(d time.Duration) Moment { return m + Moment(d) }

// Sub returns how much later m is than earlier.
func (m Moment) Sub(earlier Moment) time.Duration { return time.Duration(m - earlier) }

// Token orders intents for one resource and is counted by nobody: Rev is the
// etcd revision of the transaction that wrote the intent.
type Token struct {
	Era uint32 `json:"era"` // raised only when a store is recovered; compared first
	Rev int64  `json:"rev"`
}

// Compare orders tokens: negative when t is older than other.
func (t Token) Compare(other Token) int {
	return cmp.Or(cmp.Compare(t.Era, other.Era), cmp.Compare(t.Rev, other.Rev))
}

// String renders a token as people quote it: era, dot, revision.
func (t Token) String() string { return fmt.Sprintf("%d.%d", t.Era, t.Rev) }

// Host is one line of the roster: the hosts that may vote, where they stand
// and where they are reached. The roster is written by `store init`.
type Host struct {
	Name       Name              `json:"name" yaml:"name"`
	HostID     HostID            `json:"host_id,omitempty" yaml:"host_id,omitempty"`
	Region     Region            `json:"region" yaml:"region"`
	Datacenter Datacenter        `json:"datacenter" yaml:"datacenter"`
	Rack       Rack              `json:"rack" yaml:"rack"`
	CQL        string            `json:"cql" yaml:"cql"`         // address:port of the native protocol
	Storage    string            `json:"storage" yaml:"storage"` // address:port between Cassandra nodes
	Gossip     string            `json:"gossip" yaml:"gossip"`   // address:port of the agent's own gossip
	Labels     map[string]string `json:"labels,omitempty" yaml:"labels,omitempty"`
	PublicKey  string            `json:"public_key" yaml:"public_key"` // base64 of the agent's ed25519 key: signs digests
	By         string            `json:"by,omitempty" yaml:"-"`
	Why        string            `json:"why,omitempty" yaml:"-"`
}
