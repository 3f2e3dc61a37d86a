// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/internal/store/model"
)

// fakeStore is the store's model with a network in front of it: it takes time
// to answer, it can be out of reach, and it can die at any transaction.
type fakeStore struct {
	mu       sync.Mutex
	m        *model.Store
	cluster  string // the ID of its etcd cluster
	down     bool
	full     bool          // it takes no writes
	changed  chan struct{} // closed and made anew at every change
	sessions map[*session]bool
	fault    func(who cluster.Name, t store.Txn) fault // nil: none
	commits  []sent
}

// sent is a transaction that somebody sent, for tests that count.
type sent struct {
	who cluster.Name
	txn store.Txn
}

// fault is what happens to one transaction.
type fault uint8

const (
	noFault      fault = iota
	neverThere         // an error, and it is not written
	answerLost         // an error, and it is written
	writtenLater       // an error, and it is written a second later
)

var faultWords = []string{"answered", "dies before it", "dies after it", "writes it late"}

func (f fault) String() string { return faultWords[f] }

var (
	errStore = errors.New("the store does not answer")
	errFull  = errors.New("database space exceeded")
)

const (
	storeTakes = 2 * time.Millisecond
	leaseTTL   = 5 * time.Second
	lateBy     = time.Second
)

func newFakeStore() *fakeStore {
	return &fakeStore{m: model.New(), cluster: "c1", changed: make(chan struct{}), sessions: map[*session]bool{}}
}

// touch tells everybody who waits that something changed; mu is held.
func (s *fakeStore) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// outage takes the store away for a while. Leases end when it outlasts them.
func (s *fakeStore) outage(d time.Duration) {
	s.mu.Lock()
	s.down = true
	s.touch()
	s.mu.Unlock()
	go func() {
		if d > leaseTTL {
			time.Sleep(leaseTTL)
			s.mu.Lock()
			for x := range s.sessions {
				x.end()
			}
			s.mu.Unlock()
			time.Sleep(d - leaseTTL)
		} else {
			time.Sleep(d)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.down = false
		s.touch()
	}()
}

// get reads one key.
func (s *fakeStore) get(key string) (store.KV, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kvs, _ := s.m.List(key)
	i := slices.IndexFunc(kvs, func(kv store.KV) bool { return kv.Key == key })
	if i < 0 {
		return store.KV{}, false
	}
	return kvs[i], true
}

// list reads a folder.
func (s *fakeStore) list(prefix string) []store.KV {
	s.mu.Lock()
	defer s.mu.Unlock()
	kvs, _ := s.m.List(prefix)
	return kvs
}

// put writes past everybody, as a tool does.
func (s *fakeStore) put(key string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.m.Commit(0, store.Txn{Put: []store.Put{{Key: key, Value: value}}}); err != nil {
		panic(err)
	}
	s.touch()
}

// session is a lease and what is lost with it.
type session struct {
	s     *fakeStore
	lease model.Lease
	lost  chan struct{}
	over  bool
}

// open takes a lease; s.mu is held.
func (s *fakeStore) open() *session {
	x := &session{s: s, lease: s.m.Grant(), lost: make(chan struct{})}
	s.sessions[x] = true
	return x
}

// end lets the lease run out; s.mu is held.
func (x *session) end() {
	if x.over {
		return
	}
	x.over = true
	x.s.m.Expire(x.lease)
	close(x.lost)
	delete(x.s.sessions, x)
	x.s.touch()
}

// client is one agent's connection: Journal, Election and Pulse.
type client struct {
	s    *fakeStore
	name cluster.Name
	ctx  context.Context
	wg   sync.WaitGroup

	own    *session // what is announced hangs on it
	seat   *session // the candidacy
	wanted map[string][]byte
	kick   chan struct{}
	cut    bool   // this client alone cannot reach the store
	knows  string // the etcd cluster that it believes
}

func newClient(ctx context.Context, s *fakeStore, name cluster.Name) *client {
	c := &client{s: s, name: name, ctx: ctx, wanted: map[string][]byte{}, kick: make(chan struct{}, 1)}
	c.wg.Go(c.keep)
	return c
}

// believe gives the client the etcd cluster that an earlier run knew; without one
// it believes what it finds.
func (c *client) believe(etcdCluster string) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.knows = etcdCluster; c.knows == "" {
		c.knows = c.s.cluster
	}
}

// strange tells whether another store answers than the one the client knows; mu is held.
func (c *client) strange() bool { return c.knows != c.s.cluster }

// away tells whether the store is out of this client's reach; mu is held.
func (c *client) away() bool { return c.s.down || c.cut }

// keep writes what is announced whenever it can.
func (c *client) keep() {
	standing := map[string][]byte{}
	for {
		c.s.mu.Lock()
		if !c.away() && !c.strange() {
			if c.own == nil || c.own.over {
				c.own, standing = c.s.open(), map[string][]byte{}
			}
			for _, key := range slices.Sorted(maps.Keys(c.wanted)) {
				if bytes.Equal(standing[key], c.wanted[key]) {
					continue
				}
				if _, err := c.s.m.Commit(c.own.lease, store.Txn{Put: []store.Put{{Key: key, Value: c.wanted[key], Leased: true}}}); err == nil {
					standing[key] = c.wanted[key]
					c.s.touch()
				}
			}
		}
		changed := c.s.changed
		c.s.mu.Unlock()
		select {
		case <-c.ctx.Done():
			return
		case <-c.kick:
		case <-changed:
		}
	}
}

