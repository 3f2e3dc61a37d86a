// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/internal/store/storetest"
)

func TestModelKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.World {
		sh := &shared{model: model.New(), changed: make(chan struct{})}
		return storetest.World{
			Client: func(t *testing.T, name string) storetest.Client {
				c := &client{shared: sh, name: name, cut: make(chan struct{})}
				sh.do(func(m *model.Store) { c.lease = m.Grant() })
				return storetest.Client{Store: c, Leader: c, Die: c.die, Mute: c.mute, Cut: c.cutNow}
			},
			Compact:    func(t *testing.T, rev int64) { sh.do(func(m *model.Store) { m.Compact(rev) }) },
			NotWritten: func(err error) bool { return errors.Is(err, store.ErrNotWritten) },
		}
	})
}

// shared puts a lock and a bell around the model, which has neither.
type shared struct {
	mu      sync.Mutex
	model   *model.Store
	changed chan struct{} // closed and replaced after each call
}

// do runs f on the model and rings; the channel rings for the call after it.
func (s *shared) do(f func(*model.Store)) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.model.Rev()
	f(s.model)
	if s.model.Rev() != before {
		close(s.changed)
		s.changed = make(chan struct{})
	}
	return s.changed
}

// client gives the model the interface of a real client.
type client struct {
	*shared
	name        string
	lease, seat model.Lease
	lost        chan struct{}

	state      sync.Mutex
	muted      bool
	mutedWhole bool
	cut        chan struct{}
}

var errCut = errors.New("connection cut")

func (c *client) mute(requestsToo bool) {
	c.state.Lock()
	defer c.state.Unlock()
	c.muted, c.mutedWhole = true, requestsToo
}

func (c *client) cutNow() {
	c.state.Lock()
	defer c.state.Unlock()
	close(c.cut)
	c.muted, c.cut = false, make(chan struct{})
}

func (c *client) line() (muted, whole bool, cut chan struct{}) {
	c.state.Lock()
	defer c.state.Unlock()
	return c.muted, c.mutedWhole, c.cut
}

// silence waits for the end of a call that gets no answer.
func silence(ctx context.Context, cut chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-cut:
		return errCut
	}
}

func (c *client) Commit(ctx context.Context, t store.Txn) (r store.Result, err error) {
	if ctx.Err() != nil {
		return r, errors.Join(store.ErrNotWritten, ctx.Err())
	}
	muted, whole, cut := c.line()
	if !muted || !whole {
		c.do(func(m *model.Store) { r, err = m.Commit(c.lease, t) })
	}
	if muted {
		return store.Result{}, silence(ctx, cut)
	}
	return r, err
}

func (c *client) List(ctx context.Context, prefix string) (kvs []store.KV, rev int64, err error) {
	if muted, _, cut := c.line(); muted {
		return nil, 0, silence(ctx, cut)
	}
	c.do(func(m *model.Store) { kvs, rev = m.List(prefix) })
	return kvs, rev, ctx.Err()
}

func (c *client) Watch(ctx context.Context, prefix string) <-chan store.Batch {
	out := make(chan store.Batch, 256)
	go func() {
		defer close(out)
		w := model.Watch{Prefix: prefix}
		for ctx.Err() == nil {
			if muted, _, cut := c.line(); muted {
				if silence(ctx, cut) != errCut {
					return
				}
				continue
			}
			var b store.Batch
			var some bool
			bell := c.do(func(m *model.Store) { b, some = m.Pull(&w) })
			if some {
				select {
				case out <- b:
				case <-ctx.Done():
				}
				continue
			}
			select {
			case <-bell:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

func (c *client) Campaign(ctx context.Context) (t store.Term, lost <-chan struct{}, err error) {
	c.do(func(m *model.Store) { c.seat = m.Grant() })
	c.lost = make(chan struct{})
	for {
		var won bool
		bell := c.do(func(m *model.Store) { t, won, err = m.Campaign(c.seat, c.name) })
		if err != nil || won {
			return t, c.lost, err
		}
		select {
		case <-bell:
		case <-ctx.Done():
			return store.Term{}, nil, errors.Join(ctx.Err(), c.Resign(ctx))
		}
	}
}

func (c *client) Resign(context.Context) error {
	if c.seat == 0 {
		return nil
	}
	c.do(func(m *model.Store) { m.Expire(c.seat) })
	close(c.lost)
	c.seat = 0
	return nil
}

func (c *client) Announce(key string, value []byte) {
	c.do(func(m *model.Store) {
		m.Commit(c.lease, store.Txn{Put: []store.Put{{Key: key, Value: value, Leased: true}}})
	})
}

func (c *client) die() {
	c.do(func(m *model.Store) {
		m.Expire(c.lease)
		m.Expire(c.seat)
	})
}
