// SPDX-License-Identifier: Apache-2.0

// Package model is the store as a value in memory: revisions, compares,
// leases, elections and watches as etcd has them, without time and without a
// network. Leases expire when they are told to, a watch moves when it is
// pulled.
//
// The property everybody relies on: it answers as a real etcd does. The
// contract suite in package storetest holds both to it. It is not safe for
// concurrent use. The values that it gives are its own: nobody may change one.
package model

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"supervisor/internal/store"
)

// Lease binds keys to a client. 0 is no lease.
type Lease int64

// Store is one store. New makes it.
type Store struct {
	rev       int64
	compacted int64 // history up to and including this revision is gone
	keys      map[string]held
	folders   map[string]map[string]bool // keys by what stands before their first slash
	changes   []change                   // in order, all above compacted
	granted   Lease
	live      map[Lease]bool
}

// held is a key as it stands.
type held struct {
	store.KV
	lease Lease
}

// change is one key changed at rev; Mod 0 in kv means deleted.
type change struct {
	rev int64
	kv  store.KV
}

// New is an empty store. Like etcd's it stands at revision 1.
func New() *Store {
	return &Store{rev: 1, keys: map[string]held{}, folders: map[string]map[string]bool{}, live: map[Lease]bool{}}
}

// Rev is the revision the store stands at.
func (s *Store) Rev() int64 { return s.rev }

// Grant makes a lease that stands until Expire.
func (s *Store) Grant() Lease {
	s.granted++
	s.live[s.granted] = true
	return s.granted
}

// Live tells whether a lease stands.
func (s *Store) Live(l Lease) bool { return s.live[l] }

// Expire ends a lease. All its keys go in one revision.
func (s *Store) Expire(l Lease) {
	delete(s.live, l)
	var gone []string
	for key, h := range s.keys {
		if l != 0 && h.lease == l {
			gone = append(gone, key)
		}
	}
	slices.Sort(gone)
	s.write(store.Txn{Delete: gone}, 0)
}

// Commit applies a transaction whose leased puts are bound to l. OK is false
// when a compare did not hold. The model knows no error but store.ErrNotWritten; a
// lost answer is up to its user.
func (s *Store) Commit(l Lease, t store.Txn) (store.Result, error) {
	if err := check(t); err != nil {
		return store.Result{}, fmt.Errorf("commit: %w: %w", store.ErrNotWritten, err)
	}
	for _, c := range t.Compare {
		if !s.holds(c) {
			return store.Result{Rev: s.rev}, nil
		}
	}
	for _, p := range t.Put {
		if p.Leased && !s.live[l] {
			return store.Result{}, fmt.Errorf("commit: %w: lease of %s is gone", store.ErrNotWritten, p.Key)
		}
	}
	s.write(t, l)
	return store.Result{OK: true, Rev: s.rev}, nil
}

func (s *Store) holds(c store.Compare) bool {
	kv := s.keys[c.Key] // absent: both revisions are 0
	if c.On == store.Create {
		return kv.Create == c.Rev
	}
	return kv.Mod == c.Rev
}

// write puts and deletes at the next revision. Without an actual change the
// revision stays: deleting what is absent is none.
func (s *Store) write(t store.Txn, l Lease) {
	next := s.rev + 1
	for _, p := range t.Put {
		h := held{KV: store.KV{Key: p.Key, Value: bytes.Clone(p.Value), Mod: next, Create: next}}
		if old, ok := s.keys[p.Key]; ok {
			h.Create = old.Create
		}
		if p.Leased {
			h.lease = l
		}
		s.keys[p.Key] = h
		f := folder(p.Key)
		if s.folders[f] == nil {
			s.folders[f] = map[string]bool{}
		}
		s.folders[f][p.Key] = true
		s.changed(next, h.KV)
	}
	for _, key := range t.Delete {
		if _, ok := s.keys[key]; ok {
			delete(s.keys, key)
			delete(s.folders[folder(key)], key)
			s.changed(next, store.KV{Key: key})
		}
	}
}

// folder is what stands before the first slash of a key.
func folder(key string) string {
	f, _, _ := strings.Cut(key, "/")
	return f
}

func (s *Store) changed(rev int64, kv store.KV) {
	s.rev = rev
	s.changes = append(s.changes, change{rev, kv})
}

// Get is one key as it stands; false when it is absent.
func (s *Store) Get(key string) (store.KV, bool) {
	h, ok := s.keys[key]
	return h.KV, ok
}

// List is everything under prefix, sorted by key, and the store's revision.
func (s *Store) List(prefix string) ([]store.KV, int64) {
	kvs := []store.KV{}
	if strings.Contains(prefix, "/") {
		for key := range s.folders[folder(prefix)] { // order: sorted below
			if strings.HasPrefix(key, prefix) {
				kvs = append(kvs, s.keys[key].KV)
			}
		}
	} else {
		for key, h := range s.keys { // order: sorted below
			if strings.HasPrefix(key, prefix) {
				kvs = append(kvs, h.KV)
			}
		}
	}
	slices.SortFunc(kvs, func(a, b store.KV) int { return strings.Compare(a.Key, b.Key) })
	return kvs, s.rev
}

// Compact forgets history up to and including rev; keys stay. A watch that
// stands before it begins again with a whole batch.
func (s *Store) Compact(rev int64) {
	s.compacted = max(s.compacted, min(rev, s.rev))
	i, _ := slices.BinarySearchFunc(s.changes, s.compacted+1, func(c change, rev int64) int { return cmp.Compare(c.rev, rev) })
	s.changes = slices.Clone(s.changes[i:])
}

// Copy is the store as it stands, for Restore: what a backup holds.
func (s *Store) Copy() *Store {
	c := New()
	c.rev, c.keys = s.rev, maps.Clone(s.keys)
	return c
}

// Restore brings the store back from a copy, as `store recover` does: it goes on
// at a revision that is higher by raise than the copy's, nothing of its history is
// left, and what was bound to a lease is gone.
func (s *Store) Restore(from *Store, raise int64) {
	s.rev = from.rev + raise
	s.compacted, s.changes = s.rev, nil
	s.keys, s.folders, s.live = map[string]held{}, map[string]map[string]bool{}, map[Lease]bool{}
	for key, h := range from.keys { // order: into a map
		if h.lease != 0 {
			continue
		}
		s.keys[key] = h
		f := folder(key)
		if s.folders[f] == nil {
			s.folders[f] = map[string]bool{}
		}
		s.folders[f][key] = true
	}
}
