// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
	"supervisor/repair"
)

// replicatedIn tells whether a keyspace has replicas in a datacenter.
func replicatedIn(ks cluster.Keyspace, dc cluster.Datacenter) bool {
	switch ks.Replication.Strategy {
	case cluster.NetworkTopology:
		return ks.Replication.Factors[dc] > 0
	case cluster.Simple:
		return ks.Replication.Factor > 0
	case cluster.Everywhere:
		return true
	case cluster.Local, cluster.StrategyUnknown:
		return false
	}
	return false
}

// coldSkew is how far apart two nodes may be seen to go that went at once.
const coldSkew = 2 * time.Second

// takesWrites tells whether a node took writes after a moment, or may do so
// now: everybody but those whose process is known to be gone and was not seen
// to answer since. One of which nobody knows counts as unknown says, but one that
// was seen alive before may have gone on until it is known to be gone.
func takesWrites(w World, n cluster.Name, after cluster.Moment, unknown bool) bool {
	if f, foreign := w.Abroad[n]; foreign {
		s := f.Agent.Sights
		return unknown || f.Lost || f.Heard && (s == nil || s.Runs) // nobody here sees whether one out of reach goes on
	}
	v := w.verdict(n)
	switch {
	case v.Answer == membership.Unknown:
		return unknown || v.LastAlive != 0 && w.Now > after
	case v.Answer == membership.Gone && v.Cause == membership.ProcessDown:
		return v.LastAlive > after
	}
	return w.Now > after
}

// quorumWithout tells whether writes that the node misses can have been
// acknowledged: whether the others that may take writes are a quorum of any
// range it replicates, in any datacenter or over all. What is not known is
// "yes": then a return repairs. takes tells who took writes.
func quorumWithout(w World, node cluster.Name, takes func(cluster.Name) bool) bool {
	if w.Schema == nil {
		return slices.ContainsFunc(w.nodes(), func(n cluster.Name) bool { return n != node && takes(n) })
	}
	ring, err := w.Schema.Ring()
	if err != nil {
		return true
	}
	home := make(map[cluster.Name]cluster.Datacenter, len(w.Schema.Members))
	for _, m := range w.Schema.Members {
		home[m.Name] = m.Datacenter
	}
	for _, ks := range w.Schema.Keyspaces {
		if cluster.NeverReplicated(ks.Name) || cluster.Exempt(ks.Name) || ring.Total(ks.Replication) < 2 {
			continue
		}
		placed, err := ring.PlacementOf(ks.Replication, node)
		if err != nil {
			return true
		}
		for _, p := range placed {
			if acknowledges(ks, p.Replicas, home, ring.Total(ks.Replication),
				func(n cluster.Name) bool { return n != node && takes(n) }) {
				return true
			}
		}
	}
	return false
}

// acknowledges tells whether the other replicas of a range can be a quorum.
func acknowledges(ks cluster.Keyspace, replicas []cluster.Name, home map[cluster.Name]cluster.Datacenter, total int, takes func(cluster.Name) bool) bool {
	all, in := 0, map[cluster.Datacenter]int{}
	for _, n := range replicas {
		if takes(n) {
			all++
			in[home[n]]++
		}
	}
	if all >= cluster.Quorum(total) {
		return true
	}
	for dc, rf := range ks.Replication.Factors {
		if rf > 0 && in[dc] >= cluster.Quorum(rf) {
			return true
		}
	}
	return false
}

// quorumFault says which range would break if the node were kept from
// readers; empty when none. A node that is known to serve nobody costs nothing;
// one of which nobody knows may be the one that a range still needs.
func (t *turn) quorumFault() string {
	if t.w.idle(t.r.Node) {
		return ""
	}
	if t.w.Schema == nil {
		return "the ring is not known"
	}
	// A replica whose clients' port is closed by a hand still serves the others.
	others := func(n cluster.Name) bool {
		return n != t.r.Node && (t.w.Serves(n) || t.w.InRing(n) && !t.w.fenced(n))
	}
	margins, err := cluster.MarginsOf(*t.w.Schema, t.r.Node, others)
	if err != nil {
		return err.Error()
	}
	across, err := cluster.MarginsAcrossOf(t.w.watched(), t.r.Node, others)
	if err != nil {
		return err.Error()
	}
	for _, m := range slices.Concat(margins, across) {
		if !cluster.Exempt(m.Keyspace) && m.Spare() < 0 && !t.authAccepted(m.Keyspace) {
			return fmt.Sprintf("it would leave a range of %s with %d of %d replicas, need %d", m.Keyspace, m.Have, m.RF, m.Need)
		}
	}
	return ""
}

// watched is the schema without the keyspaces that have replicas where nobody
// is on the roster, nor heard from another region: of those replicas nothing is
// known, and a quorum over all datacenters cannot be counted.
func (w *World) watched() cluster.Schema {
	s := *w.Schema
	here := w.known()
	s.Keyspaces = slices.DeleteFunc(slices.Clone(s.Keyspaces), func(ks cluster.Keyspace) bool {
		for dc, rf := range ks.Replication.Factors { // order: only whether there is one
			if rf > 0 && !slices.Contains(here, dc) {
				return true
			}
		}
		return false
	})
	return s
}

// quorumAllows holds a fence of a serving node against quorum-survives and
// waits when it would break a range.
func (t *turn) quorumAllows() bool {
	why := t.quorumFault()
	if why != "" {
		t.wait(QuorumSurvives, "waits_preflight", "reason", why)
	}
	return why == ""
}

