// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// Announce wants key to stand with value for as long as this client lives:
// bound to its own lease, written again whenever that lease had to be renewed.
// It never waits; the key stands as soon as the store answers. An existing key
// is taken over: a restarted agent does not wait for its former lease. The same
// value again is written again: a write that was given up may have landed since.
func (s *Store) Announce(key string, value []byte) {
	s.own.announce(key, value)
}

// ownLease is the lease of this client and what is announced with it.
type ownLease struct {
	mu     sync.Mutex
	id     clientv3.LeaseID
	has    chan struct{} // closed while id is valid
	ended  bool
	wanted map[string]word
	kick   chan struct{} // capacity 1: wanted changed
}

// word is what a key is to hold, said for the n-th time.
type word struct {
	value []byte
	n     int
}

func (l *ownLease) init() {
	l.has, l.wanted, l.kick = make(chan struct{}), map[string]word{}, make(chan struct{}, 1)
}

func (l *ownLease) announce(key string, value []byte) {
	l.mu.Lock()
	l.wanted[key] = word{bytes.Clone(value), l.wanted[key].n + 1}
	l.mu.Unlock()
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// take hands in a new lease; false when the store is closing.
func (l *ownLease) take(id clientv3.LeaseID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.id = id
	close(l.has)
	return true
}

func (l *ownLease) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id, l.has = clientv3.NoLease, make(chan struct{})
}

// end lets no further lease in and returns the present one.
func (l *ownLease) end() clientv3.LeaseID {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	return l.id
}

// wait returns the lease as soon as there is one.
func (l *ownLease) wait(ctx context.Context) (clientv3.LeaseID, error) {
	for {
		l.mu.Lock()
		id, has := l.id, l.has
		l.mu.Unlock()
		if id != clientv3.NoLease {
			return id, nil
		}
		select {
		case <-has:
		case <-ctx.Done():
			return clientv3.NoLease, ctx.Err()
		}
	}
}

func (l *ownLease) announced() map[string]word {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.wanted)
}

// keepLease holds the own lease until the store is closed.
func (s *Store) keepLease() {
	wait := pauseMin
	for s.ctx.Err() == nil {
		session, err := s.session(s.ctx)
		if err != nil {
			pause(s.ctx, &wait)
			continue
		}
		wait = pauseMin
		if !s.own.take(session.Lease()) {
			session.Orphan() // closing; the lease runs out
			return
		}
		s.keepAnnounced(session)
		s.own.lose()
		session.Orphan()
	}
}

// keepAnnounced writes what is wanted until the lease is lost.
func (s *Store) keepAnnounced(session *concurrency.Session) {
	standing := map[string]int{}
	wait := pauseMin
	for {
		var retry <-chan time.Time
		if err := s.putAnnounced(session, standing); err != nil {
			retry = time.After(wait)
			wait = min(2*wait, pauseMax)
		} else {
			wait = pauseMin
		}
		select {
		case <-s.own.kick:
		case <-retry:
		case <-session.Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *Store) putAnnounced(session *concurrency.Session, standing map[string]int) error {
	wanted := s.own.announced()
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if standing[key] == wanted[key].n {
			continue
		}
		ctx, cancel := context.WithTimeout(session.Ctx(), s.o.RequestTimeout)
		_, err := s.client.Put(ctx, s.o.Prefix+key, string(wanted[key].value), clientv3.WithLease(session.Lease()))
		cancel()
		if err != nil {
			return fmt.Errorf("announce %s: %w", key, err)
		}
		standing[key] = wanted[key].n
	}
	return nil
}

// session takes a lease and keeps it alive for as long as the store is open.
// Only the asking is bounded by ctx.
func (s *Store) session(ctx context.Context) (*concurrency.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	ttl := int(s.o.LeaseTTL / time.Second)
	lease, err := s.client.Grant(ctx, int64(ttl))
	if err != nil {
		return nil, fmt.Errorf("lease of %v: %w", s.o.LeaseTTL, err)
	}
	session, err := concurrency.NewSession(s.client, concurrency.WithContext(s.ctx),
		concurrency.WithTTL(ttl), concurrency.WithLease(lease.ID))
	if err != nil {
		return nil, fmt.Errorf("keep lease: %w", err)
	}
	return session, nil
}

// revoke gives a lease back; its keys go at once, in one revision.
func (s *Store) revoke(ctx context.Context, id clientv3.LeaseID) error {
	if id == clientv3.NoLease {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	if _, err := s.client.Revoke(ctx, id); err != nil {
		return fmt.Errorf("revoke lease %x: %w", id, err)
	}
	return nil
}
