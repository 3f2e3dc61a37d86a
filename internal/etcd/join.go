// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// ErrLostMember tells that the others know this member with data, and its
// directory is empty. Starting it anew by itself would let a member vote that
// forgot what it had promised.
var ErrLostMember = errors.New("the store knows this member, and its directory is empty")

// askMax bounds one question to the other members.
const askMax = 3 * time.Second

// Join makes this member, whose directory is empty, one of the store that the
// others run, and starts it. It is a learner first, which counts in no
// majority; Promote makes it count. ErrLostMember: a person has to say that
// the old one is gone, with `store replace-member`. Any other error may pass:
// try again.
func Join(ctx context.Context, o EmbedOptions) (*Member, error) {
	if there, err := o.exists(); err != nil {
		return nil, err
	} else if there {
		return nil, fmt.Errorf("%w: in %s", ErrStoreExists, o.Dir)
	}
	c, err := o.others()
	if err != nil {
		return nil, fmt.Errorf("join the store: %w", err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	list, err := c.MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("join the store: %w", c.turned.explain(err))
	}
	all, added := list.Members, false
	for _, m := range all {
		switch {
		case m.Name == o.Name:
			return nil, ErrLostMember
		case slices.Contains(m.PeerURLs, o.Members[o.Name].Peer):
			added = true // by an attempt that ended before the member ran
		}
	}
	if !added {
		resp, err := c.MemberAddAsLearner(ctx, []string{o.Members[o.Name].Peer})
		if err != nil {
			return nil, fmt.Errorf("join the store: %w", err)
		}
		all = resp.Members
	}
	return o.start(o.initial(all), embed.ClusterStateFlagExisting)
}

// initial spells the members of a store. One that never ran has no name yet.
func (o EmbedOptions) initial(all []*etcdserverpb.Member) string {
	var pairs []string
	for _, m := range all {
		for _, url := range m.PeerURLs {
			pairs = append(pairs, o.nameOf(m, url)+"="+url)
		}
	}
	return strings.Join(pairs, ",")
}

func (o EmbedOptions) nameOf(m *etcdserverpb.Member, url string) string {
	for name, urls := range o.Members {
		if urls.Peer == url {
			return name
		}
	}
	return m.Name
}

// asker is a client for a few questions to members.
type asker struct {
	*clientv3.Client
	turned *turnedAway
}

// others is a client of all members but this one.
func (o EmbedOptions) others() (asker, error) {
	names := slices.Sorted(maps.Keys(o.Members))
	return o.client(slices.DeleteFunc(names, func(name string) bool { return name == o.Name }))
}

func (o EmbedOptions) client(names []string) (asker, error) {
	var ends []string
	for _, name := range names {
		ends = append(ends, o.Members[name].Client)
	}
	if len(ends) == 0 {
		return asker{}, errors.New("no other member is named")
	}
	if err := usable(o.TLS); err != nil {
		return asker{}, err
	}
	turned := &turnedAway{}
	c, err := clientv3.New(clientv3.Config{Endpoints: ends, Logger: quiet(o.Logger), DialTimeout: askMax,
		DialOptions: append(secured(o.TLS, turned), reconnect(askMax))})
	return asker{c, turned}, err
}

// Answering names the members that answer now, in order.
func Answering(ctx context.Context, o EmbedOptions) ([]string, error) {
	c, err := o.client(slices.Sorted(maps.Keys(o.Members)))
	if err != nil {
		return nil, fmt.Errorf("ask the members of the store: %w", err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	var mu sync.Mutex
	var names []string
	var wg sync.WaitGroup
	for name, urls := range o.Members {
		wg.Go(func() {
			if _, err := c.Status(ctx, urls.Client); err == nil {
				mu.Lock()
				defer mu.Unlock()
				names = append(names, name)
			}
		})
	}
	wg.Wait()
	slices.Sort(names)
	return names, nil
}

// promoteEvery is between two attempts: a learner has to catch up first.
const promoteEvery = 500 * time.Millisecond

// Promote makes a member that is a learner one that votes, as soon as it has
// caught up. It returns when it votes or ctx ends.
func (m *Member) Promote(ctx context.Context) error {
	if err := m.Ready(ctx); err != nil {
		return err
	}
	var last error
	for m.server.Server.IsLearner() {
		last = m.promote(ctx)
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), last)
		case <-m.Stopped():
			return errors.Join(errors.New("the member stopped"), last)
		case <-time.After(promoteEvery):
		}
	}
	return nil
}

func (m *Member) promote(ctx context.Context) error {
	c, err := m.o.others()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	_, err = c.MemberPromote(ctx, uint64(m.server.Server.MemberID()))
	return err
}
