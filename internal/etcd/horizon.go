// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"supervisor/internal/store"
)

// ErrWentBack is the error of every request to a store that went back.
var ErrWentBack = store.ErrWentBack

// horizon is the highest revision the store was seen at, and which cluster it
// was.
type horizon struct {
	mu      sync.Mutex
	rev     int64
	cluster uint64
}

// Seen is the cluster that answered and the highest revision it was seen at, to
// be kept over restarts as SeenCluster and SeenRev; 0: none answered yet.
func (s *Store) Seen() (cluster uint64, rev int64) {
	s.horizon.mu.Lock()
	defer s.horizon.mu.Unlock()
	return s.horizon.cluster, s.horizon.rev
}

// Look reads the store that answers, without believing it.
func (s *Store) Look(ctx context.Context) (store.Sight, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	resp, err := s.client.Get(ctx, s.o.Prefix+store.Era)
	if err != nil {
		return store.Sight{}, fmt.Errorf("look at the store: %w", err)
	}
	sight := store.Sight{EtcdCluster: store.EtcdCluster(resp.Header.ClusterId), Rev: resp.Header.Revision}
	if len(resp.Kvs) == 1 {
		sight.Era = resp.Kvs[0].Value
	}
	return sight, nil
}

// Follow goes over to a store that was looked at: from now on it is the one that
// answers are held against.
func (s *Store) Follow(sight store.Sight) error {
	id, err := store.EtcdClusterID(sight.EtcdCluster)
	if err != nil {
		return err
	}
	s.horizon.mu.Lock()
	defer s.horizon.mu.Unlock()
	s.horizon.cluster, s.horizon.rev = id, sight.Rev
	return nil
}

// floor is what the answer to a linearizable request made now must reach.
// Answers overtake each other, so the floor is taken before the request.
func (h *horizon) floor() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rev
}

// note takes in the header of an answer.
func (h *horizon) note(header *pb.ResponseHeader, floor int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cluster != 0 && header.ClusterId != h.cluster {
		return fmt.Errorf("%w: cluster %x, was %x", ErrWentBack, header.ClusterId, h.cluster)
	}
	h.cluster = header.ClusterId
	if header.Revision < floor {
		return fmt.Errorf("%w: revision %d, was %d", ErrWentBack, header.Revision, floor)
	}
	h.rev = max(h.rev, header.Revision)
	return nil
}
