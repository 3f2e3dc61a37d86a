// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"slices"
	"time"

	"supervisor/cluster"
)

// Outage is the time in which a node may have missed writes, as wall clocks
// told it. Clocks of several hosts differ, so bounds computed from it may only
// forbid, never permit.
type Outage struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"` // zero while it lasts
	Clean bool      `json:"clean"` // the node was drained before it stopped
}

// Began opens an outage at the last proof of life. A node that was not drained
// also lost what it had acknowledged and not yet synced: unsynced is its
// commitlog_sync_period plus a margin, and the outage begins that much earlier.
func Began(alive time.Time, clean bool, unsynced time.Duration) Outage {
	if clean {
		unsynced = 0
	}
	return Outage{From: alive.Add(-unsynced), Clean: clean}
}

// Length is how long the outage has lasted at a time, or did last when it is
// over before that.
func (o Outage) Length(at time.Time) time.Duration {
	if !o.Until.IsZero() && o.Until.Before(at) {
		at = o.Until
	}
	return max(0, at.Sub(o.From))
}

// Beyond says that the outage has reached the hint window, so writes of it
// were left without a hint. The last instant counts as beyond: hints stop then.
func (o Outage) Beyond(window time.Duration, at time.Time) bool { return o.Length(at) >= window }

// Deadline returns the time at which a node that misses writes since from must
// have been repaired: from plus the smallest gc_grace_seconds, and the table it
// belongs to. Later its peers may have dropped tombstones that it never saw,
// and a repair would bring deleted rows back. The repair must have ended by
// then, not begun. A table's grace is the smallest it had during the outage;
// the caller keeps that.
//
// It counts the tables of replicated keyspaces, without system, system_schema,
// system_traces and virtual ones, and without those of one copy: while that
// copy is away nothing can be deleted from it.
//
// A grace of zero gives no time at all. Such a table is harmless when nobody
// deletes from it and its rows only expire: ttlOnly says that an operator
// declared so. The others are returned as zero, as "keyspace.table", sorted,
// and do not move the deadline. at is the zero time when no table sets one.
func Deadline(s cluster.Schema, from time.Time, ttlOnly func(keyspace, table string) bool) (at time.Time, keyspace, table string, zero []string) {
	smallest := time.Duration(0)
	for _, ks := range s.Keyspaces {
		if !bound(ks) {
			continue
		}
		for _, t := range ks.Tables {
			switch {
			case t.GCGrace <= 0:
				if !ttlOnly(ks.Name, t.Name) {
					zero = append(zero, ks.Name+"."+t.Name)
				}
			case smallest == 0 || t.GCGrace < smallest || t.GCGrace == smallest && ks.Name+"."+t.Name < keyspace+"."+table:
				smallest, keyspace, table = t.GCGrace, ks.Name, t.Name
			}
		}
	}
	slices.Sort(zero)
	if smallest > 0 {
		at = from.Add(smallest)
	}
	return at, keyspace, table, zero
}

// bound says whether the tables of a keyspace set a deadline.
func bound(ks cluster.Keyspace) bool {
	return ks.Replication.Replicated() && !cluster.NeverReplicated(ks.Name) && ks.Name != "system_traces"
}
