// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"
	"strings"
)

// Severity is how much a finding matters.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // data, quorum, a fence or a border is in danger, or only a person can go on
	Warning Severity = "warning" // less redundancy, or it will become an error
	Info    Severity = "info"    // good to know, never alerts
)

// Scope is what a finding is about.
type Scope string

// The scopes.
const (
	ScopeNode     Scope = "node"
	ScopeAgent    Scope = "agent"
	ScopeDC       Scope = "datacenter"
	ScopeCluster  Scope = "cluster"
	ScopePool     Scope = "pool"
	ScopeKeyspace Scope = "keyspace"
	ScopeStore    Scope = "store"
	ScopeIncident Scope = "incident"
)

// Row is one thing the supervisor can believe. Code, meaning and severity of
// a row never change; what is worse gets another code.
type Row struct {
	Code     string
	Severity Severity
	Scope    Scope
	Template string // the sentence, with {arguments}
	Runbook  string // what a person does, in one line
	Mutable  bool
	holds    func(World) []Subjected
}

// Subjected is a subject of which a row holds, with the sentence's arguments.
type Subjected struct {
	Subject string
	Args    map[string]string
}

// Finding is a row that holds now.
type Finding struct {
	Code     string            `json:"code"`
	Severity Severity          `json:"severity"`
	Scope    Scope             `json:"scope"`
	Subject  string            `json:"subject"`
	Sentence string            `json:"sentence"`
	Args     map[string]string `json:"args,omitempty"`
	Runbook  string            `json:"runbook"`
	Mutable  bool              `json:"mutable"`
	Handled  string            `json:"handled,omitempty"` // the incident that deals with it
}

// Rows lists the table in its order; the order is the rank in which findings
// are shown.
func Rows() []Row { return slices.Clone(rows) }

// RowOf finds a row by its code.
func RowOf(code string) (Row, bool) {
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Code == code })
	if i < 0 {
		return Row{}, false
	}
	return rows[i], true
}

// Diagnose says what holds now, in the table's order and by subject within a
// row. Findings follow the present: one that no longer holds is not there.
func Diagnose(w World) []Finding {
	var out []Finding
	for _, row := range rows {
		subjects := row.holds(w)
		slices.SortFunc(subjects, func(a, b Subjected) int { return strings.Compare(a.Subject, b.Subject) })
		for _, s := range subjects {
			out = append(out, row.finding(s, w))
		}
	}
	return out
}

func (row Row) finding(s Subjected, w World) Finding {
	f := Finding{Code: row.Code, Severity: row.Severity, Scope: row.Scope, Subject: s.Subject, Args: s.Args,
		Runbook: row.Runbook, Mutable: row.Mutable, Sentence: Sentence(row.Code, s.Args)}
	if row.Scope == ScopeNode && !w.toldBy(s.Subject, row.Code) {
		for _, r := range w.Open {
			if string(r.Node) == s.Subject && r.Phase != Held && r.Mode != Observe {
				f.Handled = r.ID
			}
		}
	}
	return f
}
