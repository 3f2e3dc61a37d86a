// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"supervisor/cluster"
)

// Severity is how much a finding of an audit matters.
type Severity string

// The severities, the gravest first.
const (
	Forbidden Severity = "forbidden" // data stands, or would be put, where the policy forbids it
	Risk      Severity = "risk"      // it may, by what is seen
	Note      Severity = "note"      // good to know
)

func (s Severity) rank() int { return slices.Index([]Severity{Forbidden, Risk, Note}, s) }

// The codes of an audit. Those that stand while nobody asks are codes of findings too.
const (
	WideReplication    = "RESIDENCY_WIDE_REPLICATION"
	DataLeft           = "RESIDENCY_DATA_LEFT"
	KeyspaceUnnamed    = "RESIDENCY_KEYSPACE_UNNAMED"
	DatacenterUnmapped = "RESIDENCY_DATACENTER_UNMAPPED"
	RegionDisputed     = "RESIDENCY_REGION_DISPUTED"
	ForeignHints       = "RESIDENCY_FOREIGN_HINTS"
	SystemCopy         = "RESIDENCY_SYSTEM_COPY"
	CDCSink            = "RESIDENCY_CDC_SINK"
)

// AuditFinding is one difference between the policy and what is.
type AuditFinding struct {
	Severity   Severity           `json:"severity"`
	Code       string             `json:"code"`
	Where      string             `json:"where"`  // its subject: "audit -> iad, RF 3"
	Stands     string             `json:"stands"` // the evidence
	MayStand   []cluster.Region   `json:"may_stand_in"`
	WayOut     string             `json:"way_out"`
	Keyspace   string             `json:"keyspace,omitempty"`
	Node       cluster.Name       `json:"node,omitempty"`
	Datacenter cluster.Datacenter `json:"datacenter,omitempty"`
	Region     cluster.Region     `json:"region,omitempty"` // where it stands; empty: not known
}

// checks are all that an audit looks at, in the order of how far its word reaches.
var checks = []struct {
	code string
	look func(auditor) []AuditFinding
}{
	{WideReplication, auditor.wide},
	{DataLeft, auditor.left},
	{KeyspaceUnnamed, auditor.unnamed},
	{DatacenterUnmapped, auditor.unmapped},
	{RegionDisputed, auditor.disputed},
	{ForeignHints, auditor.foreign},
	{SystemCopy, auditor.systemCopies},
	{CDCSink, auditor.sinks},
}

// Audit compares a policy with what is, the gravest first. With codes it looks for
// these alone. What is not known is no finding: see Unread.
func Audit(p Policy, f Facts, codes ...string) []AuditFinding {
	a := newAuditor(p, f)
	out := []AuditFinding{}
	for _, c := range checks {
		if len(codes) == 0 || slices.Contains(codes, c.code) {
			out = append(out, c.look(a)...)
		}
	}
	slices.SortStableFunc(out, func(x, y AuditFinding) int { return cmp.Compare(x.Severity.rank(), y.Severity.rank()) })
	for i := range out {
		if out[i].MayStand == nil {
			out[i].MayStand = []cluster.Region{}
		}
	}
	return out
}

// auditor has what several checks need, made once.
type auditor struct {
	f         Facts
	keyspaces []string // those that can stand elsewhere, sorted
	may       map[string]reach
	copies    map[string]map[cluster.Datacenter]int // replicas by keyspace; -1: by a strategy that is not known
	ring      map[cluster.Datacenter][]Node
	hosts     map[cluster.HostID]Node
}

func newAuditor(p Policy, f Facts) auditor {
	a := auditor{f: f, may: map[string]reach{}, copies: map[string]map[cluster.Datacenter]int{},
		ring: map[cluster.Datacenter][]Node{}, hosts: map[cluster.HostID]Node{}}
	for _, n := range f.Nodes {
		if n.Member {
			a.ring[n.Datacenter] = append(a.ring[n.Datacenter], n)
		}
		if n.HostID != "" {
			a.hosts[n.HostID] = n
		}
	}
	for _, ks := range f.Keyspaces {
		if moves(ks) {
			a.keyspaces = append(a.keyspaces, ks.Name)
			a.may[ks.Name], a.copies[ks.Name] = p.reach(ks.Name), a.replicas(ks.Replication)
		}
	}
	slices.Sort(a.keyspaces)
	return a
}

// replicas counts them by datacenter. What does not go by datacenters may stand
// in each of the ring.
func (a auditor) replicas(r cluster.Replication) map[cluster.Datacenter]int {
	out := map[cluster.Datacenter]int{}
	if r.Strategy == cluster.NetworkTopology {
		for dc, n := range r.Factors { // order: into a map
			if n > 0 {
				out[dc] = n
			}
		}
		return out
	}
	for dc, nodes := range a.ring { // order: into a map
		switch r.Strategy {
		case cluster.Simple:
			out[dc] = r.Factor
		case cluster.Everywhere:
			out[dc] = len(nodes)
		default:
			out[dc] = -1
		}
	}
	return out
}

// datacenters are those of ring and roster, sorted.
func (a auditor) datacenters() []cluster.Datacenter {
	set := map[cluster.Datacenter]bool{}
	for _, n := range a.f.Nodes {
		set[n.Datacenter] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// refusedAt lists the keyspaces that a rule speaks of and that may not stand where
// a node does. Where that is not known, nothing is said of single keyspaces: the
// datacenter is a finding.
func (a auditor) refusedAt(n Node) []string {
	places := a.f.places(n)
	if slices.Contains(places, "") {
		return nil
	}
	var out []string
	for _, ks := range a.keyspaces {
		if r := a.may[ks]; r.why != NoRule && refuses(r, places) {
			out = append(out, ks)
		}
	}
	return out
}

// few names some of many.
func few[S ~string](names []S) string {
	const most = 4
	words := make([]string, 0, most)
	for _, n := range names[:min(most, len(names))] {
		words = append(words, string(n))
	}
	text := strings.Join(words, ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func namesOf(nodes []Node) []cluster.Name {
	out := make([]cluster.Name, len(nodes))
	for i, n := range nodes {
		out[i] = n.Name
	}
	return out
}

func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
