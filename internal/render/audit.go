// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"supervisor/cluster"
	"supervisor/internal/api"
	"supervisor/residency"
)

// Audit draws /v1/audit: what stands beside where it may stand, and the way out.
func Audit(p Page, e api.Envelope[api.Audit]) string {
	l := &lines{p: p}
	a := e.Data
	l.head(fmt.Sprintf("POLICY v%d by %s: %q", a.Version, a.By, a.Why), asOf(p, e))
	l.wrapped("", fmt.Sprintf("%d forbidden · %s · %s · %s kept · %d of %s read", a.Forbidden, api.Counted(a.Risks, "risk"),
		api.Counted(a.Notes, "note"), api.Counted(a.Kept, "keyspace"), a.Read, api.Counted(a.Nodes, "node")))
	l.found(a.Findings)
	if !a.SchemaRead {
		l.wrapped("NOT READ  ", "ring and keyspaces: nothing is known of replication")
	}
	for _, u := range unread(a.NotRead) {
		l.wrapped("NOT READ  ", u)
	}
	l.wrapped("", "looked at replication, datacenters, hints, system tables, snapshots, CDC; nothing was moved or deleted")
	return l.text()
}

// found is a table of findings; what stands there and the way out are below each.
func (l *lines) found(findings []residency.AuditFinding) {
	if len(findings) == 0 {
		return
	}
	rows := [][]string{{"SEVERITY", "CODE", "WHERE", "MAY STAND IN"}}
	for _, f := range findings {
		rows = append(rows, []string{string(f.Severity), f.Code, f.Where, regionsOf(f)})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	const gap = 2
	indent := strings.Repeat(" ", widths[0]+gap)
	for i, row := range rows {
		label := ""
		for c, cell := range row[:len(row)-1] {
			label += cell + strings.Repeat(" ", widths[c]-utf8.RuneCountInString(cell)+gap)
		}
		l.wrapped(label, row[len(row)-1])
		if i > 0 {
			l.wrapped(indent+"stands   ", findings[i-1].Stands)
			l.wrapped(indent+"way out  ", findings[i-1].WayOut)
		}
	}
}

func regionsOf(f residency.AuditFinding) string {
	switch {
	case len(f.MayStand) > 0:
		return spelled(f.MayStand)
	case f.Code == residency.KeyspaceUnnamed:
		return "nowhere"
	}
	return "-"
}

func spelled[S ~string](names []S) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}

// unread says of which nodes what is not known, those with one reason together.
func unread(all []residency.NotRead) []string {
	var order []string
	nodes := map[string][]cluster.Name{}
	for _, u := range all {
		why := u.Why
		if len(u.Parts) < len(residency.Parts()) {
			why += " of " + spelled(u.Parts)
		}
		if _, known := nodes[why]; !known {
			order = append(order, why)
		}
		nodes[why] = append(nodes[why], u.Node)
	}
	const most = 10
	var out []string
	for _, why := range order {
		named := spelled(nodes[why][:min(most, len(nodes[why]))])
		if more := len(nodes[why]) - most; more > 0 {
			named += fmt.Sprintf(" and %d more", more)
		}
		out = append(out, named+": "+why)
	}
	return out
}

// difference says by keyspace and region what a policy would change.
func (l *lines) difference(d *residency.Difference) {
	if d == nil {
		return
	}
	for _, side := range []struct {
		label string
		pairs []residency.Pair
	}{{"  ALLOWED ", d.Allowed}, {"  REFUSED ", d.Refused}} {
		words := make([]string, len(side.pairs))
		for i, p := range side.pairs {
			words[i] = fmt.Sprintf("%s in %s", p.Keyspace, p.Region)
		}
		if len(words) > 0 {
			l.wrapped(side.label, strings.Join(words, dot))
		}
	}
}
