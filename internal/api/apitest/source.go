// SPDX-License-Identifier: Apache-2.0

package apitest

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/lead"
	"supervisor/internal/trace"
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
	mute  error // of every further word, which is taken in all the same
	first func(*api.Snapshot)

	recorded *trace.Recording
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

// Precede has something happen between the next word and its being taken in.
func (s *Source) Precede(first func(*api.Snapshot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first = first
}

// LoseAnswers makes every further word be taken in without its answer.
func (s *Source) LoseAnswers(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = err
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
	if s.first != nil {
		s.first(&s.snap)
		s.first = nil
	}
	if s.deaf {
		return "request-1", s.mute
	}
	if w.About != nil {
		return "request-1", cmp.Or(s.hear(w), s.mute)
	}
	return "request-1", cmp.Or(s.apply(w), s.mute)
}

// apply has a policy stand when it was made against the one that does.
func (s *Source) apply(w lead.Word) error {
	line := incident.Line{Kind: incident.Refused, Code: "policy_stale", Rule: incident.RulePolicy, Who: w.Who,
		Args: map[string]string{"by": w.Who, "request": "request-1"}}
	if api.PolicyOf(s.snap).Version == w.Base {
		p := *w.Policy
		p.Version, p.By, p.Why = w.Base+1, w.Who, w.Why
		s.snap.World.Policy = &p
		line.Kind, line.Code, line.Rule = incident.Asked, "policy_applied", ""
		line.Args["version"], line.Args["why"] = fmt.Sprint(p.Version), p.Why
	}
	return s.tell(incident.Record{}, []incident.Line{line})
}

// hear decides about a word by the rules of the deciding room.
func (s *Source) hear(w lead.Word) error {
	world := s.snap.World
	world.Ledger = s.snap.Ledgers["dc1"]
	h := incident.Hear(incident.Ask{Verb: incident.AskVerb(w.Verb), Request: "request-1", Who: w.Who, Why: w.Why, Plan: w.Plan, About: *w.About}, world, "inc-dc1-43")
	if h.Holds != nil {
		s.snap.World.Holds = *h.Holds
	}
	return s.tell(h.Decision.Record, append(h.Lines, h.Decision.Lines...))
}

// tell writes lines into the journal.
func (s *Source) tell(rec incident.Record, lines []incident.Line) error {
	rec.Datacenter = "dc1"
	_, _, entries, err := incident.Append(s.snap.Ledgers["dc1"], rec, lines,
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

// Record sets what is given as the recording.
func (s *Source) Record(x trace.Recording) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorded = &x
}

// Recording is what was set.
func (s *Source) Recording(context.Context) (trace.Recording, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recorded == nil {
		return trace.Recording{}, api.ErrNoRecording
	}
	return *s.recorded, nil
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
