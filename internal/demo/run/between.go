// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"fmt"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo"
	"supervisor/internal/demo/load"
)

// replicated are the keyspaces that have more than one replica.
var replicated = []string{load.Keyspace, "system_auth", "system_distributed", "system_traces"}

// between removes what the first half left: the second one must not heal it,
// and must not be blamed for it.
func (s *stage) between(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, restMax, fmt.Errorf("not at rest %s after the first half", restMax))
	defer cancel()
	s.show.Show("repair", "repairing "+Victim+" fully")
	if err := demo.Repair(ctx, s.victim, replicated...); err != nil {
		return err
	}
	s.show.Show("rest", "waiting for rest: no hints left, all nodes up at every peer, pools, Severity")
	if err := s.plan.AwaitRest(ctx); err != nil {
		return err
	}
	s.show.Show("closed", "waiting until the first half's incident is closed")
	if err := s.awaitQuiet(ctx); err != nil {
		return err
	}
	s.show.Done(Victim + " repaired, no hints left, all nodes up, no incident open")
	return nil
}

// awaitQuiet waits until no incident is open and every agent sees every node
// serve.
func (s *stage) awaitQuiet(ctx context.Context) error {
	for {
		open, err := ask[[]api.IncidentLine](ctx, s, "/v1/incidents")
		if err == nil && allClosed(open) {
			break
		}
		if ended := pause(ctx, lookEvery); ended != nil {
			return fmt.Errorf("wait until no incident is open: %w", errors.Join(ended, err))
		}
	}
	for _, n := range s.plan.Nodes {
		if err := s.await(ctx, n, quiet); err != nil {
			return fmt.Errorf("wait until the agent of %s sees every node serve: %w", n.Name, err)
		}
	}
	return nil
}

// quiet does not ask for the word "healthy": a demo's one machine has standing
// warnings, of the store on Cassandra's disk for one.
func quiet(st api.Status) bool {
	return len(st.Incidents) == 0 && st.Nodes.Total > 0 && st.Nodes.Serving == st.Nodes.Total
}

func allClosed(incidents []api.IncidentLine) bool {
	for _, in := range incidents {
		if in.Phase != incident.Closed {
			return false
		}
	}
	return true
}
