// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"strings"

	"supervisor/internal/store"
)

// Campaign enters a candidate, or asks again for one that waits. won tells
// that it is the leader: the oldest key under leader/. Its key goes with its
// lease. Candidates that wait ask again after every change.
func (s *Store) Campaign(l Lease, name string) (t store.Term, won bool, err error) {
	key := fmt.Sprintf("%s%x", store.Leaders, int64(l))
	if _, err := s.Commit(l, store.Txn{
		Compare: []store.Compare{{Key: key, On: store.Create, Rev: 0}},
		Put:     []store.Put{{Key: key, Value: []byte(name), Leased: true}},
	}); err != nil {
		return store.Term{}, false, fmt.Errorf("campaign: %w", err)
	}
	t = store.Term{Key: key, Rev: s.keys[key].Create}
	return t, s.leader() == t, nil
}

// leader is the term of the oldest candidate, zero without one.
func (s *Store) leader() store.Term {
	var t store.Term
	for key, h := range s.keys { // order: two candidates never share a create revision
		if strings.HasPrefix(key, store.Leaders) && (t.Rev == 0 || h.Create < t.Rev) {
			t = store.Term{Key: key, Rev: h.Create}
		}
	}
	return t
}
