// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"fmt"
	"sync"

	"supervisor/internal/store"
)

func watchWhole(s *suite) {
	c := s.client("n1")
	rev := s.put(c, "fence/n1=1", "pool/a=1")
	ch := c.Watch(s.ctx, "fence/")
	b := s.next(ch)
	if !b.Whole || b.Rev != rev || render(b.KVs) != "fence/n1=1" {
		s.Fatalf("first batch %+v, want everything under the prefix at %d", b, rev)
	}
	s.put(c, "pool/a=2")
	rev = s.written(c, store.Txn{Put: puts("fence/n2=2", "fence/n3=2", "pool/b=2").Put, Delete: []string{"fence/n1"}})
	b = s.next(ch)
	if b.Whole || b.Rev != rev || render(b.KVs) != "fence/n2=2 fence/n3=2 fence/n1-" {
		s.Errorf("second batch %+v (%s), want the transaction's changes under the prefix at %d", b, render(b.KVs), rev)
	}
}

// watchNoGap writes pairs without a pause; a reader that comes in the middle
// never sees one half of a pair.
func watchNoGap(s *suite) {
	const pairs = 200
	c, reader := s.client("n1"), s.client("n2")
	s.put(c, "a=000", "b=000")
	var writer sync.WaitGroup
	defer writer.Wait()
	writer.Go(func() {
		for i := 1; i <= pairs; i++ {
			value := fmt.Sprintf("%03d", i)
			if _, err := c.Commit(s.ctx, puts("a="+value, "b="+value)); err != nil {
				s.Errorf("pair %d: %v", i, err)
				return
			}
		}
	})
	state, last := map[string]string{}, int64(0)
	for b := range reader.Watch(s.ctx, "") {
		if b.Rev <= last {
			s.Fatalf("revision %d after %d", b.Rev, last)
		}
		last = b.Rev
		apply(state, b)
		if state["a"] != state["b"] {
			s.Fatalf("half of a transaction: %v", state)
		}
		if state["a"] == fmt.Sprintf("%03d", pairs) {
			return
		}
	}
	s.Fatalf("the watch ended at %v", state)
}

// watchSlow lets more changes pile up than a queue holds.
func watchSlow(s *suite) {
	const changes = 600
	c, reader := s.client("n1"), s.client("n2")
	s.put(c, "a=1")
	ch := reader.Watch(s.ctx, "")
	for i := range changes {
		s.put(c, fmt.Sprintf("a=%d", i))
	}
	s.put(c, "a=end")
	state := map[string]string{}
	for apply(state, s.next(ch)) != "a=end" {
	}
}

// watchCompacted compacts while a reader is away.
func watchCompacted(s *suite) {
	c, reader := s.client("n1"), s.client("n2")
	s.put(c, "a=1", "b=1")
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ch := reader.Watch(ctx, "")
	s.next(ch)
	reader.Mute(true)
	s.put(c, "a=2")
	rev := s.written(c, store.Txn{Delete: []string{"b"}})
	s.put(c, "a=3")
	s.w.Compact(s.T, rev)
	reader.Cut()
	b := s.next(ch)
	if !b.Whole || render(b.KVs) != "a=3" {
		s.Fatalf("after compaction came %+v (%s), want everything anew", b, render(b.KVs))
	}
	s.put(c, "a=4")
	if got := render(s.next(ch).KVs); got != "a=4" {
		s.Errorf("then came %q, want a=4", got)
	}
}
