// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"supervisor/cluster"
	"supervisor/internal/api"
	"supervisor/internal/demo/agents"
	"supervisor/internal/demo/node"
)

func get[T any](ctx context.Context, c *api.Client, path string) (T, error) {
	raw, err := c.Get(ctx, path)
	if err != nil {
		var none T
		return none, fmt.Errorf("ask an agent for %s: %w", path, err)
	}
	e, err := api.Decode[T](raw)
	return e.Data, err
}

// asked is an agent that is asked.
type asked struct {
	name   string
	client *api.Client
}

// ask asks the first agent, not the victim's, that answers: another one may have
// been ended. One that is stopped would answer nothing for long.
func ask[T any](ctx context.Context, s *stage, path string) (v T, err error) {
	var errs []error
	for _, a := range s.asks {
		if a.name == s.deaf {
			continue
		}
		if v, err = get[T](ctx, a.client, path); err == nil {
			return v, nil
		}
		errs = append(errs, err)
	}
	return v, errors.Join(errs...)
}

func (s *stage) status(ctx context.Context) (api.Status, error) {
	return ask[api.Status](ctx, s, "/v1/status")
}

func leader(st api.Status) cluster.Name {
	for _, dc := range st.Datacenters {
		return dc.Leader
	}
	return ""
}

// await asks the agent of a node until its status fits.
func (s *stage) await(ctx context.Context, n node.Node, fits func(api.Status) bool) error {
	c := api.NewClient(agents.Socket(n))
	defer c.Close()
	for {
		st, err := get[api.Status](ctx, c, "/v1/status")
		if err == nil && fits(st) {
			return nil
		}
		if ended := pause(ctx, lookEvery); ended != nil {
			return errors.Join(ended, err, errors.New(string(st.State)), said(st.Why))
		}
	}
}

// said makes an error of what an agent said last.
func said(why []string) error {
	var errs []error
	for _, w := range why {
		errs = append(errs, errors.New(w))
	}
	return errors.Join(errs...)
}

// known are the incidents that were there before a fault.
func (s *stage) known(ctx context.Context) (map[string]bool, error) {
	all, err := ask[[]api.IncidentLine](ctx, s, "/v1/incidents")
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool)
	for _, in := range all {
		ids[in.ID] = true
	}
	return ids, nil
}

// opened is the first incident about the victim that was not known before;
// empty while there is none.
func (s *stage) opened(ctx context.Context, before map[string]bool) (string, error) {
	all, err := ask[[]api.IncidentLine](ctx, s, "/v1/incidents")
	if err != nil {
		return "", err
	}
	id := ""
	var began time.Time
	for _, in := range all {
		if in.Node == Victim && !before[in.ID] && (id == "" || in.Began.Before(began)) {
			id, began = in.ID, in.Began.Time
		}
	}
	return id, nil
}

func (s *stage) timeline(ctx context.Context, id string) (api.Timeline, error) {
	return ask[api.Timeline](ctx, s, api.Path("v1", "incidents", id, "timeline"))
}

// pause waits for d, or returns why it could not.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
