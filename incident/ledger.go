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
	// Exits are the processes that ended lately, by node, whoever had started
	// them; those that we ended ourselves are not among them.
	Exits map[cluster.Name][]Exit `json:"exits,omitempty"`
	// Fences are the moments at which a node was fenced lately, Silences those at
	// which it was drained because it was silent; wall time, as of Exits.
	Fences       map[cluster.Name][]time.Time `json:"fences,omitempty"`
	Silences     map[cluster.Name][]time.Time `json:"silences,omitempty"`
	NextEvent    int64                        `json:"next_event"`
	PrevHash     string                       `json:"prev_hash"`
	NextIncident int64                        `json:"next_incident"`
}

// Exit is a process that ended. The wall time is when that was noticed: an
// upper bound that only adds caution.
type Exit struct {
	Process cluster.Boot `json:"process"`
	At      time.Time    `json:"at"`
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
	HoldsFence  HolderKind = "fence"  // its process is being ended
	exitsMax               = 101      // exits remembered per node: one more than a policy may allow
)

func (l Ledger) clone() Ledger {
	l.Holders = slices.Clone(l.Holders)
	l.Exits, l.Fences, l.Silences = maps.Clone(l.Exits), maps.Clone(l.Fences), maps.Clone(l.Silences)
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

// returning lists the nodes that incidents other than id are bringing back, or
// ending so that they can be brought back; elsewhere those of them in another rack.
func (l Ledger) returning(id string, rack cluster.Rack) (nodes, elsewhere []cluster.Name) {
	for _, h := range l.Holders {
		if h.Kind == HoldsOutage || h.Incident == id {
			continue
		}
		nodes = append(nodes, h.Node)
		if h.Rack != rack {
			elsewhere = append(elsewhere, h.Node)
		}
	}
	return nodes, elsewhere
}

// counted tells whether the end of a process is in the ledger. An end is seen
// in several ways, and counts once.
func (l Ledger) counted(node cluster.Name, p cluster.Boot) bool {
	return slices.ContainsFunc(l.Exits[node], func(e Exit) bool { return e.Process == p })
}

// exited notes the end of a process at wall and forgets those before the
// window; exitsSince counts those within it.
func (l Ledger) exited(node cluster.Name, p cluster.Boot, wall time.Time, window time.Duration) Ledger {
	l = l.clone()
	if l.Exits == nil {
		l.Exits = map[cluster.Name][]Exit{}
	}
	log := slices.DeleteFunc(slices.Clone(l.Exits[node]), func(e Exit) bool { return wall.Sub(e.At) >= window })
	log = append(log, Exit{Process: p, At: wall.UTC()})
	l.Exits[node] = log[max(0, len(log)-exitsMax):]
	return l
}

func (l Ledger) exitsSince(node cluster.Name, wall time.Time, window time.Duration) int {
	n := 0
	for _, e := range l.Exits[node] {
		if wall.Sub(e.At) < window {
			n++
		}
	}
	return n
}

// noted adds a moment to those of a node and forgets those before the window.
func noted(all map[cluster.Name][]time.Time, node cluster.Name, wall time.Time, window time.Duration) map[cluster.Name][]time.Time {
	if all == nil {
		all = map[cluster.Name][]time.Time{}
	}
	log := slices.DeleteFunc(slices.Clone(all[node]), func(at time.Time) bool { return wall.Sub(at) >= window })
	log = append(log, wall.UTC())
	all[node] = log[max(0, len(log)-exitsMax):]
	return all
}

// fenced notes that a fence of the node was decided; silent that it was drained
// because it was silent.
func (l Ledger) fenced(node cluster.Name, wall time.Time, window time.Duration) Ledger {
	l = l.clone()
	l.Fences = noted(l.Fences, node, wall, window)
	return l
}

func (l Ledger) silent(node cluster.Name, wall time.Time, window time.Duration) Ledger {
	l = l.clone()
	l.Silences = noted(l.Silences, node, wall, window)
	return l
}

// within counts the moments of a window.
func within(moments []time.Time, wall time.Time, window time.Duration) int {
	n := 0
	for _, at := range moments {
		if wall.Sub(at) < window {
			n++
		}
	}
	return n
}
