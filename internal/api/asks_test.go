// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/isolate"
	"supervisor/membership"
)

func (s *served) ask(t *testing.T, verb incident.AskVerb, to api.Target) api.Plan {
	t.Helper()
	raw, err := s.Post(t.Context(), "/v1/plans", api.PlanRequest{Verb: string(verb), Target: to})
	if err != nil {
		t.Fatal(err)
	}
	e, err := api.Decode[api.Plan](raw)
	if err != nil {
		t.Fatal(err)
	}
	return e.Data
}

// An order is of the plan that was shown: a world that moved in between gives
// another one, and nothing is told to the leader.
func TestAnOrderOfAPlanWhoseWorldMoved(t *testing.T) {
	s := serve(t, apitest.Healthy())
	fence := api.Target{Node: "n1", Levels: isolate.Clients | isolate.Reads}
	free := s.ask(t, incident.AskFence, fence)
	again := s.ask(t, incident.AskFence, fence)
	if free.Hash != again.Hash || free.Refused != nil || !free.Asks {
		t.Errorf("the same plan twice: %+v, %+v", free, again)
	}
	s.source.Set(apitest.Returning())
	_, err := s.Post(t.Context(), "/v1/orders", api.OrderRequest{Plan: free.Hash, Reason: "disk"})
	if code(err) != api.PlanStale || len(s.source.Words()) != 0 {
		t.Errorf("n3 went meanwhile: %v, the leader was told %v", err, s.source.Words())
	}
	forbidden := s.ask(t, incident.AskFence, fence)
	if forbidden.Refused == nil || forbidden.Refused.Rule != incident.QuorumSurvives || forbidden.Hash == free.Hash {
		t.Errorf("the plan now: %+v", forbidden)
	}
}

// What a plan said to be forbidden is written down and never followed, also by
// a leader that knows better by then: nobody was asked whether he means it.
func TestWhatNobodyConfirmedIsNotFollowed(t *testing.T) {
	at := apitest.Healthy()
	a := incident.Ask{Verb: incident.AskFence, Request: "r1", Who: "ana", Why: "disk", About: incident.About{Node: "n1", Levels: isolate.Clients | isolate.Reads}}
	if h := incident.Hear(a, at.World, "inc-dc1-43"); h.Decision.Record.ID == "" {
		t.Fatalf("confirmed, it is followed: %+v", h.Lines)
	}
	a.Unconfirmed = true
	h := incident.Hear(a, at.World, "inc-dc1-43")
	if h.Decision.Record.ID != "" || h.Holds != nil || len(h.Lines) != 1 || h.Lines[0].Rule != incident.RulePlan {
		t.Errorf("unconfirmed: %+v", h)
	}
}

// A mute and a pause change what people are told, and disarm nothing.
func TestMutedAndPaused(t *testing.T) {
	s := apitest.Paused()
	st := api.StatusOf(s)
	muted := slices.ContainsFunc(st.Findings, func(f api.Finding) bool { return f.Code == "STORE_SHARES_DISK" && f.Muted && f.Mute.By == "bo" })
	if st.State != api.Healthy || !muted || st.Datacenters[0].Paused == nil {
		t.Errorf("%s, muted %v, paused %+v", st.State, muted, st.Datacenters[0].Paused)
	}
	s.At = s.At.Add(100 * time.Hour)
	if st := api.StatusOf(s); st.State != api.Degraded || st.Datacenters[0].Paused != nil {
		t.Errorf("after their end: %s, paused %+v", st.State, st.Datacenters[0].Paused)
	}
	held := apitest.Held()
	if st := api.StatusOf(held); st.State != api.NeedsYou {
		t.Errorf("held: %s", st.State)
	}
	held.Open[0].Ack = &incident.Ack{By: "ana", Why: "on it", At: held.At}
	held.Findings = incident.Diagnose(held.World)
	if st := api.StatusOf(held); st.State != api.Degraded || st.Incidents[0].Ack == nil {
		t.Errorf("held and seen: %s %v", st.State, st.Why)
	}
}

func TestModeAssistIsWhatHoldsAProposal(t *testing.T) {
	s := apitest.Asking()
	p := *s.World.Policy
	p.Modes = map[cluster.Datacenter]incident.Mode{"dc1": incident.Assist}
	s.World.Policy = &p
	e, err := api.Explain(s, "n3")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(e.Guards, func(g api.Guard) bool { return g.Rule == incident.RuleMode })
	if i < 0 || !e.Guards[i].Stands {
		t.Errorf("mode assist does not hold what it asks about: %+v", e.Guards)
	}
}

func TestWhatAPersonFencedSaysSo(t *testing.T) {
	s := apitest.Returning()
	s.Open[0].Cause, s.Open[0].Hand = membership.NoCause, &incident.Hand{By: "ana", Why: "disk"}
	if got := api.IncidentsOf(s)[0].Cause; got != "by_hand" {
		t.Errorf("the cause of a fence by hand is %q", got)
	}
	s.Open[0].Cause = membership.ProcessDown
	if got := api.IncidentsOf(s)[0].Cause; got != "process_down" {
		t.Errorf("a person fenced what had gone by itself, and the cause is %q", got)
	}
}
