// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/membership"
)

// downFor is a node that went down a while ago, without an incident.
func downFor(n cluster.Name, d time.Duration) api.Snapshot {
	s := apitest.Healthy()
	v := apitest.Down(n)
	v.Since = s.World.Now.Add(-d)
	s.World.View.Verdicts[n] = v
	s.Findings = incident.Diagnose(s.World)
	return s
}

// Explain does not promise what did not come.
func TestExplainOfANodeWithoutAnIncident(t *testing.T) {
	full := downFor("n3", time.Minute)
	full.World.Store.Unwritten = "etcd raised the alarm NOSPACE"
	for says, s := range map[string]api.Snapshot{
		"the leader opens an incident at its next turn":                            downFor("n3", 14*time.Second),
		"gone for 60.0 s and no incident is open: the leader, n1, does not decide": downFor("n3", time.Minute),
		"nothing is written to the store: etcd raised the alarm NOSPACE":           full,
	} {
		if e, err := api.Explain(s, "n3"); err != nil || !strings.Contains(e.Headline, says) {
			t.Errorf("%q (%v), want %q", e.Headline, err, says)
		}
	}
}

func TestState(t *testing.T) {
	about := func(base api.Snapshot, change func(*api.Snapshot)) api.Snapshot { change(&base); return base }
	for _, tt := range []struct {
		why  string
		s    api.Snapshot
		want api.State
		says string // in the first reason
	}{
		{"all serve and nothing is open", apitest.Healthy(), api.Healthy, ""},
		{"a node is out and is being brought back", apitest.Returning(), api.Degraded, "inc-dc1-42"},
		{"a held incident waits for a person, not for us", apitest.Held(), api.NeedsYou, "residency"},
		{"in mode observe nobody but a person acts", apitest.Observing(), api.NeedsYou, "observe"},
		{"without a store nothing is started", apitest.Blind(), api.Blind, "store"},
		{"a store that went back is not obeyed", apitest.Back(), api.Blind, "another store answers"},
		{"a recovered store waits for a person", apitest.Recovered(), api.NeedsYou, "STORE_UNACKNOWLEDGED"},
		{"without a leader nothing is judged", about(apitest.Healthy(), func(s *api.Snapshot) { s.Leader = "" }), api.Blind, "nobody leads"},
		{"an agent that hears nobody has no picture", about(apitest.Healthy(), func(s *api.Snapshot) {
			s.World.View.Observers = map[cluster.Name]membership.Heard{}
		}), api.Blind, "0 of 3"},
		{"an empty roster is nothing to be healthy about", about(apitest.Healthy(), func(s *api.Snapshot) { s.World.Hosts = nil }), api.Blind, "roster"},
		{"an agent that does not judge is not blind while somebody leads, and does not invent a lost quorum", apitest.Deaf(), api.Degraded, "inc-dc1-42"},
		{"a node of which nobody is sure is less redundancy", apitest.Unsure(), api.Degraded, "OBSERVER_UNWELL"},
		{"a verdict is known a moment before its incident is written: nobody gets up for that", downFor("n3", 14*time.Second), api.Degraded, "CASS_PROCESS_DOWN"},
		{"an incident that is not written for long is nobody's", downFor("n3", 15*time.Second), api.NeedsYou, "CASS_PROCESS_DOWN"},
		{"a store that takes no writes starts nothing", about(apitest.Healthy(), func(s *api.Snapshot) {
			s.World.Store.Unwritten = "etcd raised the alarm NOSPACE"
			s.Findings = incident.Diagnose(s.World)
		}), api.Blind, "NOSPACE"},
		{"a judge that does not know the roster yet has no picture", about(apitest.Healthy(), func(s *api.Snapshot) {
			s.World.View = membership.View{Began: s.World.View.Began}
		}), api.Blind, "0 of 3"},
		{"an error without an incident is a person's", about(apitest.Healthy(), func(s *api.Snapshot) {
			s.Findings = []incident.Finding{{Code: "AUTH_RF_LOW", Severity: incident.Error, Scope: incident.ScopeKeyspace, Subject: "system_auth", Sentence: "x"}}
		}), api.NeedsYou, "AUTH_RF_LOW"},
		{"information never alerts", about(apitest.Healthy(), func(s *api.Snapshot) {
			s.Findings = []incident.Finding{{Code: "MODE_NOT_AUTO", Severity: incident.Info, Scope: incident.ScopeDC, Subject: "dc1"}}
		}), api.Healthy, ""},
	} {
		got := api.StatusOf(tt.s)
		first := strings.Join(got.Why[:min(1, len(got.Why))], "")
		if got.State != tt.want || !strings.Contains(first, tt.says) || (tt.want == api.Healthy) != (len(got.Why) == 0) {
			t.Errorf("%s: got %s %q, want %s about %q", tt.why, got.State, got.Why, tt.want, tt.says)
		}
	}
}

func TestExitsOfCheck(t *testing.T) {
	for i, s := range api.States() {
		if s.Exit() != i {
			t.Errorf("%s exits %d, monitors read %d", s, s.Exit(), i)
		}
	}
	if api.State("odd").Exit() != 3 {
		t.Error("a state nobody knows must not look healthy")
	}
}

