// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"supervisor/internal/store"
)

func mod(key string, rev int64) store.Compare {
	return store.Compare{Key: key, On: store.Mod, Rev: rev}
}
func created(key string, rev int64) store.Compare {
	return store.Compare{Key: key, On: store.Create, Rev: rev}
}

// given adds compares to a transaction.
func given(t store.Txn, c ...store.Compare) store.Txn {
	t.Compare = append(t.Compare, c...)
	return t
}

func compareMod(s *suite) {
	c := s.client("n1")
	first := s.put(c, "a=1")
	second := s.written(c, given(puts("a=2"), mod("a", first)))
	r := s.commit(c, given(puts("a=3", "b=3"), mod("a", first)))
	if r.OK || r.Rev != second {
		s.Errorf("old compare answered %+v, want refused at %d", r, second)
	}
	s.wantList(c, "", "a=2")
}

func compareCreate(s *suite) {
	c := s.client("n1")
	s.written(c, given(puts("open/n3=1"), created("open/n3", 0)))
	if r := s.commit(c, given(puts("open/n3=2"), created("open/n3", 0))); r.OK {
		s.Error("the key was created twice")
	}
	if r := s.commit(c, given(puts("x=1"), mod("open/n3", 0))); r.OK {
		s.Error("a key that stands was taken for absent")
	}
	s.wantList(c, "", "open/n3=1")
}

func createAgain(s *suite) {
	c := s.client("n1")
	first := s.put(c, "a=1")
	s.put(c, "a=2")
	kvs := s.wantList(c, "a", "a=2")
	if kvs[0].Create != first || kvs[0].Mod <= first {
		s.Errorf("changed key is %+v, want created at %d and changed later", kvs[0], first)
	}
	s.written(c, given(puts("b=0"), created("a", first), mod("a", kvs[0].Mod)))
	s.written(c, store.Txn{Delete: []string{"a"}})
	s.put(c, "a=3")
	if r := s.commit(c, given(puts("b=1"), created("a", first))); r.OK {
		s.Error("a former creation revision still counts")
	}
}

func oneRevision(s *suite) {
	c := s.client("n1")
	s.put(c, "old=1")
	rev := s.written(c, store.Txn{Put: puts("a=1", "b=1", "c=1").Put, Delete: []string{"old"}})
	for _, kv := range s.wantList(c, "", "a=1 b=1 c=1") {
		if kv.Mod != rev || kv.Create != rev {
			s.Errorf("%+v, want revision %d", kv, rev)
		}
	}
}

func deleteAbsent(s *suite) {
	c := s.client("n1")
	rev := s.put(c, "a=1")
	if r := s.commit(c, store.Txn{Delete: []string{"nothing"}}); !r.OK || r.Rev != rev {
		s.Errorf("answered %+v, want written at %d", r, rev)
	}
	if next := s.put(c, "a=2"); next != rev+1 {
		s.Errorf("next revision is %d, want %d", next, rev+1)
	}
}

func impossible(s *suite) {
	c := s.client("n1")
	var many store.Txn
	for i := range 129 {
		many.Put = append(many.Put, store.Put{Key: fmt.Sprint("k", i)})
	}
	for why, t := range map[string]store.Txn{
		"more writes than a transaction may have": many,
		"the same key put twice":                  puts("a=1", "a=2"),
		"a key put and deleted":                   {Put: puts("a=1").Put, Delete: []string{"a"}},
	} {
		if r, err := c.Commit(s.ctx, t); err == nil || r.OK || !s.w.NotWritten(err) {
			s.Errorf("%s: answered %+v, %v; want an error that says not written", why, r, err)
		}
	}
	over, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, err := c.Commit(over, puts("a=1")); err == nil || !s.w.NotWritten(err) {
		s.Errorf("a commit after its context ended: %v, want not written", err)
	}
	s.wantList(c, "", "")
}

func listed(s *suite) {
	c := s.client("n1")
	s.put(c, "pool/b=1", "pool/a=1", "poor=1", "fence/n1=1")
	s.wantList(c, "pool/", "pool/a=1 pool/b=1")
	s.wantList(c, "none/", "")
	rev := s.put(c, "z=1")
	if _, at, err := c.List(s.ctx, ""); err != nil || at != rev {
		s.Errorf("list is of %d, %v; want %d", at, err, rev)
	}
}

func lostWritten(s *suite) {
	c, other := s.client("n1"), s.client("n2")
	rev := s.put(c, "record=1")
	c.Mute(false)
	done := make(chan error, 1)
	go func() {
		_, err := c.Commit(s.ctx, given(puts("record=2", "order=2"), mod("record", rev)))
		done <- err
	}()
	s.eventually(other, "", "order=2 record=2")
	c.Cut()
	if err := <-done; err == nil || s.w.NotWritten(err) {
		s.Errorf("commit without an answer: %v; want an error that leaves both open", err)
	}
	s.readBack(c, "order=2 record=2")
	if r := s.commit(other, given(puts("record=3"), mod("record", rev))); r.OK {
		s.Error("the commit made again with the same compare was written too")
	}
}

func lostUnwritten(s *suite) {
	c, other := s.client("n1"), s.client("n2")
	rev := s.put(c, "record=1")
	c.Mute(true)
	ctx, cancel := context.WithTimeout(s.ctx, 300*time.Millisecond)
	defer cancel()
	_, err := c.Commit(ctx, given(puts("record=2"), mod("record", rev)))
	if err == nil || s.w.NotWritten(err) {
		s.Errorf("commit without an answer: %v; want an error that leaves both open", err)
	}
	c.Cut()
	s.readBack(c, "record=1")
	s.written(other, given(puts("record=3"), mod("record", rev)))
}

// readBack reads with the client that lost its connection, as soon as it has
// one again.
func (s *suite) readBack(c Client, want string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	for {
		kvs, _, err := c.List(ctx, "")
		if err == nil {
			if got := render(kvs); got != want {
				s.Fatalf("read back %q, want %q", got, want)
			}
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("read back: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func claimRace(s *suite) {
	a, b := s.client("n1"), s.client("n2")
	for round := range 20 {
		rev := s.put(a, "order/x=open")
		claim := given(puts("order/x=claimed"), mod("order/x", rev))
		cancelled := given(puts("order/x=cancelled"), mod("order/x", rev))
		var results [2]store.Result
		var errs [2]error
		var both sync.WaitGroup
		both.Go(func() { results[0], errs[0] = a.Commit(s.ctx, claim) })
		both.Go(func() { results[1], errs[1] = b.Commit(s.ctx, cancelled) })
		both.Wait()
		if errs[0] != nil || errs[1] != nil {
			s.Fatalf("round %d: %v, %v", round, errs[0], errs[1])
		}
		if results[0].OK == results[1].OK {
			s.Fatalf("round %d: claim %+v and cancel %+v, want exactly one", round, results[0], results[1])
		}
		want := "order/x=cancelled"
		if results[0].OK {
			want = "order/x=claimed"
		}
		s.wantList(a, "order/", want)
	}
}
