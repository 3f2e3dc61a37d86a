// SPDX-License-Identifier: Apache-2.0

package cluster

import "time"

// Strategy is how a keyspace places its replicas.
type Strategy uint8

// The strategies Cassandra knows. StrategyUnknown is what a name nobody
// taught us becomes; margins of such a keyspace are unknown, never zero.
const (
	StrategyUnknown Strategy = iota
	NetworkTopology
	Simple
	Local      // every node keeps its own; nothing is replicated
	Everywhere // every node keeps everything
)

// Replication is the replication setting of one keyspace.
type Replication struct {
	Strategy Strategy           `json:"strategy"`
	Factor   int                `json:"factor,omitempty"`  // Simple only
	Factors  map[Datacenter]int `json:"factors,omitempty"` // NetworkTopology: full replicas per datacenter
}

// Table is what the deadline and repair rules need to know of a table.
type Table struct {
	Name    string        `json:"name"`
	GCGrace time.Duration `json:"gc_grace"` // seconds in Cassandra, a duration here
	// ID is Cassandra's own: one that was dropped and made again has another. Empty:
	// not told.
	ID   string `json:"id,omitempty"`
	Base string `json:"base,omitempty"` // of a materialized view: the table it is made of
}

// Keyspace is one keyspace and its tables. Virtual keyspaces never appear.
type Keyspace struct {
	Name        string      `json:"name"`
	Replication Replication `json:"replication"`
	Tables      []Table     `json:"tables"`
}
