// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"fmt"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo"
	"supervisor/internal/demo/agents"
	"supervisor/internal/demo/node"
)

// stage is a cluster that runs, and all that a run asks it with.
type stage struct {
	o      Options
	plan   demo.Plan
	fleet  agents.Fleet
	victim node.Node
	asks   []asked // the agents that are not the victim's
	deaf   string  // the one of them that is stopped just now
	show   *demo.Progress
	atRest *Rest // of the first pair
}

// Run brings a cluster up, gives it the faults and calls each with every
// pair's result. It leaves the cluster running, also after an error: who
// called ends it, in o.Up.Dir. When the cluster did not come up, nothing runs.
func Run(ctx context.Context, o Options, each func(Result)) error {
	if err := o.check(); err != nil {
		return err
	}
	o.Up.Attach = agents.Attach(o.Binary, o.members())
	plan, err := demo.Up(ctx, o.Up)
	if err != nil {
		return UpFailed{err}
	}
	s, err := newStage(o, plan)
	if err != nil {
		return err
	}
	defer s.close()
	for i := range o.Runs {
		r, err := s.pair(ctx, i)
		if err != nil {
			o.Up.Progress.End()
			return err
		}
		each(r)
	}
	return nil
}

// UpFailed says that the cluster did not come up, so nothing runs.
type UpFailed struct{ Err error }

// Error is the reason's.
func (u UpFailed) Error() string { return u.Err.Error() }

// Unwrap is the reason.
func (u UpFailed) Unwrap() error { return u.Err }

func newStage(o Options, p demo.Plan) (*stage, error) {
	victim, err := p.Node(Victim)
	if err != nil {
		return nil, err
	}
	s := &stage{o: o, plan: p, fleet: agents.Fleet{Plan: p, Binary: o.Binary, Members: o.members()}, victim: victim, show: o.Up.Progress}
	for _, n := range p.Nodes {
		if n.Name != Victim {
			s.asks = append(s.asks, asked{n.Name, api.NewClient(agents.Socket(n))})
		}
	}
	return s, nil
}

func (s *stage) close() {
	for _, a := range s.asks {
		a.client.Close()
	}
}

// pair gives the fault twice.
func (s *stage) pair(ctx context.Context, number int) (Result, error) {
	r := Result{Scenario: s.o.Scenario, Node: Victim}
	s.show.Step("alone")
	s.show.Show("mode", "mode observe: the agents only look")
	if err := s.mode(ctx, incident.Observe); err != nil {
		return r, err
	}
	alone, err := s.alone(ctx, fmt.Sprintf("r%da", number))
	if err != nil {
		return r, fmt.Errorf("first half: %w", err)
	}
	r.Alone = alone
	s.show.Step("between")
	if err := s.between(ctx); err != nil {
		return r, fmt.Errorf("between the halves: %w", err)
	}
	s.show.Step("supervisor")
	if err := s.mode(ctx, incident.Auto); err != nil {
		return r, err
	}
	if r.Healed, err = s.healed(ctx, fmt.Sprintf("r%db", number)); err != nil {
		return r, fmt.Errorf("second half: %w", err)
	}
	s.show.Step("result")
	s.show.Done("")
	return r, s.settle(ctx, number)
}

// settle makes the cluster fit for the next pair.
func (s *stage) settle(ctx context.Context, number int) error {
	if number+1 == s.o.Runs {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, restMax)
	defer cancel()
	return s.plan.AwaitRest(ctx)
}

// mode applies the policy in another mode and waits until every agent knows:
// a gate asks its own one.
func (s *stage) mode(ctx context.Context, m incident.Mode) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	reason := "demo, first half: look only"
	if m == incident.Auto {
		reason = "demo, second half: heal"
	}
	if err := s.fleet.Apply(ctx, m, reason); err != nil {
		return err
	}
	for _, n := range s.plan.Nodes {
		if err := s.await(ctx, n, func(st api.Status) bool { return st.Mode == m.String() }); err != nil {
			return fmt.Errorf("wait for mode %s at %s: %w", m, n.Name, err)
		}
	}
	return s.otherLeader(ctx)
}

// otherLeader makes another agent than the victim's lead, by a restart of the
// victim's agent, when it has to be made.
func (s *stage) otherLeader(ctx context.Context) error {
	st, err := s.status(ctx)
	if err != nil || leader(st) != Victim {
		return err
	}
	s.show.Show("leader", "the agent of "+Victim+" leads: it is restarted, so that another one does")
	if err := s.stopAgent(ctx); err != nil {
		return err
	}
	if err := s.await(ctx, s.plan.Nodes[0], func(st api.Status) bool { return leader(st) != "" && leader(st) != Victim }); err != nil {
		return fmt.Errorf("wait for another leader than %s: %w", Victim, err)
	}
	if err := s.fleet.Start(s.victim); err != nil {
		return err
	}
	return s.await(ctx, s.victim, func(st api.Status) bool { return leader(st) != "" && quiet(st) })
}
