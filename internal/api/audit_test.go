// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/residency"
)

func TestAuditOf(t *testing.T) {
	a, missing, err := api.AuditOf(apitest.Audited())
	if err != nil {
		t.Fatal(err)
	}
	if a.Forbidden != 1 || a.Risks != 2 || a.Kept != 2 || a.Nodes != 4 || a.Read != 3 || a.Whole() || a.Findings[0].Code != residency.WideReplication {
		t.Errorf("got %+v", a)
	}
	if len(missing) != 1 || !strings.Contains(missing[0], "1 of 4 nodes is not read") || len(a.NotRead) != 1 || a.NotRead[0].Node != "n3" {
		t.Errorf("missing %q, not read %+v", missing, a.NotRead)
	}
}

// What nobody has looked at is not fine.
func TestAnAuditWithoutARing(t *testing.T) {
	s := apitest.Audited()
	s.World.Schema = nil
	a, missing, err := api.AuditOf(s)
	if err != nil || a.Whole() || a.SchemaRead || a.Kept != 0 || len(missing) != 2 || !strings.Contains(missing[0], "nothing is known of replication") {
		t.Errorf("got %+v, %q, %v", a, missing, err)
	}
}

func TestAnAuditWithoutAPolicy(t *testing.T) {
	version := int64(8)
	for want, change := range map[string]func(*incident.World){
		"no policy was applied": func(w *incident.World) { w.Policy = nil },
		"cannot be read":        func(w *incident.World) { w.PolicyUnread = &version },
	} {
		s := apitest.Audited()
		change(&s.World)
		_, _, err := api.AuditOf(s)
		var p *api.Problem
		if !errors.As(err, &p) || p.Code != api.PolicyNone || p.Exit != api.ExitNotFound || !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestAuditIsAnsweredAndCounted(t *testing.T) {
	status, _, b := serve(t, apitest.Audited()).do(t, http.MethodGet, "/v1/audit", "")
	if text := string(b); status != http.StatusOK || !strings.Contains(text, `"partial":true`) || !strings.Contains(text, `"code":"RESIDENCY_WIDE_REPLICATION"`) {
		t.Errorf("%d %s", status, b)
	}
	_, families := api.Gathered(t, apitest.Audited())
	for _, row := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"residency_findings", []string{"severity=forbidden"}, 1}, {"residency_findings", []string{"severity=risk"}, 2}, {"residency_findings", []string{"severity=note"}, 0},
		{"residency_forbidden", []string{"datacenter=dc2", "keyspace=orders"}, 1}, {"residency_nodes_unread", nil, 1},
	} {
		if got := api.Value(families["cassandra_supervisor_"+row.name], row.labels...); got != row.want {
			t.Errorf("%s%v is %g, want %g", row.name, row.labels, got, row.want)
		}
	}
}

// A name that another pattern spoke for before may stand in more places, though each
// pattern alone permits what it did.
func TestAPatternThatTakesOverWidens(t *testing.T) {
	s := apitest.Audited()
	rules := func(r ...residency.Rule) residency.Policy { return residency.Policy{Rules: r} }
	p := *s.World.Policy
	p.Residency = rules(residency.Rule{Keyspaces: []string{"*"}, Regions: []cluster.Region{"eu-central", "us-east"}}, residency.Rule{Keyspaces: []string{"a*"}, Regions: []cluster.Region{"eu-central"}})
	s.World.Policy = &p
	next := p
	next.Residency = rules(residency.Rule{Keyspaces: []string{"*b"}, Regions: []cluster.Region{"eu-central", "us-east"}})
	plan, err := api.PlanPolicy(s, next)
	if err != nil || plan.Confirm != "v8" || len(plan.Widens) != 1 || plan.Widens[0] != "a*b may stand in dc2" {
		t.Errorf("%+v, %v", plan.Widens, err)
	}
	if plan.Residency == nil || !plan.Residency.Widens() || len(plan.Residency.Refused) == 0 {
		t.Errorf("by regions: %+v", plan.Residency)
	}
}
