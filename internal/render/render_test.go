// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/internal/trace"
	"supervisor/membership"
	"supervisor/residency"
)

var update = flag.Bool("update", false, "write the golden files anew")

// through sends an answer over the wire: what a page cannot find in the JSON,
// it cannot print.
func through[T any](t *testing.T, s api.Snapshot, data T) api.Envelope[T] {
	t.Helper()
	b, err := json.Marshal(api.Envelope[T]{API: api.Version, AsOf: api.Time{Time: s.At}, Revision: s.Revision,
		Partial: len(s.Missing) > 0, Missing: append([]string{}, s.Missing...), Data: data})
	if err != nil {
		t.Fatal(err)
	}
	e, err := api.Decode[T](b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestPages draws every page in the situations people meet, 100 columns wide.
func TestPages(t *testing.T) {
	p := Page{Now: apitest.At.Add(time.Second), Width: 100}
	watched := Page{Now: p.Now, Width: 100, Bars: true}
	healthy, returning, held, observing := apitest.Healthy(), apitest.Returning(), apitest.Held(), apitest.Observing()
	blind, deaf, unsure := apitest.Blind(), apitest.Deaf(), apitest.Unsure()
	story, _, err := api.TimelineOf(returning, "42")
	if err != nil {
		t.Fatal(err)
	}
	widened := *healthy.World.Policy
	widened.Regions = map[cluster.Region][]cluster.Datacenter{"eu-central": {"dc1"}, "us-east": {"dc2"}}
	widened.Residency.Rules = append(widened.Residency.Rules[:0:0], widened.Residency.Rules...)
	widened.Residency.Rules[0].Regions = []cluster.Region{"eu-central", "us-east"}
	plan := must(api.PlanPolicy(healthy, widened))
	plan.Hash = "7f3a91c20b44"
	for name, text := range map[string]string{
		"replay": Replay(p, replayed(false)), "replay-differs": Replay(p, replayed(true)),
		"status-healthy":     Status(p, through(t, healthy, api.StatusOf(healthy))),
		"status-returning":   Status(p, through(t, returning, api.StatusOf(returning))),
		"status-held":        Status(p, through(t, held, api.StatusOf(held))),
		"status-observing":   Status(p, through(t, observing, api.StatusOf(observing))),
		"status-blind":       Status(p, through(t, blind, api.StatusOf(blind))),
		"status-recovered":   Status(p, through(t, apitest.Recovered(), api.StatusOf(apitest.Recovered()))),
		"status-back":        Status(p, through(t, apitest.Back(), api.StatusOf(apitest.Back()))),
		"explain-recovered":  Explain(p, through(t, apitest.Recovered(), must(api.Explain(apitest.Recovered(), "n3")))),
		"explain-blind":      Explain(p, through(t, blind, must(api.Explain(blind, "n3")))),
		"explain-waiting":    Explain(p, through(t, waiting(), must(api.Explain(waiting(), "n3")))),
		"status-deaf":        Status(p, through(t, deaf, api.StatusOf(deaf))),
		"status-unsure":      Status(p, through(t, unsure, api.StatusOf(unsure))),
		"nodes-returning":    Nodes(p, through(t, returning, api.NodesOf(returning))),
		"nodes-unsure":       Nodes(p, through(t, unsure, api.NodesOf(unsure))),
		"nodes-deaf":         Nodes(p, through(t, deaf, api.NodesOf(deaf))),
		"node-healthy":       Node(p, through(t, healthy, must(api.NodeOf(healthy, "n1")))),
		"node-returning":     Node(p, through(t, returning, must(api.NodeOf(returning, "n3")))),
		"explain-healthy":    Explain(p, through(t, healthy, must(api.Explain(healthy, "n1")))),
		"explain-returning":  Explain(p, through(t, returning, must(api.Explain(returning, "42")))),
		"explain-held":       Explain(p, through(t, held, must(api.Explain(held, "n3")))),
		"explain-observing":  Explain(p, through(t, observing, must(api.Explain(observing, "n3")))),
		"explain-stands-out": Explain(p, through(t, standsOut(), must(api.Explain(standsOut(), "n3")))),
		"explain-unsure":     Explain(p, through(t, unsure, must(api.Explain(unsure, "n3")))),
		"explain-closed":     Explain(p, through(t, healthy, must(api.Explain(healthy, "41")))),
		"status-slow":        Status(p, through(t, apitest.Slow(), api.StatusOf(apitest.Slow()))),
		"explain-slow":       Explain(p, through(t, apitest.Slow(), must(api.Explain(apitest.Slow(), "n3")))),
		"nodes-slow":         Nodes(p, through(t, apitest.Slow(), api.NodesOf(apitest.Slow()))),
		"incidents":          Incidents(p, through(t, returning, api.IncidentsOf(returning))),
		"incident-returning": Incident(p, through(t, returning, must(api.IncidentOf(returning, "42")))),
		"incident-closed":    Incident(p, through(t, healthy, must(api.IncidentOf(healthy, "inc-dc1-41")))),
		"timeline":           Timeline(p, through(t, returning, story)),
		"findings":           Findings(p, through(t, returning, api.FindingsOf(returning))),
		"findings-none":      Findings(p, through(t, healthy, api.FindingsOf(healthy))),
		"finding-code":       FindingCode(p, through(t, returning, must(api.FindingOf(returning, "CASS_PROCESS_DOWN")))),
		"repairs":            Repairs(p, through(t, apitest.Repairing(), api.RepairsOf(apitest.Repairing()))),
		"repairs-ended":      Repairs(p, through(t, apitest.Repaired(), api.RepairsOf(apitest.Repaired()))),
		"repairs-none":       Repairs(p, through(t, healthy, api.RepairsOf(healthy))),
		"repair":             Repair(p, through(t, apitest.Repairing(), must(api.RepairOf(apitest.Repairing(), "n3")))),
		"repair-watched":     Repair(watched, through(t, apitest.Repairing(), must(api.RepairOf(apitest.Repairing(), "n3")))),
		"repair-waits":       Repair(p, through(t, apitest.RepairWaits(), must(api.RepairOf(apitest.RepairWaits(), "42")))),
		"repair-asked":       Repair(p, through(t, apitest.AskedRepair(), must(api.RepairOf(apitest.AskedRepair(), "n3")))),
		"repairs-asked":      Repairs(p, through(t, apitest.AskedRepair(), api.RepairsOf(apitest.AskedRepair()))),
		"repair-plan":        RepairPlan(p, through(t, healthy, must(api.PlanRepair(healthy, incident.RepairScope{Node: "n3"})))),
		"repair-refused":     RepairPlan(p, through(t, healthy, must(api.PlanRepair(unnamed(healthy), incident.RepairScope{Node: "n3"})))),
		"pools":              Pools(p, through(t, returning, api.PoolsOf(returning))),
		"policy":             Policy(p, through(t, healthy, api.PolicyOf(healthy))),
		"audit":              Audit(p, through(t, apitest.Audited(), audited(t, apitest.Audited()))),
		"plan-widens":        Plan(p, through(t, healthy, plan)),
		"status-steady":      Status(Page{Steady: true}, through(t, returning, api.StatusOf(returning))),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, text) })
	}
}

