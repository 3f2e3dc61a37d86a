// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api/apitest"
	"supervisor/residency"
)

func TestPolicyAudit(t *testing.T) {
	forbidden, _ := agentAt(t, apitest.Audited())
	partial, _ := agentAt(t, apitest.Healthy())
	kept := apitest.Healthy()
	for n, a := range kept.World.Agents {
		a.Residency = &residency.Told{Version: kept.World.Policy.Version, Read: residency.Parts()}
		kept.World.Agents[n] = a
	}
	fine, _ := agentAt(t, kept)
	without := apitest.Healthy()
	without.World.Policy = nil
	none, _ := agentAt(t, without)
	for _, row := range []struct {
		why, socket, output string
		exit                int
		out, errs           string
	}{
		{"a keyspace that is replicated against the policy", forbidden, "table", exitRefused, "forbidden  RESIDENCY_WIDE_REPLICATION  orders -> dc2, RF 1", ""},
		{"the same as data", forbidden, "json", exitRefused, `"code": "RESIDENCY_WIDE_REPLICATION"`, ""},
		{"by name", forbidden, "name", exitRefused, "RESIDENCY_WIDE_REPLICATION orders -> dc2, RF 1\n", ""},
		{"what is not read is listed", forbidden, "table", exitRefused, "NOT READ  n3: its agent has not asked", ""},
		{"and is not fine where nothing is forbidden either", partial, "table", exitFailed, "0 of 3 nodes read", "AUDIT_PARTIAL, exit 1"},
		{"all was read and nothing is wrong", fine, "table", 0, "3 of 3 nodes read", ""},
		{"there is nothing to compare with", none, "table", exitUnknown, "", "POLICY_NONE, exit 4"},
		{"no agent answers", t.TempDir() + "/none", "table", 5, "", "AGENT_UNREACHABLE, exit 5"},
		{"a form that is not known", fine, "xml", exitUsage, "", "USAGE, exit 2"},
	} {
		exit, out, errs := typed("policy", "audit", "-o", row.output, "--socket", row.socket)
		if exit != row.exit || !strings.Contains(out, row.out) || !strings.Contains(errs, row.errs) || row.errs == "" && errs != "" {
			t.Errorf("%s: exit %d\n%s%s", row.why, exit, out, errs)
		}
	}
}

func TestPolicyCheckComparesWithTheCluster(t *testing.T) {
	socket, source := agentAt(t, apitest.Healthy())
	strict := policyFile(t, func(p *incident.Policy) {
		p.Residency = residency.Policy{Rules: []residency.Rule{{Keyspaces: []string{"orders"}, Regions: []cluster.Region{"eu-central"}}}}
	})
	exit, out, errs := typed("policy", "check", strict, "--socket", socket)
	if exit != 0 || !strings.Contains(out, "is in order") || !strings.Contains(out, "REFUSED * in eu-central") || strings.Contains(out, "WIDENS") || len(source.Words()) != 0 {
		t.Errorf("exit %d\n%s%s", exit, out, errs)
	}
	if exit, _, errs := typed("policy", "check", strict, "--socket", t.TempDir()+"/none"); exit != 5 || !strings.Contains(errs, "AGENT_UNREACHABLE") {
		t.Errorf("an agent that was named and does not answer: exit %d %s", exit, errs)
	}
}
