// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/lead"
	"supervisor/internal/store"
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

// A word whose answer is lost is told as one that may stand, under its name; it is
// laid into the inbox once, and what becomes of it is found by that name.
func TestAWordWhoseAnswerIsLost(t *testing.T) {
	for _, row := range []struct {
		fault fault
		state string
	}{{neverThere, api.OrderWaits}, {answerLost, api.OrderFollowed}, {writtenLater, api.OrderFollowed}} {
		t.Run(row.fault.String(), func(t *testing.T) {
			inRegion(t, incident.Auto, func(r *region) {
				laid := 0
				r.store.mu.Lock()
				r.store.fault = func(_ cluster.Name, x store.Txn) fault {
					if len(x.Put) == 1 && strings.HasPrefix(x.Put[0].Key, store.Inbox) {
						laid++
						return row.fault
					}
					return noFault
				}
				r.store.mu.Unlock()
				n2 := r.host("n2")
				about := incident.About{Node: "n3", Levels: isolate.Clients | isolate.Reads, Said: n2.agent.o.Clock.Wall()}
				request, err := n2.agent.Submit(context.Background(), lead.Word{Who: "ana", Verb: string(incident.AskFence), Why: "a drill", About: &about})
				if err == nil || request == "" || errors.Is(err, api.ErrNoStore) {
					t.Errorf("ana is told %q, %v; nobody knows whether it is written", request, err)
				}
				time.Sleep(10 * time.Second)
				if a := api.AnswerOf(n2.snapshot(), request); a.State != row.state || laid != 1 {
					t.Errorf("laid %d times, and it came to %+v", laid, a)
				}
			})
		})
	}
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

// refuser is a store that certainly did not write.
type refuser struct{ Journal }

func (refuser) Commit(context.Context, store.Txn) (store.Result, error) {
	return store.Result{}, fmt.Errorf("commit: %w: no space", store.ErrNotWritten)
}

func TestAWordThatIsCertainlyNotWritten(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.halt("n2", true)
		h := r.start("n2", func(o *Options) { o.Journal = refuser{o.Journal} })
		request, err := h.agent.Submit(context.Background(), lead.Word{Who: "ana", Verb: string(incident.AskPause), Why: "a drill", About: &incident.About{}})
		if !errors.Is(err, api.ErrNoStore) || request != "" {
			t.Errorf("ana is told %q, %v", request, err)
		}
	})
}
