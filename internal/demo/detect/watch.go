// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"sync"
	"time"

	"supervisor/internal/api"
	"supervisor/internal/demo/haproxy"
	"supervisor/internal/demo/lan"
	"supervisor/internal/demo/node"
	"supervisor/membership"
)

// seen is what was seen of ours, and when. Zero: not yet.
type seen struct {
	mu               sync.Mutex
	verdict          time.Time
	cause            string
	lighter, drained time.Time
}

func (s *seen) judged(c membership.Cause, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verdict.IsZero() {
		s.verdict, s.cause = at, c.String()
	}
}

// written takes a verdict from the journal, if it is an earlier one.
func (s *seen) written(cause string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verdict.IsZero() || at.Before(s.verdict) {
		s.verdict, s.cause = at, cause
	}
}

// proxied takes what HAProxy says of the server. One that fails its checks is not
// drained, and still has its weight.
func (s *seen) proxied(st haproxy.State, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lighter.IsZero() && st.Weight < st.Normal {
		s.lighter = at
	}
	if s.drained.IsZero() && (st.Admin != 0 || st.Weight == 0) {
		s.drained = at
	}
}

func (s *seen) whole() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.verdict.IsZero() && !s.drained.IsZero()
}

// watch looks at the leader's view and at HAProxy until ctx ends.
func (s *stage) watch(ctx context.Context, f Fault, victim node.Node) (*seen, *sync.WaitGroup) {
	var got seen
	var watching sync.WaitGroup
	every := func(pace time.Duration, look func()) {
		watching.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for ctx.Err() == nil {
				look()
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
		})
	}
	for _, n := range s.plan.Nodes {
		// Also who does not lead: it may do so later.
		if n.Name != victim.Name {
			every(viewEvery, func() { s.view(ctx, f, n, victim, &got) })
		}
	}
	every(proxyEvery, func() {
		if states, err := s.plan.Proxy.States(ctx); err == nil {
			got.proxied(states[victim.Name], time.Now())
		}
	})
	return &got, &watching
}

// view asks one agent, whose word counts while it leads.
func (s *stage) view(ctx context.Context, f Fault, asked, victim node.Node, got *seen) {
	ctx, cancel := context.WithTimeout(ctx, viewMax)
	defer cancel()
	nodes, err := get[api.Nodes](ctx, s.asks[asked.Name], "/v1/nodes")
	if err != nil {
		return
	}
	if cause, is := verdict(f, nodes.Nodes, asked.Name, victim.Name); is {
		got.judged(cause, time.Now())
	}
}

// verdict is what the agent asked says of the victim, if it leads and says that the
// victim is gone. That it is slow is the verdict about one that is slow, and none about
// any other.
func verdict(f Fault, nodes []api.NodeLine, asked, victim string) (membership.Cause, bool) {
	leads, bad := false, false
	var cause membership.Cause
	for _, n := range nodes {
		if string(n.Name) == asked {
			leads = n.Leads
		}
		if string(n.Name) == victim {
			cause = n.Cause
			bad = n.Answer == membership.Gone || f == Slow && n.Cause == membership.Slow
		}
	}
	return cause, leads && bad
}

// dead is when the other members of memberlist called a host dead, the first and
// the last one. Zero: not.
func (s *stage) dead(victim node.Node, from time.Time) (first, all time.Time) {
	for _, n := range s.plan.Nodes {
		if n.Name == victim.Name {
			continue
		}
		words, err := lan.Words(n)
		at := lan.Dead(words, victim.Name, from)
		if err != nil || at.IsZero() {
			return first, time.Time{}
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(all) {
			all = at
		}
	}
	return first, all
}
