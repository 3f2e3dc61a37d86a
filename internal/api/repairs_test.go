// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/residency"
)

// TestRepairAnswers keeps the JSON of what is told of repairs as it is.
func TestRepairAnswers(t *testing.T) {
	s := apitest.Repairing()
	one, err := api.RepairOf(s, "n3")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := api.PlanRepair(apitest.Healthy(), incident.RepairScope{Node: "n3"})
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{"repairs": api.RepairsOf(s), "repair": one, "repair-plan": plan} {
		t.Run(name, func(t *testing.T) {
			b, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", append(b, '\n'))
			lists(t, name, b)
		})
	}
}

// held is a repair that a person is asked about.
func held(s api.Snapshot) api.Snapshot {
	r := s.Open[0]
	r.Phase, r.HeldFrom, r.HeldRule, r.Held, r.Pending = incident.Held, incident.Returning, incident.RuleVerify, "repair failed: the disk is full", nil
	s.Open = []incident.Record{r}
	return s
}

// resting is a repair whose order was given up, and that waits for nothing.
func resting(s api.Snapshot) api.Snapshot {
	r := s.Open[0]
	r.Pending = nil
	s.Open = []incident.Record{r}
	return s
}

// comparing is a return that is compared: 10 of 60 segments are.
func comparing(s api.Snapshot) api.Snapshot {
	r := s.Open[0]
	ret := *r.Return
	job := *ret.Job
	ret.Step, ret.Rounds, ret.Compared = incident.Previewing, 2, nil
	for i := range 10 {
		ret.Compared = ret.Comparison().Mark(i).Done
	}
	ret.Job = &job
	r.Phase, r.Return = incident.Verifying, &ret
	s.Open = []incident.Record{r}
	return s
}

// later is the journal after more of it.
func later(s api.Snapshot, lines ...incident.Line) api.Snapshot {
	for _, l := range lines {
		_, _, entries, err := incident.Append(incident.Ledger{NextEvent: 900}, s.Open[0], []incident.Line{l}, incident.Writer{Wall: s.At, Elapsed: time.Minute})
		if err != nil {
			panic(err)
		}
		s.Log = append(s.Log[:len(s.Log):len(s.Log)], entries...)
	}
	return s
}

func batch(done, total, round string) incident.Line {
	return incident.Line{Kind: incident.Did, Code: "did_repair", Args: map[string]string{"done": done, "total": total, "round": round}}
}

