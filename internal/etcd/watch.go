// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"supervisor/internal/store"
)

// progressEvery is how often a silent watch is asked for the store's revision:
// a watch resumed on a store that went back would wait for ever.
const progressEvery = 5 * time.Second

var (
	errSlow   = errors.New("the reader is slower than the store")
	errClosed = errors.New("the watch ended")
)

// Watch sends everything under prefix as one whole batch, then every change
// after it, all changes of a revision in the same batch. When history is
// compacted away, the store loses its leader or the reader is too slow, it
// begins again with a whole batch. The channel closes when ctx or the store
// ends. A store that went back sends nothing more; Health says so.
func (s *Store) Watch(ctx context.Context, prefix string) <-chan store.Batch {
	return s.watch(ctx, &watch{prefix: prefix, every: progressEvery, ask: s.askProgress,
		read:  func(ctx context.Context) ([]store.KV, int64, error) { return s.List(ctx, prefix) },
		takes: func(string) bool { return true }})
}

func (s *Store) watch(ctx context.Context, w *watch) <-chan store.Batch {
	w.s, w.out = s, make(chan store.Batch, s.o.WatchQueueMax)
	s.wg.Go(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.ctx, cancel)()
		defer close(w.out)
		w.run(ctx)
	})
	return w.out
}

// watch is one reader's view of one prefix.
type watch struct {
	s      *Store
	prefix string
	every  time.Duration               // how often the store is asked
	ask    func(context.Context) error // what it is asked; an error begins the watch anew
	read   func(context.Context) ([]store.KV, int64, error)
	takes  func(key string) bool
	out    chan store.Batch
	reach  int64 // the revision delivered so far
	// wants is the revision at which the store stood when a reader asked it: an empty
	// batch tells that all up to there was delivered. 0: nobody waits for that.
	wants int64
}

func (w *watch) run(ctx context.Context) {
	wait := pauseMin
	for ctx.Err() == nil {
		before := w.reach
		err := w.listAndFollow(ctx)
		if errors.Is(err, errSlow) || w.reach > before {
			wait = pauseMin
		}
		pause(ctx, &wait)
	}
}

// listAndFollow returns when the watch has to begin again. The whole batch
// waits for room without a watch being open, so nothing piles up behind a
// slow reader.
func (w *watch) listAndFollow(ctx context.Context) error {
	kvs, rev, err := w.read(ctx)
	if err != nil {
		return err
	}
	select {
	case w.out <- store.Batch{Rev: rev, KVs: kvs, Whole: true}:
		w.reach = rev
	case <-ctx.Done():
		return ctx.Err()
	}
	return w.follow(ctx)
}

func (w *watch) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	changes := w.s.client.Watch(ctx, w.s.o.Prefix+w.prefix, clientv3.WithPrefix(), clientv3.WithRev(w.reach+1))
	progress := time.NewTicker(w.every)
	defer progress.Stop()
	for {
		select {
		case resp, open := <-changes:
			if !open {
				return errClosed
			}
			if err := w.take(resp); err != nil {
				return err
			}
		case <-progress.C:
			if err := w.ask(ctx); err != nil {
				return err
			}
		}
	}
}

// take delivers one answer of the watch. etcd cuts answers only between
// revisions, so an answer is a batch.
func (w *watch) take(resp clientv3.WatchResponse) error {
	if err := resp.Err(); err != nil {
		return err
	}
	if resp.IsProgressNotify() && resp.Header.Revision < w.reach {
		return fmt.Errorf("%w: revision %d, was %d", ErrWentBack, resp.Header.Revision, w.reach)
	}
	if len(resp.Events) == 0 {
		if w.wants != 0 && resp.IsProgressNotify() && resp.Header.Revision >= w.wants {
			w.beat()
		}
		return nil
	}
	b := store.Batch{KVs: make([]store.KV, 0, len(resp.Events))}
	for _, ev := range resp.Events {
		kv := store.KV{Key: w.s.relative(ev.Kv.Key)}
		if ev.Type == mvccpb.Event_PUT {
			kv.Value, kv.Mod, kv.Create = ev.Kv.Value, ev.Kv.ModRevision, ev.Kv.CreateRevision
		}
		if w.takes(kv.Key) {
			b.KVs = append(b.KVs, kv)
		}
		// Not the header's revision: it may be ahead of what was delivered.
		b.Rev = max(b.Rev, ev.Kv.ModRevision)
	}
	if len(b.KVs) == 0 { // an empty one is a beat
		w.reach = b.Rev
		return nil
	}
	select {
	case w.out <- b:
		w.reach = b.Rev
		return nil
	default:
		return errSlow
	}
}

// beat tells that nothing else is new, once the watch has come as far as the store
// was when it was asked. The member that answers a question may be another one than
// the watch hangs on, which can lag behind for as long as its disk is slow.
func (w *watch) beat() {
	w.wants = 0
	select {
	case w.out <- store.Batch{Rev: w.reach}:
	default: // whoever has not taken what is there needs no beat
	}
}

func (s *Store) askProgress(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	return s.client.RequestProgress(ctx)
}

// The bounds of the pause before something is tried again.
const (
	pauseMin = 50 * time.Millisecond
	pauseMax = time.Second
)

// pause waits for about *wait and doubles it. A third of it is chance, so that
// all agents do not come back to a restarted store at one moment.
func pause(ctx context.Context, wait *time.Duration) {
	t := time.NewTimer(*wait - rand.N(*wait/3))
	defer t.Stop()
	*wait = min(2**wait, pauseMax)
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
