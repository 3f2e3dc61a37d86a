// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"maps"
	"slices"
	"time"

	"supervisor/cluster"
)

// Ledger is the budget of one datacenter. It changes in the transaction of
// the record it is about, so that two incidents cannot spend the same node.
type Ledger struct {
	Holders []Holder `json:"holders"`
	// Starts are the wall times of the hibernated starts we ordered, by node:
	// an upper bound that only adds caution.
	Starts       map[cluster.Name][]time.Time `json:"starts,omitempty"`
	NextEvent    int64                        `json:"next_event"`
	PrevHash     string                       `json:"prev_hash"`
	NextIncident int64                        `json:"next_incident"`
}

// Holder is one node that is out, by our doing or by itself.
type Holder struct {
	Node     cluster.Name `json:"node"`
	Rack     cluster.Rack `json:"rack"`
	Incident string       `json:"incident"`
	Kind     HolderKind   `json:"kind"`
}

// HolderKind is why a node counts against the budget.
type HolderKind string

// The kinds of holders.
const (
	HoldsOutage HolderKind = "outage" // it went by itself
	HoldsReturn HolderKind = "return" // it hibernates or is being verified
	startLog               = 16       // starts remembered per node
)

func (l Ledger) clone() Ledger {
	l.Holders = slices.Clone(l.Holders)
	l.Starts = maps.Clone(l.Starts)
	return l
}

// with returns a ledger in which the incident holds its node with this kind.
func (l Ledger) with(r Record, kind HolderKind) Ledger {
	l = l.without(r.ID)
	l.Holders = append(l.Holders, Holder{Node: r.Node, Rack: r.Rack, Incident: r.ID, Kind: kind})
	return l
}

// without returns a ledger in which the incident holds nothing.
func (l Ledger) without(id string) Ledger {
	l = l.clone()
	l.Holders = slices.DeleteFunc(l.Holders, func(h Holder) bool { return h.Incident == id })
	return l
}

// returning lists the nodes that incidents other than id are bringing back.
func (l Ledger) returning(id string) []cluster.Name {
	var nodes []cluster.Name
	for _, h := range l.Holders {
		if h.Kind == HoldsReturn && h.Incident != id {
			nodes = append(nodes, h.Node)
		}
	}
	return nodes
}

// started notes a start of node at wall; startsSince counts those within the
// window before wall.
func (l Ledger) started(node cluster.Name, wall time.Time) Ledger {
	l = l.clone()
	if l.Starts == nil {
		l.Starts = map[cluster.Name][]time.Time{}
	}
	log := append(slices.Clone(l.Starts[node]), wall.UTC())
	l.Starts[node] = log[max(0, len(log)-startLog):]
	return l
}

func (l Ledger) startsSince(node cluster.Name, wall time.Time, window time.Duration) int {
	n := 0
	for _, at := range l.Starts[node] {
		if wall.Sub(at) < window {
			n++
		}
	}
	return n
}
