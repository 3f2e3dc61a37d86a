// SPDX-License-Identifier: Apache-2.0

package render

import (
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/internal/lead"
	"supervisor/isolate"
)

// TestOrderPages draws what people see before and after they order something.
func TestOrderPages(t *testing.T) {
	p := Page{Now: apitest.At.Add(time.Second), Width: 100}
	healthy, returning, asking, paused, deaf := apitest.Healthy(), apitest.Returning(), apitest.Asking(), apitest.Paused(), apitest.Deaf()
	fence := api.Target{Node: "n1", Levels: isolate.Clients | isolate.Reads}
	plan := func(s api.Snapshot, verb incident.AskVerb, to api.Target) api.Plan {
		x, _, err := api.PlanAsk(s, string(verb), to)
		if err != nil {
			t.Fatal(err)
		}
		x.Hash = "7f3a91c20b44"
		return x
	}
	after := func(s api.Snapshot, verb incident.AskVerb, about incident.About, hash string) (api.Snapshot, api.OrderAnswer) {
		source := apitest.NewSource(s)
		if _, err := source.Submit(t.Context(), lead.Word{Who: "ana", Verb: string(verb), Why: "new disk", Plan: hash, About: &about}); err != nil {
			t.Fatal(err)
		}
		now, err := source.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return now, api.AnswerOf(now, "request-1")
	}
	about := incident.About{Node: "n1", Levels: isolate.Clients | isolate.Reads}
	resumed, pauseDone := after(healthy, incident.AskPause, incident.About{For: 2 * time.Hour}, "")
	_, refused := after(returning, incident.AskFence, about, "")
	_, fenced := after(healthy, incident.AskFence, about, "")
	_, repaired := after(healthy, incident.AskRepair, incident.About{Node: "n3"}, "")
	_, stale := after(asking, incident.AskApprove, incident.About{Incident: "inc-dc1-42"}, "7f3a91c20b44")
	for name, text := range map[string]string{
		"plan-fence":         Plan(p, through(t, healthy, plan(healthy, incident.AskFence, fence))),
		"plan-fence-refused": Plan(p, through(t, returning, plan(returning, incident.AskFence, fence))),
		"plan-fence-deaf":    Plan(p, through(t, deaf, plan(deaf, incident.AskFence, fence))),
		"plan-approve":       Plan(p, through(t, asking, plan(asking, incident.AskApprove, api.Target{Incident: "42"}))),
		"plan-repair":        Plan(p, through(t, healthy, plan(healthy, incident.AskRepair, api.Target{Node: "n3"}))),
		"order-repair":       OrderAnswer(p, through(t, healthy, repaired)),
		"order-refused":      OrderAnswer(p, through(t, returning, refused)),
		"order-stale":        OrderAnswer(p, through(t, asking, stale)),
		"order-fenced":       OrderAnswer(p, through(t, healthy, fenced)),
		"order-paused":       OrderAnswer(p, through(t, resumed, pauseDone)),
		"order-waits":        OrderAnswer(p, through(t, healthy, api.AnswerOf(healthy, "request-1"))),
		"status-asking":      Status(p, through(t, asking, api.StatusOf(asking))),
		"status-paused":      Status(p, through(t, paused, api.StatusOf(paused))),
		"findings-muted":     Findings(p, through(t, paused, api.FindingsOf(paused))),
		"explain-asking":     Explain(p, through(t, asking, must(api.Explain(asking, "n3")))),
		"explain-paused":     Explain(p, through(t, resumed, must(api.Explain(resumed, "n1")))),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, text) })
	}
}
