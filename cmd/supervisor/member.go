// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"supervisor/internal/etcd"
	"supervisor/internal/settings"
	"supervisor/internal/store"
)

// memberEvery is between two attempts to bring the member up.
const memberEvery = 2 * time.Second

// memberKeeper runs this host's member of the store beside the agent, which
// observes and answers the gate also while the store has no majority.
type memberKeeper struct {
	o   etcd.EmbedOptions
	log *zap.Logger

	cancel context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	why    string       // it does not run; empty: it does
	member *etcd.Member // nil: none is open
}

func keepMember(o etcd.EmbedOptions, log *zap.Logger) *memberKeeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &memberKeeper{o: o, log: log, cancel: cancel, ended: make(chan struct{}), why: "it is being started"}
	go k.run(ctx)
	return k
}

// Why tells why the member does not run.
func (k *memberKeeper) Why() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.why
}

// Outdated tells whether the member runs by another CA file than stands there.
func (k *memberKeeper) Outdated() bool {
	k.mu.Lock()
	m := k.member
	k.mu.Unlock()
	return m != nil && m.Outdated()
}

func (k *memberKeeper) hold(m *etcd.Member) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.member = m
}

func (k *memberKeeper) say(why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.why = why
}

// close stops the member and waits for it, for closeMax at the most.
func (k *memberKeeper) close() {
	k.cancel()
	<-k.ended
}

func (k *memberKeeper) run(ctx context.Context) {
	defer close(k.ended)
	for ctx.Err() == nil {
		m, err := k.open(ctx)
		if err != nil {
			k.say(k.words(err))
		} else if err := k.serve(ctx, m); err != nil && ctx.Err() == nil {
			k.say(k.words(err))
			k.log.Warn("the store's member stopped", zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(memberEvery):
		}
	}
}

func (k *memberKeeper) open(ctx context.Context) (*etcd.Member, error) {
	m, err := etcd.Open(k.o)
	if !errors.Is(err, etcd.ErrNoStore) {
		return m, err
	}
	if len(k.o.Members) == 1 {
		return nil, err
	}
	return etcd.Join(ctx, k.o)
}

// serve returns when the member stopped by itself, or ctx is over.
func (k *memberKeeper) serve(ctx context.Context, m *etcd.Member) error {
	k.hold(m)
	defer func() {
		k.hold(nil)
		cctx, cancel := context.WithTimeout(context.Background(), closeMax)
		defer cancel()
		_ = m.Close(cctx)
	}()
	k.say("it waits for a majority of the members")
	if err := m.Promote(ctx); err != nil {
		return err
	}
	k.say("")
	k.log.Info("the store's member serves")
	select {
	case <-ctx.Done():
		return nil
	case <-m.Stopped():
		return errors.New("it stopped by itself: it was taken off the store, or etcd gave up; if it was replaced, move its directory away")
	}
}

// words tell a person what to do.
func (k *memberKeeper) words(err error) string {
	switch {
	case errors.Is(err, etcd.ErrLostMember):
		return fmt.Sprintf("%s is empty, and the other members know %s with data; if its disk was lost, run `supervisor store replace-member %s` "+
			"on a host whose member runs", k.o.Dir, k.o.Name, k.o.Name)
	case errors.Is(err, etcd.ErrNoStore):
		return fmt.Sprintf("%s is empty; bring the directory back, or for a new cluster run `supervisor store init`", k.o.Dir)
	}
	return err.Error()
}

// embedOptions are those of this host's member. ok is false where none runs.
func embedOptions(cfg settings.Agent, log *zap.Logger) (o etcd.EmbedOptions, ok bool) {
	if _, ok = cfg.Member(); !ok {
		return o, false
	}
	members := make(map[string]etcd.MemberURLs)
	for name, m := range cfg.Store.Embedded.Members {
		members[string(name)] = etcd.MemberURLs{Client: cfg.Store.URL(m.Client), Peer: cfg.Store.URL(m.Peer)}
	}
	o = etcd.DefaultEmbedOptions(string(cfg.Host.Name), cfg.Store.Embedded.Dir, members)
	// Members of other clusters and regions never join this one.
	o.Token = store.Prefix(cfg.Cluster, cfg.Region)
	o.TLS, o.Logger = keeper(cfg), log
	return o, true
}
