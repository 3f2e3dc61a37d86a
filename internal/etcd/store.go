// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"supervisor/internal/store"
)

// Store is one agent's client of the store. It keeps a lease of its own, to
// which announced keys and leased puts are bound, and takes a new one when it
// is lost. Its methods may be called by several goroutines.
type Store struct {
	o      Options
	client *clientv3.Client
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the lease keeper and the watches

	turned  turnedAway
	horizon horizon
	own     ownLease

	mu   sync.Mutex
	seat *seat // candidate or leader, nil when neither
}

// Dial makes a client. It does not wait for the store: an agent starts, and
// observes, also while etcd is away. Close it.
func Dial(o Options) (*Store, error) {
	if err := usable(o.TLS); err != nil {
		return nil, fmt.Errorf("store options: %w", err)
	}
	s, err := connect(o)
	if err != nil {
		return nil, err
	}
	s.own.init()
	s.wg.Go(s.keepLease)
	return s, nil
}

// connect makes a client that holds no lease.
func connect(o Options) (*Store, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("store options: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Store{o: o, ctx: ctx, cancel: cancel}
	client, err := clientv3.New(clientv3.Config{
		Context: ctx, Endpoints: o.Endpoints, Logger: quiet(o.Logger), DialTimeout: o.DialTimeout,
		// A connection into nothing is noticed after 12 s at the latest.
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 2 * time.Second,
		DialOptions: append(secured(o.TLS, &s.turned), reconnect(o.DialTimeout)),
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("client of store %v: %w", o.Endpoints, err)
	}
	s.client = client
	s.horizon.rev, s.horizon.cluster = o.SeenRev, o.SeenCluster
	return s, nil
}

// Refused names the servers of the store with which no handshake succeeds, with
// the reason, sorted by address; the others may answer all the same.
func (s *Store) Refused() []string { return s.turned.list(time.Now()) }

// reconnect bounds the pause between two attempts. gRPC's own grows to two
// minutes, which the agents would stay blind for after a restart of the store.
func reconnect(attempt time.Duration) grpc.DialOption {
	return grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
		MinConnectTimeout: attempt,
	})
}

// Close resigns, gives the own lease back so that announced keys go at once,
// and ends all watches. When the store does not answer before ctx ends, the
// leases run out by themselves.
func (s *Store) Close(ctx context.Context) error {
	err := errors.Join(s.Resign(ctx), s.revoke(ctx, s.own.end()))
	s.cancel()
	// Before the client is closed: it never ends the channel of a lease that is granted
	// at the moment when its own loop ends, and whoever lets go of that lease waits for it.
	s.wg.Wait()
	if closed := s.client.Close(); closed != nil && !errors.Is(closed, context.Canceled) {
		err = errors.Join(err, closed)
	}
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// List reads everything under prefix, sorted by key, and the revision it was
// read at. It is linearizable: it sees every transaction that was answered
// before it was called. ErrWentBack: the store is not to be believed.
func (s *Store) List(ctx context.Context, prefix string) ([]store.KV, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	floor := s.horizon.floor()
	resp, err := s.client.Get(ctx, s.o.Prefix+prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, 0, fmt.Errorf("list %q: %w", prefix, err)
	}
	if err := s.horizon.note(resp.Header, floor); err != nil {
		return nil, 0, fmt.Errorf("list %q: %w", prefix, err)
	}
	return s.read(resp.Kvs), resp.Header.Revision, nil
}

func (s *Store) read(found []*mvccpb.KeyValue) []store.KV {
	kvs := make([]store.KV, 0, len(found))
	for _, kv := range found {
		kvs = append(kvs, store.KV{Key: s.relative(kv.Key), Value: kv.Value, Mod: kv.ModRevision, Create: kv.CreateRevision})
	}
	return kvs
}

func (s *Store) relative(key []byte) string { return strings.TrimPrefix(string(key), s.o.Prefix) }
