// SPDX-License-Identifier: Apache-2.0

package apitest

import (
	"context"
	"sync"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/lead"
	"supervisor/isolate"
)

// Source answers with a snapshot that a test may change while it is served.
type Source struct {
	mu    sync.Mutex
	snap  api.Snapshot
	words []lead.Word
	asked []api.GateQuestion
	err   error
	lost  error
	deaf  bool
}

// NewSource answers with s.
func NewSource(s api.Snapshot) *Source { return &Source{snap: s} }

// Set changes what is answered.
func (s *Source) Set(snap api.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snap = snap
}

// Fail makes every further question fail.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// FailSubmit makes every further word fail.
func (s *Source) FailSubmit(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = err
}

// Sleep makes the leader take nothing in any more.
func (s *Source) Sleep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = true
}

// Snapshot is what was set.
func (s *Source) Snapshot(context.Context) (api.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snap, s.err
}

// Submit keeps the word and takes it in at once, as a leader would: a policy
// stands then, and of every other word the journal tells what it came to.
func (s *Source) Submit(_ context.Context, w lead.Word) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil {
		return "", s.lost
	}
	s.words = append(s.words, w)
	if s.deaf {
		return "request-1", nil
	}
	if w.About != nil {
		return "request-1", s.hear(w)
	}
	p := *w.Policy
	p.Version, p.By, p.Why = w.Base+1, w.Who, w.Why
	s.snap.World.Policy = &p
	return "request-1", nil
}

// hear decides about a word by the rules of the deciding room.
func (s *Source) hear(w lead.Word) error {
	world := s.snap.World
	world.Ledger = s.snap.Ledgers["dc1"]
	h := incident.Hear(incident.Ask{Verb: incident.AskVerb(w.Verb), Request: "request-1", Who: w.Who, Why: w.Why, Plan: w.Plan, About: *w.About}, world, "inc-dc1-43")
	if h.Holds != nil {
		s.snap.World.Holds = *h.Holds
	}
	rec := h.Decision.Record
	rec.Datacenter = "dc1"
	_, _, entries, err := incident.Append(world.Ledger, rec, append(h.Lines, h.Decision.Lines...),
		incident.Writer{Cluster: s.snap.Cluster, Actor: incident.Actor{Kind: "leader", Name: "n1"}, Wall: s.snap.At})
	s.snap.Log = append(s.snap.Log, entries...)
	return err
}

// Gate hibernates.
func (s *Source) Gate(_ context.Context, q api.GateQuestion) (isolate.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q)
	return isolate.Answer{Start: isolate.Hibernate, Rule: "returning", Why: "the return of this node is not finished: inc-dc1-42"}, s.err
}

// Words are what was submitted.
func (s *Source) Words() []lead.Word {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]lead.Word(nil), s.words...)
}

// Asked are the gate's questions.
func (s *Source) Asked() []api.GateQuestion {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]api.GateQuestion(nil), s.asked...)
}
