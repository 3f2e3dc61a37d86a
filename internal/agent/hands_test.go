// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"slices"
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/lead"
	"supervisor/isolate"
)

// say hands a person's word to an agent and waits for the journal's answer.
func (h *run) say(who string, verb incident.AskVerb, about incident.About) api.OrderAnswer {
	h.r.t.Helper()
	about.Said = h.agent.o.Clock.Wall()
	request, err := h.agent.Submit(context.Background(), lead.Word{Who: who, Verb: string(verb), Why: "a drill", About: &about})
	if err != nil {
		h.r.t.Fatal(err)
	}
	var out api.OrderAnswer
	h.r.wait(string(verb)+" answered", 5*time.Second, func() bool {
		out = api.AnswerOf(h.snapshot(), request)
		return out.State != api.OrderWaits
	})
	return out
}

var kept = []string{"n3 pool drain", "n3 severity 50", "n3 native off"}

func TestANodeIsFencedAndBroughtBackByHand(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		n2 := r.host("n2")
		levels := isolate.Clients | isolate.Reads
		if a := n2.say("ana", incident.AskFence, incident.About{Node: "n3", Levels: levels}); a.State != api.OrderFollowed || a.Who != "ana" {
			t.Errorf("the fence: %+v", a)
		}
		r.wait("n3 kept from clients and readers", 10*time.Second, func() bool {
			return !slices.ContainsFunc(kept, func(e string) bool { return r.count(e) != 1 })
		})
		for why, a := range map[incident.Rule]api.OrderAnswer{
			incident.QuorumSurvives:  n2.say("bo", incident.AskFence, incident.About{Node: "n1", Levels: levels}),
			incident.OneOpenIncident: n2.say("bo", incident.AskFence, incident.About{Node: "n3", Levels: levels}),
		} {
			if a.State != api.OrderRefused || a.Rule != why || a.Reason == "" {
				t.Errorf("bo is told %+v, want a refusal by %s", a, why)
			}
		}
		time.Sleep(time.Minute)
		if rec, open := r.open(); !open || rec.Phase != incident.Held || rec.HeldRule != incident.RuleOperator || r.count("n3 native on") != 0 {
			t.Errorf("a minute later: %s by %s, %v", rec.Phase, rec.HeldRule, r.story)
		}
		n2.say("ana", incident.AskUnfence, incident.About{Node: "n3"})
		r.awaitClosed(1, 5*time.Minute)
		if r.count("n3 repair ks") == 0 || r.count("n3 start") != 0 || r.count("n3 pool ready 100 %") != 1 {
			t.Errorf("repaired where it runs, and read again: %v", r.story)
		}
	})
}

func TestNothingIsDoneWhileItIsPaused(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.host("n2").say("ana", incident.AskPause, incident.About{For: 10 * time.Minute})
		before := r.touchedSoFar()
		r.crash("n3")
		r.wait("the incident", 10*time.Second, func() bool { _, open := r.open(); return open })
		leader := r.leader().name
		r.restart(leader)
		time.Sleep(5 * time.Minute)
		if n := r.touchedSoFar(); n != before {
			t.Errorf("%d acts under a pause: %v", n-before, r.story)
		}
		if !r.host("n2").finds("SUPERVISOR_PAUSED") {
			t.Error("no finding says that it is paused")
		}
		r.awaitClosed(1, 10*time.Minute)
	})
}
