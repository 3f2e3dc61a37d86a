// SPDX-License-Identifier: Apache-2.0

package api

import (
	"supervisor/cluster"
	"supervisor/incident"
)

// Margin says how close a datacenter or a node is to losing a quorum: of the
// range that is worst off, over all keyspaces that count.
type Margin struct {
	Keyspace   string             `json:"keyspace"`
	Datacenter cluster.Datacenter `json:"datacenter"` // empty: counted over the whole ring
	RF         int                `json:"rf"`
	Have       int                `json:"have"`
	Need       int                `json:"need"`
	MayLose    int                `json:"may_lose"` // below 0: lost already
	Ranges     int                `json:"ranges"`   // that have so few
}

func marginOf(m cluster.Margin) *Margin {
	return &Margin{Keyspace: m.Keyspace, Datacenter: m.Datacenter, RF: m.RF, Have: m.Have, Need: m.Need, MayLose: m.Spare(), Ranges: m.RangesAtMin}
}

// tightest is nil when it is not known: no view, no ring, no schema.
func tightest(s Snapshot, dc cluster.Datacenter, without cluster.Name) *Margin {
	if !s.judges() {
		return nil
	}
	m, ok := incident.Tightest(s.World, dc, without)
	if !ok {
		return nil
	}
	return marginOf(m)
}

// nodeMargins are the margins of the ranges that a node holds, one a keyspace.
func nodeMargins(s Snapshot, n cluster.Name) []Margin {
	out := []Margin{}
	if s.World.Schema == nil || !s.judges() {
		return out
	}
	margins, _ := cluster.MarginsOf(*s.World.Schema, n, s.World.Serves) // keyspaces of an unknown strategy have none
	for _, m := range margins {
		if !cluster.NeverReplicated(m.Keyspace) && !cluster.Exempt(m.Keyspace) {
			out = append(out, *marginOf(m))
		}
	}
	return out
}