// TestHowARepairStands tells a repair in one line: state, progress, estimate and
// why it waits.
func TestHowARepairStands(t *testing.T) {
	for _, row := range []struct {
		why  string
		s    api.Snapshot
		want string
	}{
		{"no return has repaired anything", apitest.Observing(), ""},
		{"one is under way: 36 segments at 0.125 to 0.1875 s, less the 2.1 s of this batch as far as one takes", apitest.Repairing(), "runs round 1 24/60 each 145ms left 3.5s to 5.25s"},
		{"it waits: nobody knows when that is over", apitest.RepairWaits(), "waits round 1 24/60 each 145ms: repair of orders: 1 of its replicas in dc1 can be compared (n3), want 2 (repair-quorum)"},
		{"a person is asked", held(apitest.Repairing()), "held round 1 24/60 each 145ms: repair failed: the disk is full (verify)"},
		{"an order came to nothing, the next comes in a moment", resting(apitest.Repairing()), "waits round 1 24/60 each 145ms: the last order came to nothing; the next is given in a moment ()"},
		{"both rounds are done, and it is compared", comparing(apitest.Repairing()), "compares round 2 10/60"},
		{"planned anew with fewer segments: nothing is learned yet", later(apitest.Repairing(), batch("8", "30", "1")), "runs round 1 24/60"},
		{"one that a person asked for", apitest.AskedRepair(), "runs round 1 24/60 each 2.083s left 49.999s to 1m20s"},
		{"it waits for an incident", without(apitest.AskedRepair(), func(s *api.Snapshot) {
			r := s.World.Repairs[0]
			r.Pending, r.Waits = nil, incident.OneOpenIncident
			s.World.Repairs = []incident.Record{r}
		}), "waits round 1 24/60 each 2.083s"},
		{"it was aborted: the journal tells how far it came", without(apitest.AskedRepair(), func(s *api.Snapshot) {
			r := s.World.Repairs[0]
			r.Pending, r.Phase, r.Return = nil, incident.Closed, &incident.Return{}
			s.World.Repairs = []incident.Record{r}
		}), "ended round 1 24/60"},
		{"closed: the journal tells how much there was", apitest.Repaired(), "ended round 2 60/60"},
	} {
		t.Run(row.why, func(t *testing.T) {
			got := ""
			for _, x := range api.RepairsOf(row.s) {
				got = fmt.Sprintf("%s round %d %d/%d", x.State, x.Round, *x.Done, *x.Total)
				if x.SegmentMS != nil {
					got += fmt.Sprintf(" each %s", time.Duration(*x.SegmentMS)*time.Millisecond)
				}
				if x.Estimate != nil {
					got += fmt.Sprintf(" left %s to %s", time.Duration(x.Estimate.LeastMS)*time.Millisecond, time.Duration(x.Estimate.MostMS)*time.Millisecond)
				}
				if x.Why != "" {
					got += fmt.Sprintf(": %s (%s)", x.Why, x.Rule)
				}
			}
			if got != row.want {
				t.Fatalf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

// closedPolicy permits data nowhere but in another region.
func closedPolicy(s api.Snapshot) api.Snapshot {
	p := *s.World.Policy
	p.Residency = residency.Policy{}
	s.World.Policy = &p
	return s
}

func without(s api.Snapshot, change func(*api.Snapshot)) api.Snapshot {
	change(&s)
	return s
}

func TestRepairPlans(t *testing.T) {
	n3 := incident.RepairScope{Node: "n3"}
	for _, row := range []struct {
		why   string
		s     api.Snapshot
		scope incident.RepairScope
		want  string
	}{
		{"all that is replicated, with both peers", apitest.Healthy(), n3, "orders[] 1/6 n1 n2, system_auth[] 1/6 n1 n2"},
		{"one keyspace", apitest.Healthy(), incident.RepairScope{Node: "n3", Keyspace: "orders"}, "orders[] 1/6 n1 n2"},
		{"one table", apitest.Healthy(), incident.RepairScope{Node: "n3", Keyspace: "orders", Table: "events"}, "orders[events] 1/6 n1 n2"},
		{"its own region", apitest.Healthy(), incident.RepairScope{Node: "n3", Keyspace: "orders", Region: "eu-central"}, "orders[] 1/6 n1 n2"},
		{"a peer that is down is left out", apitest.Returning(), incident.RepairScope{Node: "n1", Keyspace: "orders"}, "orders[] 1/6 n2"},
		{"what no rule names is refused; Cassandra's own is not", closedPolicy(apitest.Healthy()), n3,
			"system_auth[] 1/6 n1 n2, refused orders 6 no-border-crossing: data of keyspace \"orders\" may not stand in region \"eu-central\": no rule of the policy names the keyspace"},
		{"all that is asked for is refused", closedPolicy(apitest.Healthy()), incident.RepairScope{Node: "n3", Keyspace: "orders"},
			"barred, refused orders 6 no-border-crossing: data of keyspace \"orders\" may not stand in region \"eu-central\": no rule of the policy names the keyspace"},
	} {
		t.Run(row.why, func(t *testing.T) {
			p, err := api.PlanRepair(row.s, row.scope)
			if err != nil {
				t.Fatal(err)
			}
			var parts []string
			for _, k := range p.Keyspaces {
				parts = append(parts, fmt.Sprintf("%s%v %d/%d %s", k.Keyspace, k.Tables, k.Total, k.Ranges, strings.Trim(fmt.Sprint(k.Peers), "[]")))
			}
			if p.Barred() {
				parts = append(parts, "barred")
			}
			for _, x := range p.Refused {
				parts = append(parts, fmt.Sprintf("refused %s %d %s: %s", x.Keyspace, x.Ranges, x.Rule, x.Why))
			}
			if got := strings.Join(parts, ", "); got != row.want {
				t.Fatalf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestRepairsThatNobodyCanPlan(t *testing.T) {
	for _, row := range []struct {
		why   string
		s     api.Snapshot
		scope incident.RepairScope
		code  api.Code
		rule  incident.Rule
		says  string
	}{
		{"a stranger", apitest.Healthy(), incident.RepairScope{Node: "n33"}, api.NodeUnknown, "", "no node \"n33\""},
		{"a misspelt keyspace", apitest.Healthy(), incident.RepairScope{Node: "n3", Keyspace: "order"}, api.KeyspaceUnknown, "", "no keyspace \"order\""},
		{"a misspelt table", apitest.Healthy(), incident.RepairScope{Node: "n3", Keyspace: "orders", Table: "event"}, api.TableUnknown, "", "keyspace orders has no table \"event\""},
		{"a table of nothing", apitest.Healthy(), incident.RepairScope{Node: "n3", Table: "events"}, api.Usage, "", "add --keyspace"},
		{"a region nobody has", apitest.Healthy(), incident.RepairScope{Node: "n3", Region: "eu-cental"}, api.RegionUnknown, "", "no region \"eu-cental\""},
		{"another region than the node's", without(apitest.Healthy(), func(s *api.Snapshot) {
			p := *s.World.Policy
			p.Regions = map[cluster.Region][]cluster.Datacenter{"eu-central": {"dc1"}, "us-east": {"dc2"}}
			s.World.Policy = &p
		}), incident.RepairScope{Node: "n3", Region: "us-east"}, api.Usage, "", "n3 stands in region eu-central"},
		{"not in the ring", without(apitest.Healthy(), func(s *api.Snapshot) {
			schema := *s.World.Schema
			schema.Members = schema.Members[:2]
			s.World.Schema = &schema
		}), incident.RepairScope{Node: "n3"}, api.GuardForbids, incident.RulePreflight, "not in the ring"},
		{"no policy", without(apitest.Healthy(), func(s *api.Snapshot) { s.World.Policy = nil }), incident.RepairScope{Node: "n3"}, api.GuardForbids, incident.RulePolicy, "no policy stands"},
		{"no schema", without(apitest.Healthy(), func(s *api.Snapshot) { s.World.Schema = nil }), incident.RepairScope{Node: "n3"}, api.GuardForbids, incident.RulePreflight, "not known yet"},
		{"an agent that does not judge", apitest.Deaf(), incident.RepairScope{Node: "n3"}, api.GuardForbids, incident.RuleEvidence, "does not judge"},
		{"a ring with two owners of a token", without(apitest.Healthy(), func(s *api.Snapshot) {
			schema := *s.World.Schema
			schema.Members = append(schema.Members[:len(schema.Members):len(schema.Members)], cluster.Member{Name: "n4", Datacenter: "dc1", Rack: "a", Tokens: schema.Members[0].Tokens})
			s.World.Schema = &schema
		}), incident.RepairScope{Node: "n3"}, api.GuardForbids, incident.RulePreflight, "is owned by"},
	} {
		t.Run(row.why, func(t *testing.T) {
			p, err := api.PlanRepair(row.s, row.scope)
			var got *api.Problem
			if !errors.As(err, &got) || got.Code != row.code || got.Rule != string(row.rule) || !strings.Contains(got.Detail, row.says) || len(got.Remedy) == 0 {
				t.Fatalf("%+v, error %+v", p, got)
			}
		})
	}
}

func TestRepairPaths(t *testing.T) {
	s := serve(t, apitest.Repairing())
	for path, want := range map[string]string{"/v1/repairs": `"state":"runs"`, "/v1/repairs/42": `"node":"n3"`, "/v1/repairs/plan/n1?keyspace=orders": `"segments":1`} {
		if status, _, b := s.do(t, http.MethodGet, path, ""); status != http.StatusOK || !strings.Contains(string(b), want) {
			t.Errorf("%s: %d, want %s in %s", path, status, want, b)
		}
	}
	s.refused(t, "GET", "/v1/repairs/plan/n1?keyspaces=orders", "", api.Usage)
	for _, path := range []string{"/v1/repairs/rep-dc1-43", "/v1/repairs/n3", "/v1/incidents/rep-dc1-43/timeline"} {
		if status, _, b := serve(t, apitest.AskedRepair()).do(t, http.MethodGet, path, ""); status != http.StatusOK || !strings.Contains(string(b), "rep-dc1-43") {
			t.Errorf("%s: %d %s", path, status, b)
		}
	}
	s.refused(t, "GET", "/v1/repairs/n1", "", api.RepairUnknown)
	s.refused(t, "GET", "/v1/repairs/41", "", api.RepairUnknown)
	s.refused(t, "GET", "/v1/repairs/77", "", api.IncidentUnknown)
}

// A repair is ordered like every word of a person: planned, and written down with
// what it is about.
func TestARepairIsOrdered(t *testing.T) {
	target := api.Target{Node: "n3", Keyspace: "orders", Table: "events", Region: "eu-central"}
	s := serve(t, apitest.Healthy())
	raw, err := s.Post(t.Context(), "/v1/plans", api.PlanRequest{Verb: "repair", Target: target})
	if err != nil {
		t.Fatal(err)
	}
	e, err := api.Decode[api.Plan](raw)
	if p := e.Data; err != nil || p.Refused != nil || !p.Asks || p.Repair == nil || p.Repair.Segments != 1 || len(p.Does) != 1 {
		t.Fatalf("the plan: %+v, %v", p, err)
	}
	if _, err := s.Post(t.Context(), "/v1/orders", api.OrderRequest{Plan: e.Data.Hash, Reason: "old disk"}); err != nil {
		t.Fatal(err)
	}
	words := s.source.Words()
	want := incident.RepairScope{Node: "n3", Keyspace: "orders", Table: "events", Region: "eu-central"}
	if len(words) != 1 || words[0].About.Repair != want || words[0].About.Node != "n3" || words[0].About.Unconfirmed {
		t.Errorf("the word: %+v", words)
	}
	moved := apitest.Returning()
	s.source.Set(moved)
	if _, err := s.Post(t.Context(), "/v1/orders", api.OrderRequest{Plan: e.Data.Hash, Reason: "old disk"}); code(err) != api.PlanStale {
		t.Errorf("a peer is down by now: %v", err)
	}
	for why, at := range map[incident.Rule]api.Snapshot{incident.OneOpenIncident: moved, incident.RulePaused: apitest.Paused(), incident.RuleBudget: apitest.AskedRepair()} {
		if p, _, err := api.PlanAsk(at, "repair", api.Target{Node: "n3"}); err != nil || p.Refused == nil || p.Refused.Rule != why {
			t.Errorf("want a refusal by %s: %+v, %v", why, p.Refused, err)
		}
	}
}
