// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/internal/store"
)

// patience bounds every wait of the suite; leases run out well within it.
const patience = 30 * time.Second

// Run holds a store to the contract. open makes a new empty store each time.
func Run(t *testing.T, open func(t *testing.T) World) {
	for _, c := range []struct {
		name  string
		test  func(*suite)
		waits bool // for a lease to run out: all that do wait together
	}{
		{"a compare on an old revision refuses, and says so without an error", compareMod, false},
		{"only one can create a key", compareCreate, false},
		{"a key deleted and made again has another creation revision", createAgain, false},
		{"all writes of a transaction share one revision", oneRevision, false},
		{"deleting what is absent moves nothing", deleteAbsent, false},
		{"an impossible transaction is certainly not written", impossible, false},
		{"a list is of one moment and sorted", listed, false},
		{"a watch begins with everything and shows transactions whole", watchWhole, false},
		{"a watch begun later still misses nothing", watchNoGap, false},
		{"a reader that slept is brought to the present", watchSlow, false},
		{"history that is gone is replaced by everything", watchCompacted, false},
		{"a lost answer to a written transaction is an error and reads back written", lostWritten, false},
		{"a lost request is an error and reads back not written", lostUnwritten, false},
		{"of two that claim an order exactly one wins", claimRace, false},
		{"one leads, the other waits and inherits when it resigns", resigned, false},
		{"a dead leader's key goes with its lease and its term commits nothing", leaderDied, true},
		{"resigning leaves what was announced", resignKeepsAnnounced, false},
		{"what is announced again is written again", announcedAgain, false},
		{"an announced key goes with its client", announcedDies, true},
		{"a leased put goes with its client", leasedPut, true},
		{"a new client takes an announced key over at once", announcedTakenOver, true},
		{"a candidate that gives up stands in nobody's way", candidateGivesUp, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.waits {
				t.Parallel()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			c.test(&suite{T: t, ctx: ctx, w: open(t)})
		})
	}
}

// suite is one test with the short words the stories are told in.
type suite struct {
	*testing.T
	ctx context.Context
	w   World
}

func (s *suite) client(name string) Client { s.Helper(); return s.w.Client(s.T, name) }

// commit wants an answer.
func (s *suite) commit(c Client, t store.Txn) store.Result {
	s.Helper()
	r, err := c.Commit(s.ctx, t)
	if err != nil {
		s.Fatalf("commit: %v", err)
	}
	return r
}

// written wants the transaction written.
func (s *suite) written(c Client, t store.Txn) int64 {
	s.Helper()
	r := s.commit(c, t)
	if !r.OK {
		s.Fatalf("transaction %+v was refused", t)
	}
	return r.Rev
}

// put writes keys "a=1" in one transaction.
func (s *suite) put(c Client, assignments ...string) int64 {
	s.Helper()
	return s.written(c, puts(assignments...))
}

func puts(assignments ...string) store.Txn {
	var t store.Txn
	for _, a := range assignments {
		key, value, _ := strings.Cut(a, "=")
		t.Put = append(t.Put, store.Put{Key: key, Value: []byte(value)})
	}
	return t
}

// list is everything under prefix as "a=1 b=2", and the keys.
func (s *suite) list(c Client, prefix string) (string, []store.KV) {
	s.Helper()
	kvs, _, err := c.List(s.ctx, prefix)
	if err != nil {
		s.Fatalf("list %q: %v", prefix, err)
	}
	return render(kvs), kvs
}

func (s *suite) wantList(c Client, prefix, want string) []store.KV {
	s.Helper()
	got, kvs := s.list(c, prefix)
	if got != want {
		s.Fatalf("%q holds %q, want %q", prefix, got, want)
	}
	return kvs
}

// eventually waits until prefix holds want.
func (s *suite) eventually(c Client, prefix, want string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	state, got := map[string]string{}, "nothing"
	for b := range c.Watch(ctx, prefix) {
		if got = apply(state, b); got == want {
			return
		}
	}
	s.Fatalf("%q holds %q after %v, want %q", prefix, got, patience, want)
}

// next is the next batch of a watch.
func (s *suite) next(ch <-chan store.Batch) store.Batch {
	s.Helper()
	select {
	case b, open := <-ch:
		if !open {
			s.Fatal("the watch closed")
		}
		return b
	case <-time.After(patience):
		s.Fatal("no batch came")
	}
	return store.Batch{}
}

// render shows keys as "a=1 b-": b is deleted.
func render(kvs []store.KV) string {
	words := make([]string, 0, len(kvs))
	for _, kv := range kvs {
		if kv.Mod == 0 {
			words = append(words, kv.Key+"-")
			continue
		}
		words = append(words, kv.Key+"="+string(kv.Value))
	}
	return strings.Join(words, " ")
}

// apply folds a batch into a state, as a mirror does, and renders the state.
func apply(state map[string]string, b store.Batch) string {
	if b.Whole {
		clear(state)
	}
	for _, kv := range b.KVs {
		if kv.Mod == 0 {
			delete(state, kv.Key)
			continue
		}
		state[kv.Key] = string(kv.Value)
	}
	var words []string
	for key, value := range state {
		words = append(words, key+"="+value)
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}
