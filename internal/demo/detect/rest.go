// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"errors"
	"fmt"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo/lan"
	"supervisor/membership"
)

// rest waits until nothing of an earlier fault is left: Cassandras and proxy as
// demo.Plan.AwaitRestFor has it, no incident, every agent hears every observer well
// and knows one leader, the store whole, memberlist too.
func (s *stage) rest(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, restMax, fmt.Errorf("not at rest after %s", restMax))
	defer cancel()
	for {
		if err := s.plan.AwaitRestFor(ctx, restQuiet); err != nil {
			return err
		}
		why := s.unrest(ctx)
		if why == nil {
			return nil
		}
		s.tell(why.Error(), "waiting for rest: "+why.Error())
		if ended := pause(ctx, lookEvery); ended != nil {
			return errors.Join(ended, why)
		}
	}
}

func (s *stage) unrest(ctx context.Context) error {
	leaders := map[string]bool{}
	for _, n := range s.plan.Nodes {
		st, err := get[api.Status](ctx, s.asks[n.Name], "/v1/status")
		if err != nil {
			return err
		}
		if len(st.Incidents) > 0 {
			return fmt.Errorf("%s is open: %s", st.Incidents[0].ID, st.Incidents[0].Phase)
		}
		if leaders[leaderOf(st)] = true; leaderOf(st) == "" || len(leaders) > 1 {
			return errors.New("the agents do not name one leader")
		}
		if err := s.unheard(ctx, n.Name); err != nil {
			return err
		}
		words, err := lan.Words(n)
		if err != nil {
			return err
		}
		if alive := lan.Alive(words); alive != len(s.plan.Nodes) {
			return fmt.Errorf("memberlist on %s knows %d members", n.Name, alive)
		}
	}
	health, err := s.store.Health(ctx)
	if err != nil {
		return err
	}
	for _, e := range health.Endpoints {
		if e.Err != nil {
			return e.Err
		}
	}
	if !health.Leader {
		return errors.New("the store has no leader")
	}
	return nil
}

// unheard tells what an agent does not hear, or hears badly.
func (s *stage) unheard(ctx context.Context, agent string) error {
	nodes, err := get[api.Nodes](ctx, s.asks[agent], "/v1/nodes")
	if err != nil {
		return err
	}
	if len(nodes.Nodes) != len(s.plan.Nodes) {
		return fmt.Errorf("%s knows %d nodes", agent, len(nodes.Nodes))
	}
	for _, n := range nodes.Nodes {
		if n.Answer != membership.Alive || n.Cause != membership.NoCause || n.Votes.Heard != n.Votes.Eligible {
			return fmt.Errorf("%s says %s of %s, %d of %d observers heard", agent, n.Verdict, n.Name, n.Votes.Heard, n.Votes.Eligible)
		}
	}
	return nil
}

// closed waits until no incident is open, or, of a disk, until a person is asked.
func (s *stage) closed(ctx context.Context, f Fault) error {
	ctx, cancel := context.WithTimeoutCause(ctx, closedMax, fmt.Errorf("the incident is not closed after %s", closedMax))
	defer cancel()
	for {
		why := s.notClosed(ctx, f)
		if why == nil {
			return nil
		}
		s.tell(why.Error(), why.Error())
		if ended := pause(ctx, lookEvery); ended != nil {
			return errors.Join(ended, why)
		}
	}
}

func (s *stage) notClosed(ctx context.Context, f Fault) error {
	open := 0
	for _, n := range s.plan.Nodes {
		all, err := get[[]api.IncidentLine](ctx, s.asks[n.Name], "/v1/incidents")
		if err != nil {
			return err
		}
		for _, in := range all {
			switch {
			case in.Phase == incident.Closed:
			case f == Disk && in.Phase == incident.Held && in.HeldRule == incident.FenceBeforeReplace:
				open++
			default:
				return fmt.Errorf("%s of %s is %s %s", in.ID, in.Node, in.Phase, in.Held)
			}
		}
	}
	if f == Disk && open != len(s.plan.Nodes) {
		return errors.New("nobody is asked for a replacement")
	}
	return nil
}

// tell shows what the half waits for; key changes when that does.
func (s *stage) tell(key, text string) { s.show.Show(key, text) }
