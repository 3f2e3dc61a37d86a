// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"fmt"
	"maps"
	"slices"

	"supervisor/cluster"
)

// wide finds replicas in regions that the policy does not permit, by what the
// schema says.
func (a auditor) wide() []AuditFinding {
	var out []AuditFinding
	for _, ks := range a.keyspaces {
		may := a.may[ks]
		if may.why == NoRule {
			continue // see unnamed
		}
		for _, dc := range slices.Sorted(maps.Keys(a.copies[ks])) {
			region := a.f.regionOf(dc)
			if region == "" && len(a.ring[dc]) > 0 || may.allows(region) {
				continue // see unmapped
			}
			f := AuditFinding{Severity: Forbidden, Code: WideReplication, Keyspace: ks, Datacenter: dc, Region: region, MayStand: may.regions,
				Where: fmt.Sprintf("%s -> %s, %s", ks, dc, factor(a.copies[ks][dc])), Stands: a.standing(ks, dc),
				WayOut: fmt.Sprintf("alter the keyspace so that %s has no replica, then clean up there by hand", dc)}
			switch {
			case len(a.ring[dc]) == 0:
				f.Severity, f.Stands = Risk, "no node of it is in the ring; the next one would be given replicas"
			case a.copies[ks][dc] < 0:
				f.Severity, f.WayOut = Risk, "replicate it by NetworkTopologyStrategy, which says where"
			}
			out = append(out, f)
		}
	}
	return out
}

func factor(n int) string {
	if n < 0 {
		return "by a strategy that is not known"
	}
	return fmt.Sprintf("RF %d", n)
}

// standing says how much of a keyspace stands in a datacenter, as far as it is known.
func (a auditor) standing(ks string, dc cluster.Datacenter) string {
	var bytes int64
	asked := 0
	for _, n := range a.ring[dc] {
		if a.f.known(n, PartStored) {
			asked++
			bytes += n.Told.Stored[ks]
		}
	}
	if asked == 0 {
		return fmt.Sprintf("how much is not known, %s", counted(len(a.ring[dc]), "node"))
	}
	return fmt.Sprintf("at most %s on %d of %s", size(bytes), asked, counted(len(a.ring[dc]), "node"))
}

// size spells bytes; they are rounded up already.
func size(n int64) string {
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	unit := 0
	for n >= 1024 && unit < len(units)-1 {
		n, unit = (n+1023)/1024, unit+1
	}
	return fmt.Sprintf("%d %s", n, units[unit])
}

// left finds data that stands where neither policy nor replication puts it: what an
// earlier replication left, or somebody copied.
func (a auditor) left() []AuditFinding {
	var out []AuditFinding
	for _, n := range a.f.Nodes {
		if !a.f.known(n, PartStored) {
			continue
		}
		for _, ks := range slices.Sorted(maps.Keys(n.Told.Stored)) {
			may, exists := a.may[ks]
			region := a.f.regionOf(n.Datacenter)
			if !exists || may.why == NoRule || n.Told.Stored[ks] <= 0 || may.allows(region) || a.copies[ks][n.Datacenter] != 0 {
				continue
			}
			out = append(out, AuditFinding{Severity: Forbidden, Code: DataLeft, Keyspace: ks, Node: n.Name, Datacenter: n.Datacenter, Region: region,
				MayStand: may.regions, Where: fmt.Sprintf("%s on %s", ks, n.Name), Stands: fmt.Sprintf("at most %s, and no replica belongs there", size(n.Told.Stored[ks])),
				WayOut: fmt.Sprintf("see that its own replicas have the data, then nodetool cleanup %s on %s", ks, n.Name)})
		}
	}
	return out
}

// unnamed finds keyspaces that no rule speaks of.
func (a auditor) unnamed() []AuditFinding {
	var out []AuditFinding
	for _, ks := range a.keyspaces {
		if a.may[ks].why == NoRule {
			out = append(out, AuditFinding{Severity: Risk, Code: KeyspaceUnnamed, Keyspace: ks, Where: ks,
				Stands: "replicas in " + orNone(few(slices.Sorted(maps.Keys(a.copies[ks])))), WayOut: "name it in the policy; until then it is not repaired and not moved"})
		}
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "no datacenter"
	}
	return s
}

// unmapped finds datacenters that no region of the policy names. With data of
// users in them it stands where nobody said that it may.
func (a auditor) unmapped() []AuditFinding {
	var out []AuditFinding
	for _, dc := range a.datacenters() {
		if a.f.regionOf(dc) != "" {
			continue
		}
		f := AuditFinding{Severity: Risk, Code: DatacenterUnmapped, Datacenter: dc, Where: string(dc),
			Stands: counted(len(a.ring[dc]), "node") + " in the ring, no keyspace of users has replicas there",
			WayOut: "name it under its region in the policy; until then nothing is moved there"}
		if held := a.heldIn(dc, func(string) bool { return true }); len(held) > 0 {
			f.Severity, f.Stands = Forbidden, fmt.Sprintf("%s in the ring, replicas of %s", counted(len(a.ring[dc]), "node"), few(held))
		}
		out = append(out, f)
	}
	return out
}

// heldIn lists the keyspaces of users with replicas in a datacenter of which so holds.
func (a auditor) heldIn(dc cluster.Datacenter, so func(ks string) bool) []string {
	var out []string
	for _, ks := range a.keyspaces {
		if !cluster.OfCassandra(ks) && a.copies[ks][dc] != 0 && so(ks) {
			out = append(out, ks)
		}
	}
	return out
}

// disputed finds datacenters that stand elsewhere by the roster than by the policy.
func (a auditor) disputed() []AuditFinding {
	var out []AuditFinding
	for _, dc := range a.datacenters() {
		region := a.f.regionOf(dc)
		var nodes []Node
		for _, n := range a.f.Nodes {
			if n.Datacenter == dc && region != "" && n.Roster != "" && n.Roster != region {
				nodes = append(nodes, n)
			}
		}
		if len(nodes) == 0 {
			continue
		}
		f := AuditFinding{Severity: Risk, Code: RegionDisputed, Datacenter: dc, Region: region, Where: string(dc),
			Stands: fmt.Sprintf("region %s by the policy, %s by the roster (%s)", region, nodes[0].Roster, few(namesOf(nodes))),
			WayOut: "find out where it is, then mend the regions of the policy or the roster"}
		held := a.heldIn(dc, func(ks string) bool { return a.may[ks].allows(region) && !a.may[ks].allows(nodes[0].Roster) })
		if len(held) > 0 {
			f.Severity = Forbidden
			f.Stands += fmt.Sprintf("; %s may not stand in %s", few(held), nodes[0].Roster)
		}
		out = append(out, f)
	}
	return out
}
