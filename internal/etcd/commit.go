// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"supervisor/internal/store"
)

// Commit sends a transaction, at most once. OK is false without an error when
// a compare did not hold. An error means that nobody knows, unless it is
// store.ErrNotWritten.
func (s *Store) Commit(ctx context.Context, t store.Txn) (store.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	ops, err := s.ops(ctx, t)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return store.Result{}, fmt.Errorf("commit: %w: %w", store.ErrNotWritten, err)
	}
	floor := s.horizon.floor()
	resp, err := s.client.Txn(ctx).If(s.compares(t)...).Then(ops...).Commit()
	switch {
	case err != nil && refused(err):
		return store.Result{}, fmt.Errorf("commit: %w: %w", store.ErrNotWritten, err)
	case err != nil:
		return store.Result{}, fmt.Errorf("commit: %w", err)
	}
	if err := s.horizon.note(resp.Header, floor); err != nil {
		return store.Result{}, fmt.Errorf("commit: %w", err)
	}
	return store.Result{OK: resp.Succeeded, Rev: resp.Header.Revision}, nil
}

func (s *Store) compares(t store.Txn) []clientv3.Cmp {
	cmps := make([]clientv3.Cmp, 0, len(t.Compare))
	for _, c := range t.Compare {
		key := s.o.Prefix + c.Key
		target := clientv3.ModRevision(key)
		if c.On == store.Create {
			target = clientv3.CreateRevision(key)
		}
		cmps = append(cmps, clientv3.Compare(target, "=", c.Rev))
	}
	return cmps
}

// ops are the writes of t. A leased put waits for the own lease, which is
// missing only while the store cannot be reached.
func (s *Store) ops(ctx context.Context, t store.Txn) ([]clientv3.Op, error) {
	ops := make([]clientv3.Op, 0, len(t.Put)+len(t.Delete))
	for _, p := range t.Put {
		var opts []clientv3.OpOption
		if p.Leased {
			id, err := s.own.wait(ctx)
			if err != nil {
				return nil, fmt.Errorf("lease for %s: %w", p.Key, err)
			}
			opts = append(opts, clientv3.WithLease(id))
		}
		ops = append(ops, clientv3.OpPut(s.o.Prefix+p.Key, string(p.Value), opts...))
	}
	for _, key := range t.Delete {
		ops = append(ops, clientv3.OpDelete(s.o.Prefix+key))
	}
	return ops, nil
}

// refusals are the answers etcd gives before it writes anything. Whatever is
// not in the list may be written: a time-out, a lost connection, a lost leader.
var refusals = []error{
	rpctypes.ErrEmptyKey, rpctypes.ErrDuplicateKey, rpctypes.ErrTooManyOps, rpctypes.ErrRequestTooLarge,
	rpctypes.ErrNoSpace, rpctypes.ErrTooManyRequests, rpctypes.ErrLeaseNotFound,
	rpctypes.ErrPermissionDenied, rpctypes.ErrUserEmpty, rpctypes.ErrInvalidAuthToken,
}

func refused(err error) bool {
	for _, r := range refusals {
		if errors.Is(err, r) {
			return true
		}
	}
	return false
}