func TestShortenedIDs(t *testing.T) {
	s := apitest.Returning()
	twin := s.Closed[0]
	twin.ID = "inc-dc2-42"
	for _, tt := range []struct {
		why, id string
		closed  []incident.Record
		want    string
		code    api.Code
	}{
		{"whole", "inc-dc1-42", s.Closed, "inc-dc1-42", ""},
		{"the number alone", "42", s.Closed, "inc-dc1-42", ""},
		{"datacenter and number", "dc1-41", s.Closed, "inc-dc1-41", ""},
		{"a piece of the number is no ID", "2", s.Closed, "", api.IncidentUnknown},
		{"an empty one fits nothing", "", s.Closed, "", api.IncidentUnknown},
		{"two datacenters count alike", "42", append(s.Closed, twin), "", api.IncidentAmbiguous},
		{"written out it is clear again", "dc2-42", append(s.Closed, twin), "inc-dc2-42", ""},
	} {
		s.Closed = tt.closed
		got, err := api.IncidentOf(s, tt.id)
		var p *api.Problem
		if errors.As(err, &p) != (tt.code != "") || p != nil && p.Code != tt.code || got.ID != tt.want {
			t.Errorf("%s: %q is %q, %v; want %q, %s", tt.why, tt.id, got.ID, err, tt.want, tt.code)
		}
	}
}

func TestUnknownNames(t *testing.T) {
	s := apitest.Healthy()
	_, err := api.NodeOf(s, "n33")
	var p *api.Problem
	if !errors.As(err, &p) || p.Code != api.NodeUnknown || p.Exit != api.ExitNotFound || !slices.Contains(p.Remedy, "did you mean n3, n1, n2?") {
		t.Errorf("n33: %+v", p)
	}
	_, err = api.FindingOf(s, "CASS_PROCES_DOWN")
	if !errors.As(err, &p) || p.Code != api.FindingUnknown || p.Remedy[0] != "did you mean CASS_PROCESS_DOWN?" {
		t.Errorf("misspelt code: %+v", p)
	}
	_, err = api.Explain(s, "nobody")
	if !errors.As(err, &p) || p.Code != api.NodeUnknown {
		t.Errorf("explain nobody: %+v", p)
	}
	_, err = api.Explain(s, "inc-dc1-9")
	if !errors.As(err, &p) || p.Code != api.IncidentUnknown {
		t.Errorf("explain inc-dc1-9: %+v", p)
	}
}

func TestTimelineNamesWhatIsNotKept(t *testing.T) {
	s := apitest.Returning()
	s.Log = s.Log[4:]
	story, missing, err := api.TimelineOf(s, "42")
	if err != nil || len(story.Events) != 5 || len(missing) != 1 || !strings.Contains(missing[0], "4 of 9") {
		t.Errorf("got %d events, missing %q, %v; want 5 and 4 of 9", len(story.Events), missing, err)
	}
}

func TestPlans(t *testing.T) {
	s := apitest.Healthy()
	with := func(change func(*incident.Policy)) incident.Policy {
		p := *apitest.Policy()
		change(&p)
		return p
	}
	plan := func(s api.Snapshot, p incident.Policy) api.Plan {
		out, err := api.PlanPolicy(s, p)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	same := plan(s, with(func(*incident.Policy) {}))
	if len(same.Difference) != 0 || same.Confirm != "" || same.Base != 7 || same.Version != 8 {
		t.Errorf("the standing policy again: %+v, want no difference", same)
	}
	mode := plan(s, with(func(p *incident.Policy) { p.Modes = map[cluster.Datacenter]incident.Mode{"dc1": incident.Observe} }))
	if len(mode.Difference) != 1 || mode.Difference[0] != (api.Change{Path: "modes.dc1", From: "auto", To: "observe"}) || mode.Confirm != "" {
		t.Errorf("another mode: %+v", mode)
	}
	moved := s
	next := *apitest.Policy()
	next.Version = 8
	moved.World.Policy = &next
	if again := plan(moved, with(func(p *incident.Policy) { p.Modes = map[cluster.Datacenter]incident.Mode{"dc1": incident.Observe} })); again.Hash == mode.Hash {
		t.Error("the plan has the same hash though another version stands")
	}
	wide := plan(s, with(func(p *incident.Policy) {
		p.Regions = map[cluster.Region][]cluster.Datacenter{"eu-central": {"dc1", "dc2"}}
	}))
	if wide.Confirm != "v8" || !slices.Contains(wide.Widens, "orders may stand in dc2") {
		t.Errorf("a datacenter put into a permitted region widens: %+v", wide)
	}
	narrow := plan(s, with(func(p *incident.Policy) { p.Residency.Rules = nil }))
	if narrow.Confirm != "" || len(narrow.Difference) == 0 {
		t.Errorf("fewer rules narrow: %+v", narrow)
	}
	s.World.Policy = nil
	first := plan(s, with(func(*incident.Policy) {}))
	if first.Base != 0 || first.Version != 1 || first.Confirm != "" || len(first.Difference) == 0 {
		t.Errorf("a first policy: %+v", first)
	}
}

// Nobody can tell what a policy permits that he cannot read: whatever replaces it
// is confirmed by its name, and made against its version.
func TestAPlanAgainstAPolicyThatCannotBeRead(t *testing.T) {
	for why, read := range map[string]*incident.Policy{"read anew": nil, "with one in memory that stood before": apitest.Policy()} {
		s := apitest.Healthy()
		version := int64(8)
		s.World.Policy, s.World.PolicyUnread = read, &version
		plan, err := api.PlanPolicy(s, *apitest.Policy())
		if err != nil || plan.Base != 8 || plan.Version != 9 || plan.Confirm != "v9" || len(plan.Difference) == 0 || !slices.Contains(plan.Widens, "orders may stand in dc1") {
			t.Errorf("%s: %+v, %v", why, plan, err)
		}
		if got := api.PolicyOf(s); !got.Unread || got.Version != 8 || got.Document != nil {
			t.Errorf("%s: the policy is told as %+v", why, got)
		}
		if got := api.StatusOf(s).Policy; got != (api.PolicyLine{Version: 8, Unread: true}) {
			t.Errorf("%s: the status tells %+v", why, got)
		}
	}
}
