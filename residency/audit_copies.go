// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"supervisor/cluster"
)

// foreign finds coordinators in regions where a keyspace may not stand: a write that
// one of them cannot deliver waits on its disk as a hint. Where replicas stand as
// well, those are the finding.
func (a auditor) foreign() []AuditFinding {
	var out []AuditFinding
	for _, n := range a.f.Nodes {
		for _, ks := range a.refusedAt(n) {
			seen := a.coordinates(n, ks)
			if len(seen) == 0 || a.copies[ks][n.Datacenter] != 0 {
				continue
			}
			out = append(out, AuditFinding{Severity: Risk, Code: ForeignHints, Keyspace: ks, Node: n.Name, Datacenter: n.Datacenter, Region: a.f.regionOf(n.Datacenter),
				MayStand: a.may[ks].regions, Where: fmt.Sprintf("%s on %s", ks, n.Name), Stands: strings.Join(seen, ", "),
				WayOut: fmt.Sprintf("move its clients' contact points and local datacenter out of %s", n.Datacenter)})
		}
	}
	return out
}

// coordinates says what tells that a node takes writes of a keyspace that others keep.
func (a auditor) coordinates(n Node, ks string) []string {
	var seen []string
	if a.f.known(n, PartHints) {
		if waiting := a.hinted(n, ks); len(waiting) > 0 {
			seen = append(seen, "hints wait there for "+few(waiting)+", which has replicas")
		}
	}
	if a.f.known(n, PartWrites) && slices.Contains(n.Told.Written, ks) {
		seen = append(seen, "it has coordinated writes since it started")
	}
	if a.f.known(n, PartClients) && slices.Contains(n.Told.Clients, ks) {
		seen = append(seen, "clients are connected with it")
	}
	return seen
}

// hinted lists the nodes that have replicas of a keyspace and that hints wait for. One
// that is not in the ring any more may have had some.
func (a auditor) hinted(n Node, ks string) []cluster.Name {
	var out []cluster.Name
	for _, id := range n.Told.HintsFor {
		switch h, known := a.hosts[id]; {
		case !known:
			out = append(out, cluster.Name(id))
		case a.copies[ks][h.Datacenter] != 0:
			out = append(out, h.Name)
		}
	}
	return out
}

// systemCopies finds copies that Cassandra makes for itself: snapshots, traces of queries with
// their values, and batches that are not through.
func (a auditor) systemCopies() []AuditFinding {
	var out []AuditFinding
	for _, n := range a.f.Nodes {
		refused := a.refusedAt(n)
		found := func(s Severity, ks, what, stands, wayOut string, may []cluster.Region) {
			out = append(out, AuditFinding{Severity: s, Code: SystemCopy, Keyspace: ks, Node: n.Name, Datacenter: n.Datacenter, Region: a.f.regionOf(n.Datacenter),
				MayStand: may, Where: fmt.Sprintf("%s on %s", what, n.Name), Stands: stands, WayOut: wayOut})
		}
		for _, ks := range refused {
			if a.f.known(n, PartSnapshots) && slices.Contains(n.Told.Snapshots, ks) {
				found(Forbidden, ks, "snapshots of "+ks, "a snapshot of it", fmt.Sprintf("nodetool listsnapshots, then nodetool clearsnapshot %s on %s", ks, n.Name), a.may[ks].regions)
			}
		}
		users := slices.DeleteFunc(refused, cluster.OfCassandra)
		if len(users) == 0 {
			continue
		}
		if a.f.known(n, PartTraces) && n.Told.Traces {
			found(Risk, "", "system_traces", "traced queries with their values; "+few(users)+" may not stand there",
				"nodetool settraceprobability 0, then TRUNCATE system_traces.sessions and system_traces.events; they expire after a day", nil)
		}
		if a.f.known(n, PartBatches) && n.Told.Batches {
			found(Risk, "", "system.batches", "logged batches that are not through; "+few(users)+" may not stand there",
				"they go when they are replayed; move the clients that write them", nil)
		}
	}
	return out
}

// sinks finds tables of restricted keyspaces whose changes a node keeps for somebody
// who takes them away: where to, no one here knows.
func (a auditor) sinks() []AuditFinding {
	nodes := map[string][]cluster.Name{}
	for _, n := range a.f.Nodes {
		if !a.f.known(n, PartCDC) {
			continue
		}
		for _, table := range n.Told.CDC {
			nodes[table] = append(nodes[table], n.Name)
		}
	}
	var out []AuditFinding
	for _, table := range slices.Sorted(maps.Keys(nodes)) {
		ks, _, _ := strings.Cut(table, ".")
		may, exists := a.may[ks]
		if !exists || may.why == NoRule {
			continue
		}
		out = append(out, AuditFinding{Severity: Risk, Code: CDCSink, Keyspace: ks, Where: table, Stands: "changes are kept in cdc_raw on " + few(nodes[table]),
			MayStand: may.regions, WayOut: "see that whoever takes them away keeps them where the data may stand, or set cdc = false"})
	}
	return out
}