func audited(t *testing.T, s api.Snapshot) api.Audit {
	t.Helper()
	a, _, err := api.AuditOf(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// unnamed is a cluster whose policy names no keyspace.
func unnamed(s api.Snapshot) api.Snapshot {
	p := *s.World.Policy
	p.Residency = residency.Policy{}
	s.World.Policy = &p
	return s
}

func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s changed; look at it, then go test -update. Now:\n%s", path, text)
	}
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 && name != "status-steady" {
			t.Errorf("%d columns, a terminal has 100: %s", n, line)
		}
		if strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
			t.Errorf("ends with spaces: %q", line)
		}
	}
}

// waiting is an incident that is only looked at, as the store was recovered.
func waiting() api.Snapshot {
	s := apitest.Observing()
	s.World.Era, s.World.Recovery = 2, apitest.Recovered().World.Recovery
	return s
}

// replayed is a recording in which n3 went, as this program judges it.
func replayed(otherwise bool) trace.Replayed {
	alive := trace.Standing{Answer: membership.Alive, Own: membership.Good, Against: 3, Of: 3}
	gone := trace.Standing{Answer: membership.Gone, Cause: membership.ProcessDown, Drain: true, Own: membership.Exited, For: 3, Of: 3, Racks: 2}
	x := trace.Replayed{Version: "0.1.0", Cluster: "orders", Agent: "n1", From: apitest.At.Add(-time.Hour), Until: apitest.At, Turns: 10800,
		Nodes: []cluster.Name{"n1", "n2", "n3"}, Events: []trace.Event{
			{MS: 61250, At: apitest.At.Add(-time.Minute), Node: "n3", Standing: gone, Lacks: []string{"min-age: a majority has stood for 300ms, needs 15s"}},
			{MS: 75950, At: apitest.At.Add(-45 * time.Second), Node: "n3", Standing: gone, Fence: true},
			{MS: 90000, At: apitest.At.Add(-30 * time.Second), Node: "n3", Standing: alive},
		}}
	if otherwise {
		x.Events[0].Recorded, x.Differ = &alive, []cluster.Name{"n3"}
	}
	return x
}

// standsOut is n3 slow, with reasons of its own.
func standsOut() api.Snapshot {
	s := apitest.Healthy()
	x := s.World.View.Verdicts["n3"]
	x.Cause = membership.Slow
	x.Slow = membership.Slowness{Since: x.At.Add(-48 * time.Second), For: 48 * time.Second, Says: []cluster.Name{"n1", "n2"}, Of: 2,
		Typical: 41300 * time.Microsecond, Peers: 400 * time.Microsecond, Inside: (membership.Collecting | membership.ReadsWait).Sentences()}
	for i := range x.Ballots {
		x.Ballots[i].Cites[0].Took = 41300 * time.Microsecond
	}
	s.World.View.Verdicts["n3"] = x
	return s
}
