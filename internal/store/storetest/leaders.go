// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"time"

	"supervisor/internal/store"
)

type won struct {
	term store.Term
	lost <-chan struct{}
	err  error
}

func (s *suite) campaign(c Client) won {
	s.Helper()
	term, lost, err := c.Campaign(s.ctx)
	if err != nil {
		s.Fatalf("campaign: %v", err)
	}
	return won{term, lost, err}
}

// queue lets c campaign in the background and waits until its key stands.
func (s *suite) queue(c, witness Client) <-chan won {
	s.Helper()
	_, before := s.list(witness, store.Leaders)
	ch := make(chan won, 1)
	go func() {
		term, lost, err := c.Campaign(s.ctx)
		ch <- won{term, lost, err}
	}()
	for b := range witness.Watch(s.ctx, store.Leaders) {
		if b.Whole && len(b.KVs) <= len(before) {
			continue
		}
		return ch
	}
	s.Fatal("the candidate's key never came")
	return nil
}

func (s *suite) inherits(ch <-chan won) won {
	s.Helper()
	select {
	case w := <-ch:
		if w.err != nil {
			s.Fatalf("campaign: %v", w.err)
		}
		return w
	case <-time.After(patience):
		s.Fatal("nobody inherited")
	}
	return won{}
}

// asLeader is a commit of that term.
func asLeader(w won, t store.Txn) store.Txn { return given(t, created(w.term.Key, w.term.Rev)) }

func (s *suite) gone(w won) {
	s.Helper()
	select {
	case <-w.lost:
	case <-time.After(patience):
		s.Fatal("the former leader was never told")
	}
}

func resigned(s *suite) {
	a, b := s.client("n1"), s.client("n2")
	first := s.campaign(a)
	s.put(a, "x=1")
	s.written(a, asLeader(first, puts("x=2")))
	waiting := s.queue(b, a)
	select {
	case w := <-waiting:
		s.Fatalf("two lead: %+v and %+v", first, w)
	default:
	}
	if err := a.Resign(s.ctx); err != nil {
		s.Fatalf("resign: %v", err)
	}
	s.gone(first)
	second := s.inherits(waiting)
	if second.term.Rev <= first.term.Rev {
		s.Errorf("the heir's term %+v is not after %+v", second.term, first.term)
	}
	if r := s.commit(a, asLeader(first, puts("x=3"))); r.OK {
		s.Error("a leader that resigned still commits")
	}
	s.written(b, asLeader(second, puts("x=4")))
	if err := a.Resign(s.ctx); err != nil {
		s.Errorf("resigning without a seat: %v", err)
	}
}

func leaderDied(s *suite) {
	a, b := s.client("n1"), s.client("n2")
	first := s.campaign(a)
	waiting := s.queue(b, b)
	a.Die()
	second := s.inherits(waiting)
	if r := s.commit(b, asLeader(first, puts("x=1"))); r.OK {
		s.Error("the dead leader's term still commits")
	}
	s.written(b, asLeader(second, puts("x=2")))
	s.eventually(b, store.Leaders, second.term.Key+"=n2")
}

func resignKeepsAnnounced(s *suite) {
	c := s.client("n1")
	c.Announce("agents/n1", []byte("boot1"))
	s.campaign(c)
	s.eventually(c, "agents/", "agents/n1=boot1")
	if err := c.Resign(s.ctx); err != nil {
		s.Fatalf("resign: %v", err)
	}
	s.wantList(c, store.Leaders, "")
	s.wantList(c, "agents/", "agents/n1=boot1")
	s.campaign(c)
}

func announcedDies(s *suite) {
	c, other := s.client("n1"), s.client("n2")
	c.Announce("agents/n1", []byte("boot1"))
	s.eventually(other, "", "agents/n1=boot1")
	c.Announce("agents/n1", []byte("boot1 well"))
	s.eventually(other, "", "agents/n1=boot1 well")
	c.Die()
	s.eventually(other, "", "")
}

func announcedAgain(s *suite) {
	c, other := s.client("n1"), s.client("n2")
	c.Announce("agents/n1", []byte("boot1 well"))
	s.eventually(other, "", "agents/n1=boot1 well")
	s.written(other, store.Txn{Put: []store.Put{{Key: "agents/n1", Value: []byte("boot1")}}})
	c.Announce("agents/n1", []byte("boot1 well"))
	s.eventually(other, "", "agents/n1=boot1 well")
}

func leasedPut(s *suite) {
	c, other := s.client("n1"), s.client("n2")
	s.written(c, store.Txn{Put: []store.Put{{Key: "agents/n1", Value: []byte("1"), Leased: true}, {Key: "seen/n1", Value: []byte("1")}}})
	s.wantList(other, "", "agents/n1=1 seen/n1=1")
	c.Die()
	s.eventually(other, "", "seen/n1=1")
}

func announcedTakenOver(s *suite) {
	old, witness := s.client("n1"), s.client("n2")
	old.Announce("agents/n1", []byte("boot1"))
	s.eventually(witness, "agents/", "agents/n1=boot1")
	leader := s.campaign(old)
	next := s.client("n1")
	next.Announce("agents/n1", []byte("boot2"))
	s.eventually(witness, "agents/", "agents/n1=boot2")
	old.Die()
	s.eventually(witness, store.Leaders, "")
	if r := s.commit(witness, asLeader(leader, puts("x=1"))); r.OK {
		s.Error("the former client's term still commits")
	}
	s.wantList(witness, "agents/", "agents/n1=boot2")
}

func candidateGivesUp(s *suite) {
	a, b, c := s.client("n1"), s.client("n2"), s.client("n3")
	first := s.campaign(a)
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() {
		_, _, err := b.Campaign(ctx)
		done <- err
	}()
	for batch := range a.Watch(s.ctx, store.Leaders) {
		if batch.Whole && len(batch.KVs) == 1 {
			continue
		}
		break
	}
	cancel()
	if err := <-done; err == nil {
		s.Fatal("a candidate that gave up was told that it leads")
	}
	s.wantList(a, store.Leaders, first.term.Key+"=n1")
	waiting := s.queue(c, a)
	if err := a.Resign(s.ctx); err != nil {
		s.Fatalf("resign: %v", err)
	}
	s.inherits(waiting)
}
