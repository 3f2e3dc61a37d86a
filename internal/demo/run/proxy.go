// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"time"

	"supervisor/internal/demo/haproxy"
)

// seen is what HAProxy itself said of the victim, and when.
type seen struct {
	drained time.Time // somebody put it into drain or maintenance
	serving time.Time // after that: up, with weight, and no longer drained
}

// note takes one look. A server that fails its checks is not drained, and one
// that was never drained does not begin to serve.
func (s *seen) note(st haproxy.State, at time.Time) {
	out := st.Admin != 0 || st.Weight == 0
	switch {
	case out && s.drained.IsZero():
		s.drained = at
	case out:
		s.serving = time.Time{} // out again: it did not stay
	case st.Up && !s.drained.IsZero() && s.serving.IsZero():
		s.serving = at
	}
}

// watchProxy looks at HAProxy until ctx ends and then hands over what it saw.
// It asks HAProxy alone: what the supervisor says it did is not looked at.
func (s *stage) watchProxy(ctx context.Context) <-chan seen {
	out := make(chan seen, 1)
	go func() {
		var got seen
		tick := time.NewTicker(proxyEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			if states, err := s.plan.Proxy.States(ctx); err == nil {
				got.note(states[Victim], time.Now())
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
		out <- got
	}()
	return out
}
