// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"errors"
	"fmt"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// ErrWentBack tells that the store stands at a smaller revision than it had,
// or is another cluster: restored, swapped, wiped or set up anew. Only observing
// goes on until a person has said which.
var ErrWentBack = errors.New("the store went back or is another one, see docs/hosts.md")

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