// leave ends the client: at once when it said goodbye, when its leases run
// out otherwise.
func (c *client) leave(goodbye bool) {
	c.wg.Wait()
	end := func() {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		for _, x := range []*session{c.own, c.seat} {
			if x != nil {
				x.end()
			}
		}
	}
	if goodbye {
		end()
		return
	}
	go func() {
		time.Sleep(leaseTTL)
		end()
	}()
}

func (c *client) Announce(key string, value []byte) {
	c.s.mu.Lock()
	c.wanted[key] = bytes.Clone(value)
	c.s.mu.Unlock()
	wake(c.kick)
}

// travel is the way to the store; it fails when the store is out of reach.
func (c *client) travel(ctx context.Context) error {
	pause(ctx, storeTakes)
	if err := ctx.Err(); err != nil {
		return err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.away() {
		return errStore
	}
	if c.strange() {
		return store.ErrWentBack
	}
	return nil
}

func (c *client) Commit(ctx context.Context, t store.Txn) (store.Result, error) {
	c.s.mu.Lock()
	c.s.commits = append(c.s.commits, sent{c.name, t})
	fault, hook, full := noFault, c.s.fault, c.s.full
	c.s.mu.Unlock()
	if full {
		pause(ctx, storeTakes)
		return store.Result{}, errFull
	}
	if hook != nil {
		fault = hook(c.name, t)
	}
	if fault == neverThere {
		return store.Result{}, errStore
	}
	if fault == writtenLater {
		time.AfterFunc(lateBy, func() { _, _ = c.write(t) })
		return store.Result{}, errStore
	}
	if fault == answerLost {
		_, _ = c.write(t)
		return store.Result{}, errStore
	}
	if err := c.travel(ctx); err != nil {
		return store.Result{}, err
	}
	res, err := c.write(t)
	pause(ctx, storeTakes)
	return res, err
}

func (c *client) write(t store.Txn) (store.Result, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	res, err := c.s.m.Commit(0, t)
	if err == nil && res.OK {
		c.s.touch()
	}
	return res, err
}

// seen is what the client knows of the store: which it is, and how far it is.
func (c *client) seen() (string, int64) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.knows, c.s.m.Rev()
}

func (c *client) List(ctx context.Context, prefix string) ([]store.KV, int64, error) {
	if err := c.travel(ctx); err != nil {
		return nil, 0, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	kvs, rev := c.s.m.List(prefix)
	return kvs, rev, nil
}

// Watch begins anew with a whole batch after every time out of reach.
func (c *client) Watch(ctx context.Context, prefix string) <-chan store.Batch {
	out := make(chan store.Batch, 8)
	go func() {
		defer close(out)
		w := model.Watch{Prefix: prefix}
		for ctx.Err() == nil {
			c.s.mu.Lock()
			var b store.Batch
			some := false
			if c.away() || c.strange() {
				w = model.Watch{Prefix: prefix}
			} else {
				b, some = c.s.m.Pull(&w)
			}
			changed := c.s.changed
			c.s.mu.Unlock()
			if some {
				pause(ctx, storeTakes)
				select {
				case out <- b:
				case <-ctx.Done():
				}
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

func (c *client) Campaign(ctx context.Context) (store.Term, <-chan struct{}, error) {
	for {
		if err := c.travel(ctx); err != nil {
			return store.Term{}, nil, err
		}
		c.s.mu.Lock()
		if c.seat == nil || c.seat.over {
			c.seat = c.s.open()
		}
		rev := c.s.m.Rev()
		term, won, err := c.s.m.Campaign(c.seat.lease, string(c.name))
		if c.s.m.Rev() != rev {
			c.s.touch()
		}
		seat, changed := c.seat, c.s.changed
		c.s.mu.Unlock()
		if err != nil || won {
			return term, seat.lost, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return store.Term{}, nil, ctx.Err()
		}
	}
}

func (c *client) Resign(ctx context.Context) error {
	if err := c.travel(ctx); err != nil {
		return err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.seat != nil {
		c.seat.end()
	}
	return nil
}

func (c *client) Pulse(ctx context.Context) (time.Duration, error) {
	if err := c.travel(ctx); err != nil {
		return 0, err
	}
	return storeTakes, nil
}

func (c *client) Refuses(ctx context.Context) (string, error) {
	if err := c.travel(ctx); err != nil {
		return "", err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.full {
		return "etcd raised the alarm NOSPACE", nil
	}
	return "", nil
}

func (c *client) Look(ctx context.Context) (store.Sight, error) {
	pause(ctx, storeTakes)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.away() {
		return store.Sight{}, errStore
	}
	kv, _ := c.s.m.Get(store.Era)
	return store.Sight{EtcdCluster: c.s.cluster, Rev: c.s.m.Rev(), Era: kv.Value}, nil
}

func (c *client) Follow(sight store.Sight) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.knows = sight.EtcdCluster
	c.s.touch()
	return nil
}

// Kinds of transactions, as tests name them.

// orderOf is the order that a transaction claims or settles.
func orderOf(t store.Txn) (o incident.Order, claims, settles bool) {
	for _, p := range t.Put {
		if strings.HasPrefix(p.Key, store.Orders) && store.Strict(p.Value, &o) == nil {
			return o, o.State == incident.Claimed, o.State == incident.Settled
		}
	}
	return o, false, false
}

// led tells whether a transaction is a leader's.
func led(t store.Txn) bool {
	return slices.ContainsFunc(t.Compare, func(c store.Compare) bool { return strings.HasPrefix(c.Key, store.Leaders) })
}

// reported tells whether a transaction is a report of an agent.
func reported(t store.Txn) bool {
	return slices.ContainsFunc(t.Put, func(p store.Put) bool { return strings.HasPrefix(p.Key, store.Seens) })
}
