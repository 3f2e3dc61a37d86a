// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"supervisor/cluster"
	"supervisor/residency"
)

// ResidencyFacts is what is known for an audit of where data stands: the ring and
// the keyspaces, who is on which roster, and what every agent tells of its own
// Cassandra. Without a policy there is nothing to compare with.
func ResidencyFacts(w World) residency.Facts {
	var f residency.Facts
	if w.Policy != nil {
		f.Version, f.Regions = w.Policy.Version, w.Policy.Regions
	}
	nodes := map[cluster.Name]residency.Node{}
	for n, h := range w.Hosts { // order: into a map
		nodes[n] = residency.Node{Name: n, HostID: h.HostID, Datacenter: h.Datacenter, Roster: h.Region}
	}
	if w.Schema != nil {
		f.Keyspaces = slices.Concat([]cluster.Keyspace{}, w.Schema.Keyspaces)
		for _, m := range w.Schema.Members {
			node := residency.Node{Name: m.Name, HostID: m.HostID, Datacenter: m.Datacenter, Member: true, Roster: w.Hosts[m.Name].Region}
			if foreign, is := w.Abroad[m.Name]; is {
				node.Roster = foreign.Region
			}
			nodes[m.Name] = node
		}
	}
	for _, n := range slices.Sorted(maps.Keys(nodes)) {
		node := nodes[n]
		if a, heard := w.agent(n); heard {
			node.Heard, node.Told = true, a.Residency
		}
		f.Nodes = append(f.Nodes, node)
	}
	return f
}

// audited is a row that holds where an audit says its code, by keyspace or, where
// no keyspace is meant, by datacenter.
func audited(code string) func(World) []Subjected {
	return func(w World) []Subjected {
		if w.Policy == nil || w.Schema == nil {
			return nil
		}
		where := map[string][]residency.AuditFinding{}
		for _, a := range residency.Audit(w.Policy.Residency, ResidencyFacts(w), code) {
			name := a.Keyspace
			if name == "" {
				name = string(a.Datacenter)
			}
			if loud(a) {
				where[name] = append(where[name], a)
			}
		}
		var out []Subjected
		for _, name := range slices.Sorted(maps.Keys(where)) {
			if where[name][0].Keyspace == "" {
				out = append(out, subject(name, "datacenter", name))
				continue
			}
			out = append(out, subject(name, "keyspace", name, "where", placesOf(where[name]), "permitted", permittedOf(where[name][0])))
		}
		return out
	}
}

// loud tells whether what an audit says stands as a finding while nobody asks: what
// is forbidden, and a datacenter that no region names.
func loud(a residency.AuditFinding) bool {
	return a.Severity == residency.Forbidden || a.Code == residency.DatacenterUnmapped
}

// placesOf spells where data stands; the amount is left out, so that the sentence
// rests.
func placesOf(found []residency.AuditFinding) string {
	var words []string
	for _, a := range found {
		what := string(a.Datacenter)
		if a.Node != "" {
			what = string(a.Node)
		}
		if a.Region != "" {
			what += fmt.Sprintf(" (region %s)", a.Region)
		}
		words = append(words, what)
	}
	return strings.Join(words, ", ")
}

func permittedOf(a residency.AuditFinding) string {
	if len(a.MayStand) == 0 {
		return "nowhere"
	}
	words := make([]string, len(a.MayStand))
	for i, r := range a.MayStand {
		words[i] = string(r)
	}
	return strings.Join(words, ", ")
}
