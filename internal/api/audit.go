// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/residency"
)

// Audit is the answer of /v1/audit: the policy that stands, compared with what is.
type Audit struct {
	Version   int64  `json:"version"` // of the policy
	By        string `json:"by"`
	Why       string `json:"why"`
	Forbidden int    `json:"forbidden"`
	Risks     int    `json:"risks"`
	Notes     int    `json:"notes"`
	Kept      int    `json:"kept"` // keyspaces that a rule names and that are not forbidden anywhere
	// Nodes are those of ring and roster, Read those of which everything is known.
	Nodes      int                      `json:"nodes"`
	Read       int                      `json:"read"`
	SchemaRead bool                     `json:"schema_read"` // false: nothing is known of replication
	Findings   []residency.AuditFinding `json:"findings"`    // the gravest first
	NotRead    []residency.NotRead      `json:"not_read"`
}

// Whole tells whether everything was looked at. What was not is not fine.
func (a Audit) Whole() bool { return a.SchemaRead && len(a.NotRead) == 0 }

// AuditOf compares the policy that stands with what this agent knows of all nodes.
func AuditOf(s Snapshot) (Audit, []string, error) {
	p, version := s.standing()
	switch {
	case p == nil && version != 0:
		return Audit{}, nil, problem(PolicyNone, "policy", fmt.Sprintf("policy v%d stands and cannot be read by this agent", version))
	case p == nil:
		return Audit{}, nil, problem(PolicyNone, "policy", "no policy was applied, so there is nothing to compare with")
	}
	a := auditOf(s, p)
	var missing []string
	if !a.SchemaRead {
		missing = append(missing, "schema: ring and keyspaces were not read yet, so nothing is known of replication")
	}
	if n := len(a.NotRead); n > 0 {
		missing = append(missing, fmt.Sprintf("nodes: %d of %s %s not read, see not_read", n, Counted(a.Nodes, "node"), Plural(n, "is", "are")))
	}
	return a, missing, nil
}

func auditOf(s Snapshot, p *incident.Policy) Audit {
	facts := incident.ResidencyFacts(s.World)
	a := Audit{Version: p.Version, By: p.By, Why: p.Why, Nodes: len(facts.Nodes), SchemaRead: s.World.Schema != nil,
		Findings: residency.Audit(p.Residency, facts), NotRead: residency.Unread(facts)}
	a.Read = a.Nodes - len(a.NotRead)
	faulty := map[string]bool{}
	for _, f := range a.Findings {
		switch f.Severity {
		case residency.Forbidden:
			a.Forbidden++
		case residency.Risk:
			a.Risks++
		default:
			a.Notes++
		}
		if f.Severity == residency.Forbidden || f.Code == residency.KeyspaceUnnamed {
			faulty[f.Keyspace] = true
		}
	}
	for _, ks := range facts.Keyspaces {
		if !cluster.NeverReplicated(ks.Name) && ks.Replication.Strategy != cluster.Local && !faulty[ks.Name] {
			a.Kept++
		}
	}
	return a
}

// residency is what an audit finds, counted: how often each code, at each severity,
// and where the schema says so itself, which keyspace in which datacenter.
func (g gauges) residency(s Snapshot) {
	p, _ := s.standing()
	if p == nil || s.World.Schema == nil {
		return
	}
	a := auditOf(s, p)
	for _, c := range []struct {
		severity residency.Severity
		n        int
	}{{residency.Forbidden, a.Forbidden}, {residency.Risk, a.Risks}, {residency.Note, a.Notes}} {
		g.set(descAudit, float64(c.n), string(c.severity))
	}
	g.set(descUnread, float64(len(a.NotRead)))
	for _, f := range a.Findings {
		if f.Code == residency.WideReplication && f.Severity == residency.Forbidden {
			g.set(descForbidden, 1, f.Keyspace, string(f.Datacenter))
		}
	}
}
