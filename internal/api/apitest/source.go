// SPDX-License-Identifier: Apache-2.0

package apitest

import (
	"context"
	"sync"

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

// Snapshot is what was set.
func (s *Source) Snapshot(context.Context) (api.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snap, s.err
}

// Submit keeps the word and makes it the policy that stands, as a leader would.
func (s *Source) Submit(_ context.Context, w lead.Word) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil {
		return "", s.lost
	}
	s.words = append(s.words, w)
	p := *w.Policy
	p.Version, p.By, p.Why = w.Base+1, w.Who, w.Why
	s.snap.World.Policy = &p
	return "request-1", nil
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
