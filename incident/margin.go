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

// quorumWithout tells whether any range could take quorum writes while the
// node was away. Without a schema it is not known, and unknown is "yes": then
// a return repairs.
func quorumWithout(w World, node cluster.Name) bool {
	if w.Schema == nil {
		return len(w.serving(node)) > 0
	}
	margins, err := cluster.MarginsOf(*w.Schema, node, func(n cluster.Name) bool { return n != node && w.Serves(n) })
	if err != nil {
		return true
	}
	return slices.ContainsFunc(margins, func(m cluster.Margin) bool {
		return !cluster.NeverReplicated(m.Keyspace) && m.Have >= 1 && m.Spare() >= 0
	})
}

// quorumAllows holds a fence of a serving node against quorum-survives, and
// says which range would break. A node that serves nothing costs nothing.
func (t *turn) quorumAllows() bool {
	if !t.w.Serves(t.r.Node) {
		return true
	}
	if t.w.Schema == nil {
		t.wait(QuorumSurvives, "waits_preflight", "reason", "the ring is not known")
		return false
	}
	margins, err := cluster.MarginsOf(*t.w.Schema, t.r.Node, func(n cluster.Name) bool { return n != t.r.Node && t.w.Serves(n) })
	if err != nil {
		t.wait(QuorumSurvives, "waits_preflight", "reason", err.Error())
		return false
	}
	for _, m := range margins {
		if !cluster.Exempt(m.Keyspace) && m.Spare() < 0 && !t.authAccepted(m.Keyspace) {
			t.wait(QuorumSurvives, "waits_preflight", "reason",
				fmt.Sprintf("it would leave a range of %s with %d of %d replicas, need %d", m.Keyspace, m.Have, m.RF, m.Need))
			return false
		}
	}
	return true
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
	sync := syncPeriodDefault
	if facts := w.Agents[r.Node].Cassandra; facts != nil && facts.SyncPeriod > sync {
		sync = facts.SyncPeriod
	}
	last := r.Began
	if v.LastAlive != 0 && v.LastAlive < v.Since {
		last = w.Wall.Add(-w.Now.Sub(v.LastAlive))
	}
	o := Outage{From: last.Add(-sync - outageMargin).UTC()}
	if w.Schema != nil {
		at, ks, table, _ := repair.Deadline(*w.Schema, o.From, ttlOnly(w.Policy))
		o.Deadline = at
		if !at.IsZero() {
			o.Table = ks + "." + table
		}
	}
	return o
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
