// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/residency"
)

// unnamed is a cluster whose policy permits no keyspace anywhere.
func unnamed() api.Snapshot {
	s := apitest.Healthy()
	p := *s.World.Policy
	p.Residency = residency.Policy{}
	s.World.Policy = &p
	return s
}

func TestRepairsAreShown(t *testing.T) {
	for _, row := range []struct {
		why  string
		s    api.Snapshot
		args string
		exit int
		says string // on stdout, or on stderr when it fails
	}{
		{"what one node would repair", apitest.Healthy(), "repair n3 --dry-run", 0, "in all 2 segments of 12 ranges"},
		{"of one table", apitest.Healthy(), "repair n3 --keyspace orders --table events --dry-run", 0, "orders    events  1         6       n1, n2"},
		{"the keyspaces, for scripts", apitest.Healthy(), "repair n3 --dry-run -o name", 0, "orders\nsystem_auth\n"},
		{"a part is refused", unnamed(), "repair n3 --dry-run", 0, "REFUSED  6 ranges of orders"},
		{"all is refused", unnamed(), "repair n3 --keyspace orders --dry-run", 3, "rule no-border-crossing. Nothing was done."},
		{"all is refused, as JSON", unnamed(), "repair n3 --keyspace orders --dry-run -o json", 3, "GUARD_FORBIDS, exit 3"},
		{"a stranger", apitest.Healthy(), "repair n33 --dry-run", 4, "did you mean n3"},
		{"a misspelt keyspace", apitest.Healthy(), "repair n3 --keyspace order --dry-run", 4, "did you mean orders?"},
		{"a misspelt table", apitest.Healthy(), "repair n3 --keyspace orders --table event --dry-run", 4, "did you mean events?"},
		{"a region nobody has", apitest.Healthy(), "repair n3 --region eu-cental --dry-run", 4, "did you mean eu-central?"},
		{"a table of nothing", apitest.Healthy(), "repair n3 --table events --dry-run", 2, "add --keyspace"},
		{"an agent that does not judge", apitest.Deaf(), "repair n3 --dry-run", 3, "ask a control agent"},
		{"no node", apitest.Healthy(), "repair --keyspace orders --dry-run", 2, "NODE is missing"},
		{"two nodes", apitest.Healthy(), "repair n1 n2 --dry-run", 2, "one NODE is wanted, 2 given"},
		{"a repair that nobody confirms", apitest.Healthy(), "repair n3", 3, "CONFIRM_WRONG, exit 3\n  nothing was done; add --yes"},
		{"of a stranger", apitest.Healthy(), "repair n33 --yes", 4, "NODE_UNKNOWN, exit 4"},
		{"of a misspelt table", apitest.Healthy(), "repair n3 --keyspace orders --table event --yes", 4, "TABLE_UNKNOWN, exit 4"},
		{"nothing typed", apitest.Healthy(), "repair", 0, "Usage:"},
		{"an output nobody knows", apitest.Healthy(), "repair n3 --dry-run -o xml", 2, "known: table, json, yaml, name"},
		{"repairs under way", apitest.Repairing(), "repair list", 0, "inc-dc1-42  n3    dc1  its return  1      runs   24/60"},
		{"their incidents, for scripts", apitest.Repairing(), "repair list -o name", 0, "inc-dc1-42\n"},
		{"one by its node", apitest.Repairing(), "repair show n3", 0, "segment  0.1 s each, as lately"},
		{"one that waits", apitest.RepairWaits(), "repair show 42", 0, "waits    repair of orders: 1 of its replicas in dc1 can be compared (n3), want 2"},
		{"of a node that repairs nothing", apitest.Repairing(), "repair show n1", 4, "REPAIR_UNKNOWN, exit 4"},
		{"of an incident that is not there", apitest.Repairing(), "repair show 77", 4, "INCIDENT_UNKNOWN, exit 4"},
	} {
		t.Run(row.why, func(t *testing.T) {
			socket, source := agentAt(t, row.s)
			exit, out, errs := typed(append(strings.Fields(row.args), "--socket", socket)...)
			text := out
			if row.exit != 0 {
				text = errs
			}
			if exit != row.exit || !strings.Contains(text, row.says) {
				t.Errorf("exit %d, want %d with %q\nstdout: %s\nstderr: %s", exit, row.exit, row.says, out, errs)
			}
			if strings.Contains(out, "\x1b") || strings.Contains(out, "[#") {
				t.Errorf("colour or a bar without a terminal: %s", out)
			}
			if len(source.Words()) != 0 {
				t.Errorf("it wrote %+v", source.Words())
			}
		})
	}
}

// A plan that is refused as a whole is printed all the same.
func TestARefusedPlanIsPrinted(t *testing.T) {
	socket, _ := agentAt(t, unnamed())
	_, out, _ := typed("repair", "n3", "--keyspace", "orders", "--dry-run", "-o", "json", "--socket", socket)
	var e api.Envelope[api.RepairPlan]
	if err := json.Unmarshal([]byte(out), &e); err != nil || !e.Data.Barred() || e.Data.Refused[0].Rule != "no-border-crossing" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestARepairIsOrderedAndRefused(t *testing.T) {
	for _, row := range []struct {
		why  string
		s    api.Snapshot
		args string
		exit int
		says string // on stdout, or on stderr when it is refused
	}{
		{"its plan is shown first", apitest.Healthy(), "repair n3 --yes", 0, "in all 2 segments of 12 ranges"},
		{"and what to type next", apitest.Healthy(), "repair n3 --yes --reason disk", 0, "see: supervisor repair show rep-dc1-43 --watch"},
		{"no reason is asked for", apitest.Healthy(), "repair n3 --yes", 0, "asks for a repair of n3, 2 segments, 0 ranges are left out: asked for by hand"},
		{"of a table", apitest.Healthy(), "repair n3 --keyspace orders --table events --yes", 0, "orders    events  1         6       n1, n2"},
		{"all is forbidden", unnamed(), "repair n3 --keyspace orders --yes", 3, "rule no-border-crossing. Nothing was done."},
		{"its node is in an incident", apitest.Returning(), "repair n3 --yes", 3, "rule one-open-incident. Nothing was done."},
		{"it is repaired already", apitest.AskedRepair(), "repair n3 --yes", 3, "rule budget. Nothing was done."},
		{"the region is paused", apitest.Paused(), "repair n3 --yes", 3, "rule paused. Nothing was done."},
		{"it is aborted", apitest.AskedRepair(), "incident abort rep-dc1-43 --yes --reason late", 0, "ask anew: supervisor repair n3"},
	} {
		t.Run(row.why, func(t *testing.T) {
			socket, source := agentAt(t, row.s)
			exit, out, errs := typed(append(strings.Fields(row.args), "--socket", socket)...)
			text := out
			if row.exit != 0 {
				text = errs
			}
			if exit != row.exit || !strings.Contains(text, row.says) || len(source.Words()) != 1 {
				t.Errorf("exit %d, want %d with %q\n%s%s", exit, row.exit, row.says, out, errs)
			}
		})
	}
}
