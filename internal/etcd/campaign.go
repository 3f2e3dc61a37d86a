// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/client/v3/concurrency"

	"supervisor/internal/store"
)

// ErrLeaseLost tells that a candidate's lease ran out before it was elected;
// campaign again.
var ErrLeaseLost = errors.New("lease lost")

// seat is one candidacy: a lease of its own, so that resigning does not take
// the announced keys away.
type seat struct {
	session *concurrency.Session
}

// Campaign waits until this client is the leader. The term's key and creation
// revision belong into the compares of every transaction of this leader; they
// protect also when this client learns late that it lost. lost closes when the
// lease is gone or was given back. One candidacy at a time; ErrWentBack: none.
func (s *Store) Campaign(ctx context.Context) (store.Term, <-chan struct{}, error) {
	own := &seat{}
	if !s.sit(own) {
		return store.Term{}, nil, errors.New("campaign: already a candidate")
	}
	term, err := s.campaign(ctx, own)
	if err != nil {
		s.leave(own)
		return store.Term{}, nil, fmt.Errorf("campaign: %w", err)
	}
	return term, own.session.Done(), nil
}

func (s *Store) campaign(ctx context.Context, own *seat) (store.Term, error) {
	if _, err := s.pulse(ctx); err != nil {
		return store.Term{}, err // also a store that went back: who cannot read it must not lead
	}
	session, err := s.session(ctx)
	if err != nil {
		return store.Term{}, err
	}
	s.mu.Lock()
	own.session = session
	s.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(session.Ctx(), func() { cancel(ErrLeaseLost) })()

	election := concurrency.NewElection(session, s.o.Prefix+strings.TrimSuffix(store.Leaders, "/")) // the library appends the slash
	err = election.Campaign(ctx, s.o.Name)
	if err == nil {
		err = s.standing(ctx, election)
	}
	if err == nil {
		return store.Term{Key: s.relative([]byte(election.Key())), Rev: election.Rev()}, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return store.Term{}, errors.Join(err, s.giveUp(session))
}

// standing makes sure that the key is there: a candidate whose lease ran out
// while it waited is told by the library that it won.
func (s *Store) standing(ctx context.Context, e *concurrency.Election) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	resp, err := s.client.Get(ctx, e.Key())
	if err != nil {
		return fmt.Errorf("read back %s: %w", e.Key(), err)
	}
	if len(resp.Kvs) != 1 || resp.Kvs[0].CreateRevision != e.Rev() {
		return ErrLeaseLost
	}
	return nil
}

// Resign gives the leadership, or the candidacy, back. Without either it does
// nothing. When the store does not answer, the lease runs out by itself.
func (s *Store) Resign(ctx context.Context) error {
	s.mu.Lock()
	own := s.seat
	var session *concurrency.Session
	if own != nil {
		session = own.session
	}
	s.mu.Unlock()
	if session == nil {
		return nil
	}
	session.Orphan()
	s.leave(own)
	if err := s.revoke(ctx, session.Lease()); err != nil {
		return fmt.Errorf("resign: %w", err)
	}
	return nil
}

// giveUp ends a lost candidacy also when the caller's context is over, so that
// its key does not stand in the way of the others.
func (s *Store) giveUp(session *concurrency.Session) error {
	lost := session.Ctx().Err() != nil
	session.Orphan()
	if lost {
		return nil
	}
	return s.revoke(s.ctx, session.Lease())
}

func (s *Store) sit(own *seat) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seat != nil && (s.seat.session == nil || s.seat.session.Ctx().Err() == nil) {
		return false
	}
	s.seat = own
	return true
}

func (s *Store) leave(own *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seat == own {
		s.seat = nil
	}
}