func (t *turn) authAccepted(keyspace string) bool {
	return keyspace == "system_auth" && t.w.Policy != nil && t.w.Policy.AcceptAuthRF
}

// marginWords says how close the edge is while the node is out.
func (t *turn) marginWords() string {
	m, ok := Tightest(t.w, t.r.Datacenter, t.r.Node)
	if !ok {
		return "margins not known yet"
	}
	return fmt.Sprintf("every range still has %d of %d, need %d", m.Have, m.RF, m.Need)
}

// Tightest is the smallest margin of a datacenter over all counted keyspaces,
// with the node left out; an empty node leaves nobody out. ok is false when
// ring or schema are not known.
func Tightest(w World, dc cluster.Datacenter, without cluster.Name) (cluster.Margin, bool) {
	if w.Schema == nil {
		return cluster.Margin{}, false
	}
	margins, err := cluster.Margins(*w.Schema, func(n cluster.Name) bool { return n != without && w.Serves(n) })
	if err != nil {
		return cluster.Margin{}, false
	}
	var best cluster.Margin
	found := false
	for _, m := range margins {
		counted := !cluster.Exempt(m.Keyspace) && m.RF > 1 && (m.Datacenter == dc || m.Datacenter == "")
		if counted && (!found || m.Spare() < best.Spare()) {
			best, found = m, true
		}
	}
	return best, found
}

// syncPeriodDefault is Cassandra's commitlog_sync_period when nobody asked it:
// what it acknowledged in this time a killed process may not know.
const (
	syncPeriodDefault = 10 * time.Second
	outageMargin      = 5 * time.Second
)

// outage is the window of writes the node may have missed. It starts before
// the last proof of life, because a killed process loses what it acknowledged
// since its last sync.
func outage(r Record, v membership.Verdict, w World) Outage {
	last := r.Began
	if v.LastAlive != 0 && v.LastAlive < v.Since {
		last = w.Wall.Add(-w.Now.Sub(v.LastAlive))
	}
	o := Outage{From: last.Add(-unsynced(r.Node, w)).UTC(), Unseen: v.LastAlive == 0}
	return o.told(r, w).dated(w)
}

// unsynced is how long before its end a process may have acknowledged what its
// disk does not have.
func unsynced(n cluster.Name, w World) time.Duration {
	sync := syncPeriodDefault
	if facts := w.Agents[n].Cassandra; facts != nil && facts.SyncPeriod > sync {
		sync = facts.SyncPeriod
	}
	return sync + outageMargin
}

// told takes the own agent's word for a beginning that no observer saw, or that
// was long before: its gate started the node unasked, and what they saw alive
// since lacked writes already. It is wall time of another host, so it may only
// move the beginning back; what is later than the incident is of another process
// and says nothing about this one.
func (o Outage) told(r Record, w World) Outage {
	said := w.Agents[r.Node]
	if !o.Unseen && !said.Unrepaired || said.Alive.IsZero() || said.Alive.After(r.Began) {
		return o
	}
	if from := said.Alive.Add(-unsynced(r.Node, w)).UTC(); o.Unseen || from.Before(o.From) {
		o.From, o.Unseen = from, false
	}
	return o
}

// dated fills in the deadline once the schema is known, and brings it forward
// when a gc_grace was lowered, or a table made, during the outage: the smallest
// that stood at any time counts, because tombstones were dropped by it.
func (o Outage) dated(w World) Outage {
	if w.Schema == nil {
		return o
	}
	at, ks, table, _ := repair.Deadline(*w.Schema, o.From, ttlOnly(w.Policy))
	if !at.IsZero() && (o.Deadline.IsZero() || at.Before(o.Deadline)) {
		o.Deadline, o.Table = at, ks+"."+table
	}
	return o
}

// expired tells whether the data of the node must not be read again. The last
// instant counts as passed: the repair must have ended before.
func (t *turn) expired() bool { return t.r.Outage.expired(t.w.Wall) }

func (o Outage) expired(wall time.Time) bool { return !o.Deadline.IsZero() && !wall.Before(o.Deadline) }

func (t *turn) expiredReason() string {
	return "the deadline of " + t.r.Outage.Table + " has passed: deleted rows could come back; replace the node"
}

// ageFault tells why the data of the node may be too old to be repaired. How
// long it was away must be known: a guess could let deleted rows come back. A
// ring that went as a whole has dropped no tombstones meanwhile.
func (t *turn) ageFault() *fault {
	switch _, said := t.w.Agents[t.r.Node]; {
	case t.expired():
		return &fault{RuleGCGrace, t.expiredReason(), true}
	case !t.r.Outage.Unseen || t.cold():
		return nil
	case !said:
		return &fault{RuleReach, "its agent has not said yet when its Cassandra last ran", false}
	}
	return &fault{RuleGCGrace, "nobody saw it alive, so how long it was away is not known: write the time when it last ran into the file alive " +
		"in its agent's state_dir (2026-01-31T12:00:00Z), or replace the node", true}
}

func (t *turn) deadline() (time.Time, string, string, []string) {
	if t.w.Schema == nil {
		return time.Time{}, "", "", nil
	}
	return repair.Deadline(*t.w.Schema, t.r.Outage.From, ttlOnly(t.w.Policy))
}

func ttlOnly(p *Policy) func(ks, table string) bool {
	return func(ks, table string) bool { return p != nil && slices.Contains(p.TTLOnly, ks+"."+table) }
}
