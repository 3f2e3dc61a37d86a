// SPDX-License-Identifier: Apache-2.0

package cluster

// Member is one node of the ring as Cassandra describes it.
type Member struct {
	Name       Name       `json:"name"` // the address when no roster line matches
	HostID     HostID     `json:"host_id"`
	Address    string     `json:"address"` // storage address, without port
	Datacenter Datacenter `json:"datacenter"`
	Rack       Rack       `json:"rack"`
	Tokens     []int64    `json:"tokens"`
}

// TokenRange is the half-open piece (Start, End] of the ring. Start >= End
// wraps around; Start == End is the whole ring.
type TokenRange struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

// Schema is what the store of record, Cassandra itself, says of the ring and
// the keyspaces. It is read by adapters and only looked at by decisions.
type Schema struct {
	Members   []Member   `json:"members"`
	Keyspaces []Keyspace `json:"keyspaces"`
	Version   string     `json:"version"` // Cassandra's schema version
}
