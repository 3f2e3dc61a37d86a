// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"slices"
	"strings"

	"supervisor/internal/store"
)

// Watch is one reader's place in the history under a prefix. Its zero Rev
// means that it was given nothing yet.
type Watch struct {
	Prefix string
	Rev    int64 // the revision delivered so far
}

// Pull gives a watch its next batch and moves it: first everything under the
// prefix, then one revision at a time, everything again when its history was
// compacted away. false: nothing new under the prefix.
func (s *Store) Pull(w *Watch) (store.Batch, bool) {
	if w.Rev == 0 || w.Rev < s.compacted {
		kvs, rev := s.List(w.Prefix)
		w.Rev = rev
		return store.Batch{Rev: rev, KVs: kvs, Whole: true}, true
	}
	var b store.Batch
	first, _ := slices.BinarySearchFunc(s.changes, w.Rev+1, func(c change, rev int64) int { return cmp.Compare(c.rev, rev) })
	for _, c := range s.changes[first:] {
		if !strings.HasPrefix(c.kv.Key, w.Prefix) {
			continue
		}
		if b.Rev != 0 && c.rev != b.Rev {
			break
		}
		b.Rev = c.rev
		b.KVs = append(b.KVs, c.kv)
	}
	if b.Rev == 0 {
		w.Rev = s.rev // what was passed over is not looked at again
		return store.Batch{}, false
	}
	w.Rev = b.Rev
	return b, true
}
