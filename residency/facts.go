// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"slices"

	"supervisor/cluster"
)

// Part is one thing that an agent asks its own Cassandra for an audit.
type Part string

// The parts. What a Told does not list as read is not known, also because the
// agent is of a version that does not ask for it.
const (
	PartStored    Part = "stored"    // bytes on disk
	PartWrites    Part = "writes"    // of whose writes it was the coordinator
	PartClients   Part = "clients"   // keyspaces that clients are connected with
	PartHints     Part = "hints"     // nodes that hints wait for
	PartTraces    Part = "traces"    // sessions in system_traces
	PartBatches   Part = "batches"   // batches in the batchlog
	PartSnapshots Part = "snapshots" // of which keyspaces there are some
	PartCDC       Part = "cdc"       // tables whose changes it keeps for others to take
)

// Parts lists all of them, in the order in which they are told.
func Parts() []Part {
	return []Part{PartStored, PartWrites, PartClients, PartHints, PartTraces, PartBatches, PartSnapshots, PartCDC}
}

// Question is what an agent looks for in its own Cassandra.
type Question struct {
	Version    int64    // of the policy that it was made of
	Here       []string // keyspaces that a rule keeps from where this node stands
	Restricted []string // keyspaces that a rule keeps from some region of the policy
}

// Told is what an agent says of its own Cassandra. It names keyspaces and tables
// and counts bytes; no row, key or value is in it. It changes seldom, so that
// the agent's key in the store rests.
type Told struct {
	Version int64  `json:"version"` // of the policy by which it knew what to look for
	Read    []Part `json:"read"`    // what of the following is known
	// Stored are bytes of keyspaces of Here, rounded up to a power of two.
	Stored   map[string]int64 `json:"stored,omitempty"`
	Written  []string         `json:"written,omitempty"` // keyspaces of Here, since its process began
	Clients  []string         `json:"clients,omitempty"` // keyspaces of Here
	HintsFor []cluster.HostID `json:"hints_for,omitempty"`
	Traces   bool             `json:"traces,omitempty"`
	Batches  bool             `json:"batches,omitempty"`
	// Snapshots are keyspaces of Here, and CDC tables of Restricted, as keyspace.table.
	Snapshots []string `json:"snapshots,omitempty"`
	CDC       []string `json:"cdc,omitempty"`
}

// Node is one host, or member of the ring, as an audit knows it.
type Node struct {
	Name       cluster.Name
	HostID     cluster.HostID
	Datacenter cluster.Datacenter
	Member     bool           // it is in the ring
	Roster     cluster.Region // where the roster says it stands; empty: it is on none that is read
	Heard      bool           // its agent is
	Told       *Told          // nil: its agent does not say
}

// Facts are what an audit compares a policy with.
type Facts struct {
	Version int64 // of the policy
	Regions map[cluster.Region][]cluster.Datacenter
	// Keyspaces is nil while no Cassandra was asked for ring and schema.
	Keyspaces []cluster.Keyspace
	Nodes     []Node // by name
}

// regionOf finds the region a datacenter is mapped to; empty: none.
func (f Facts) regionOf(dc cluster.Datacenter) cluster.Region {
	found := cluster.Region("")
	for region, dcs := range f.Regions { // order: the smallest of several, which a policy in order has not
		if slices.Contains(dcs, dc) && (found == "" || region < found) {
			found = region
		}
	}
	return found
}

// places are the regions in which a node may stand: by the policy, and by the
// roster where that says another one. An empty one is unknown.
func (f Facts) places(n Node) []cluster.Region {
	out := []cluster.Region{f.regionOf(n.Datacenter)}
	if n.Roster != "" && n.Roster != out[0] {
		out = append(out, n.Roster)
	}
	return out
}

// known tells whether a part of what a node says counts: it was read, and under
// the policy that stands.
func (f Facts) known(n Node, p Part) bool {
	return n.Told != nil && n.Told.Version == f.Version && slices.Contains(n.Told.Read, p)
}

// NotRead is a node of which something is not known. It is never counted as fine.
type NotRead struct {
	Node  cluster.Name `json:"node"`
	Parts []Part       `json:"parts"`
	Why   string       `json:"why"`
}

// Unread lists the nodes of which something is not known, and why.
func Unread(f Facts) []NotRead {
	out := []NotRead{}
	for _, n := range f.Nodes {
		var parts []Part
		for _, p := range Parts() {
			if !f.known(n, p) {
				parts = append(parts, p)
			}
		}
		if len(parts) > 0 {
			out = append(out, NotRead{n.Name, parts, f.whyUnread(n)})
		}
	}
	return out
}

func (f Facts) whyUnread(n Node) string {
	switch {
	case !n.Heard:
		return "its agent is not heard"
	case n.Told == nil:
		return "its agent has not asked its Cassandra, or it did not answer"
	case n.Told.Version != f.Version:
		return "its agent has not looked yet by the policy that stands"
	}
	return "its Cassandra did not tell"
}

// Asked is what an agent of a datacenter looks for, under a policy: keyspaces are
// those of the schema, roster is where the agent's own roster line says it stands.
func Asked(p Policy, f Facts, dc cluster.Datacenter, roster cluster.Region) Question {
	q := Question{Version: f.Version}
	places := f.places(Node{Datacenter: dc, Roster: roster})
	var all []cluster.Region
	for region := range f.Regions { // order: sorted below
		all = append(all, region)
	}
	all = sorted(append(all, places...))
	for _, ks := range f.Keyspaces {
		if !moves(ks) || len(ks.Tables) == 0 {
			continue // it has nothing to look for
		}
		r := p.reach(ks.Name)
		if r.why == NoRule {
			continue // it is a finding as a whole
		}
		if refuses(r, places) {
			q.Here = append(q.Here, ks.Name)
		}
		if refuses(r, all) {
			q.Restricted = append(q.Restricted, ks.Name)
		}
	}
	slices.Sort(q.Here)
	slices.Sort(q.Restricted)
	return q
}

// moves tells whether a keyspace has data that can stand on other nodes.
func moves(ks cluster.Keyspace) bool {
	return !cluster.NeverReplicated(ks.Name) && ks.Replication.Strategy != cluster.Local
}

func refuses(r reach, any []cluster.Region) bool {
	return slices.ContainsFunc(any, func(to cluster.Region) bool { return !r.allows(to) })
}

// RoundUp is the least power of two that is not less, so that what is told of a
// table that grows changes seldom.
func RoundUp(bytes int64) int64 {
	const most = int64(1) << 62
	n := int64(1)
	for n < bytes && n < most {
		n *= 2
	}
	return n
}
