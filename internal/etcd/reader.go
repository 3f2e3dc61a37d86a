// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"supervisor/internal/store"
)

// beatEvery is how often the store of another region is asked whether it answers:
// what it said last counts for a few seconds only.
const beatEvery = 2 * time.Second

// Reader reads the store of another region over a connection of its own. It has no
// lease, and nothing of it writes.
type Reader struct{ s *Store }

// DialReader makes a client that reads. It waits neither for the store nor for
// certificates that are in order: an agent whose files for another region are not
// must start, for its own node. Close it.
func DialReader(o Options) (*Reader, error) {
	s, err := connect(o)
	if err != nil {
		return nil, err
	}
	return &Reader{s}, nil
}

// Watch is Store.Watch over some folders, which are read in one transaction. While
// the store answers an empty batch every two seconds tells that all was brought that
// stood there when it was asked.
func (r *Reader) Watch(ctx context.Context, folders []string) <-chan store.Batch {
	in := func(key string) bool {
		for _, f := range folders {
			if strings.HasPrefix(key, f) {
				return true
			}
		}
		return false
	}
	w := &watch{every: beatEvery, takes: in,
		read: func(ctx context.Context) ([]store.KV, int64, error) { return r.list(ctx, folders) }}
	w.ask = func(ctx context.Context) error {
		now, err := r.s.pulse(ctx)
		if err != nil {
			return err
		}
		if w.wants = now.Revision; w.reach >= w.wants {
			w.beat() // a watch that begins in the future is told of no progress
			return nil
		}
		return r.s.askProgress(ctx)
	}
	return r.s.watch(ctx, w)
}

// list reads some folders at one revision.
func (r *Reader) list(ctx context.Context, folders []string) ([]store.KV, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, r.s.o.RequestTimeout)
	defer cancel()
	ops := make([]clientv3.Op, len(folders))
	for i, f := range folders {
		ops[i] = clientv3.OpGet(r.s.o.Prefix+f, clientv3.WithPrefix())
	}
	floor := r.s.horizon.floor()
	resp, err := r.s.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return nil, 0, fmt.Errorf("list %v: %w", folders, err)
	}
	if err := r.s.horizon.note(resp.Header, floor); err != nil {
		return nil, 0, fmt.Errorf("list %v: %w", folders, err)
	}
	var kvs []store.KV
	for _, part := range resp.Responses {
		kvs = append(kvs, r.s.read(part.GetResponseRange().Kvs)...)
	}
	return kvs, resp.Header.Revision, nil
}

// Check asks whether the store answers. One that went back or is another is looked
// at, without believing it, and gone over to if follow says so.
func (r *Reader) Check(ctx context.Context, follow func(store.Sight) bool) error {
	_, err := r.s.pulse(ctx)
	if !errors.Is(err, ErrWentBack) {
		return err
	}
	sight, lost := r.s.Look(ctx)
	if lost != nil || !follow(sight) {
		return err
	}
	return r.s.Follow(sight)
}

// Seen is the etcd cluster that answers, as agents spell it; empty: none did yet.
func (r *Reader) Seen() string {
	id, _ := r.s.Seen()
	return store.EtcdCluster(id)
}

// Close ends all watches.
func (r *Reader) Close() error {
	r.s.cancel()
	err := r.s.client.Close()
	r.s.wg.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("close the store of another region: %w", err)
	}
	return nil
}
