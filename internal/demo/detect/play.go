// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/internal/demo/node"
)

// half plays one half. What did not go as it must is in its line, with what was
// measured until then.
func (s *stage) half(ctx context.Context, slot Slot) Half {
	began := time.Now()
	h := Half{Slot: slot, Cores: runtime.NumCPU()}
	if err := s.play(ctx, &h); err != nil {
		h.Failed = strings.ReplaceAll(err.Error(), "\n", "; ") // a line each, in the table too
	}
	h.TookMS = time.Since(began).Milliseconds()
	return h
}

func (s *stage) play(ctx context.Context, h *Half) error {
	s.tell("rest", fmt.Sprintf("%s: waiting for rest; %s to go in all", h.Slot, s.left))
	m := incident.Observe
	if h.With {
		m = incident.Auto
	}
	if err := s.ready(ctx, m); err != nil {
		return fmt.Errorf("no fault was given: %w", err)
	}
	victim, storeLeads, err := s.victim(ctx, h.Fault)
	if err != nil {
		return fmt.Errorf("no fault was given: %w", err)
	}
	watching, enough := context.WithCancel(ctx)
	defer enough()
	got, watch := s.watch(watching, h.Fault, victim)
	d, err := s.give(ctx, h.Fault, h.With, victim)
	if err != nil {
		return errors.Join(err, d.end(context.WithoutCancel(ctx)))
	}
	h.At, h.Node, h.StoreLeader = incident.Stamp(d.at), victim.Name, storeLeads
	s.tell("look", fmt.Sprintf("%s: on %s, %s; for at most %.0f s", h.Slot, victim.Name, traits[h.Fault].words, lookMax.Seconds()))
	err = s.look(ctx, h, victim, d.at, got)
	enough()
	watch.Wait()
	s.journalled(ctx, victim, d.at, got)
	h.ours(got, d.at)
	if err == nil && h.With && h.Fault == Disk {
		// Its ports are seen to be shut before its agent tells of the disk, and one that is
		// writable by then has not failed.
		err = s.closed(ctx, h.Fault)
	}
	h.LookedMS = time.Since(d.at).Milliseconds()
	if err := errors.Join(err, d.end(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	return s.after(ctx, h, victim)
}

// ready brings the cluster to where a fault can be given.
func (s *stage) ready(ctx context.Context, m incident.Mode) error {
	ctx, cancel := context.WithTimeoutCause(ctx, restMax, fmt.Errorf("not at rest after %s", restMax))
	defer cancel()
	if err := s.enter(ctx, m); err != nil {
		return err
	}
	return s.rest(ctx)
}

// look waits until those have said their word who are measured in this half, or for
// lookMax.
func (s *stage) look(ctx context.Context, h *Half, victim node.Node, at time.Time, got *seen) error {
	look, over := context.WithDeadline(ctx, at.Add(lookMax))
	defer over()
	if h.With {
		for !got.whole() && pause(look, proxyEvery) == nil {
		}
		return ctx.Err()
	}
	noticed, err := s.plan.AwaitNoticed(look, victim.Name)
	if err != nil {
		return err
	}
	first, all := s.dead(victim, at)
	h.CassandraMS, h.CassandraAllMS, h.HAProxyMS = since(noticed.CassandraFirst, at), since(noticed.CassandraAll, at), since(noticed.HAProxy, at)
	h.LANMS, h.LANAllMS = since(first, at), since(all, at)
	return ctx.Err()
}

func (h *Half) ours(got *seen, at time.Time) {
	h.VerdictMS, h.LighterMS, h.DrainedMS = since(got.verdict, at), since(got.lighter, at), since(got.drained, at)
	h.Cause = got.cause
}

// after waits until the node answers, and until what was begun about it is over.
func (s *stage) after(ctx context.Context, h *Half, victim node.Node) error {
	s.tell("after", fmt.Sprintf("%s: the fault is over; until its incident is closed", h.Slot))
	if !h.With {
		if err := s.back(ctx, victim); err != nil {
			return err
		}
	}
	f := h.Fault
	if !h.With {
		f = "" // nothing is held where the agents only look
	}
	return s.closed(ctx, f)
}

// back waits until the node answers clients.
func (s *stage) back(ctx context.Context, n node.Node) error {
	ctx, cancel := context.WithTimeoutCause(ctx, backMax, fmt.Errorf("%s does not answer %s after its fault", n.Name, backMax))
	defer cancel()
	for {
		prober := cassandra.NewProber(n.CQL(), time.Second)
		err := prober.Ask(ctx)
		prober.Close()
		if err == nil {
			return nil
		}
		if ended := pause(ctx, lookEvery); ended != nil {
			return errors.Join(ended, err)
		}
	}
}
