// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"supervisor/internal/api"
	"supervisor/internal/cassandra"
	"supervisor/internal/demo"
	"supervisor/internal/demo/load"
	"supervisor/internal/demo/node"
	"supervisor/internal/demo/process"
)

// Alone is the first half: nobody but those who were there before us.
type Alone struct {
	Fault     time.Time
	Noticed   demo.Noticed
	Away      time.Duration // from the fault to the plain start
	CalmStale int           // stale reads before the fault
	Audit     load.Audit
	TailRows  int
	TailLost  int // tail rows that a node does not answer any more
	Stale     int // stale live reads
	Rest      Rest
}

// alone gives the fault while the agents only look, and restarts the node
// plainly.
func (s *stage) alone(ctx context.Context, prefix string) (Alone, error) {
	var a Alone
	l, err := s.load(ctx, prefix)
	if err != nil {
		return a, err
	}
	defer l.Close()
	if a.Rest, err = s.rest(ctx); err != nil {
		return a, err
	}
	f, err := s.struck(ctx, l, func() error { return nil })
	if err != nil {
		return a, err
	}
	a.Fault, a.CalmStale, a.TailRows = f.at, f.stale, len(f.tail)
	if err := s.awayPlainly(ctx, l, f, &a); err != nil {
		return a, err
	}
	a.Away = time.Since(f.at)
	if err := s.startPlainly(ctx); err != nil {
		return a, err
	}
	s.tell(fmt.Sprintf("T+%s %s is started plainly, as people do it", since(f.at), Victim))
	if err := s.awaitBack(ctx); err != nil {
		return a, err
	}
	s.tell(fmt.Sprintf("T+%s %s serves; the load goes on for %.0f s, then the audit", since(f.at), Victim, afterwards.Seconds()))
	if err := pause(ctx, afterwards); err != nil {
		return a, err
	}
	a.Stale = l.Stop().Since(f.before).StaleReads
	if a.Audit, err = s.audit(ctx, l, f); err != nil {
		return a, err
	}
	a.TailLost = distinct(a.Audit, f.tail)
	s.tell(fmt.Sprintf("old or missing rows without us: %d of %d; tail rows lost: %d of %d",
		a.Audit.OldOrMissing(), a.Audit.Rows, a.TailLost, a.TailRows))
	return a, nil
}

// load is one half's own: its rows meet no other's.
func (s *stage) load(ctx context.Context, prefix string) (*load.Load, error) {
	s.show.Show("load", "writing the rows, at ALL")
	o := load.Normal(s.plan.LoadNodes(), prefix)
	o.WriteVia = s.plan.Proxy.Frontend
	return load.Start(ctx, o)
}

// awayPlainly waits until Cassandra and HAProxy have noticed, or a minute is
// over, while the rows are rewritten that the node then misses.
func (s *stage) awayPlainly(ctx context.Context, l *load.Load, f fault, a *Alone) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	notes := make(chan string, 8)
	go func() { done <- s.absence(ctx, l, f, func(text string) { notes <- text }) }()
	look, over := context.WithDeadline(ctx, f.at.Add(noticeMax))
	defer over()
	s.show.Show("away", fmt.Sprintf("until Cassandra's detector and HAProxy's check have said down, at most %.0f s", noticeMax.Seconds()))
	var err error
	if a.Noticed, err = s.plan.AwaitNoticed(look, Victim); err != nil {
		return err
	}
	if err := errors.Join(s.finish(ctx, done, notes), ctx.Err()); err != nil {
		return err
	}
	s.tell("noticed: " + noticedWords(a.Noticed, f.at))
	return s.stayAway(ctx, f)
}

// finish shows notes until the work is done.
func (s *stage) finish(ctx context.Context, done <-chan error, notes <-chan string) error {
	for {
		select {
		case text := <-notes:
			s.tell(text)
		case err := <-done:
			for len(notes) > 0 {
				s.tell(<-notes)
			}
			return err
		case <-ctx.Done():
			return <-done
		}
	}
}

// stayAway keeps the node away for at least as long as in the second half,
// where the leader starts it within seconds of its agent's return.
func (s *stage) stayAway(ctx context.Context, f fault) error {
	if s.o.Scenario != Outage {
		return nil
	}
	if err := s.await(ctx, s.victim, func(st api.Status) bool { return leader(st) != "" }); err != nil {
		return err
	}
	return pause(ctx, max(agentLead, time.Until(f.at.Add(outageMin))))
}

// startPlainly is the demo's own start command, as a person would type it; what
// hangs is killed first.
func (s *stage) startPlainly(ctx context.Context) error {
	if s.o.Scenario == Hang {
		if err := s.killHung(ctx); err != nil {
			return err
		}
	}
	_, err := node.Start(ctx, s.victim, s.o.Binary, io.Discard)
	return err
}

// killHung ends the victim's stopped process and waits until it is gone.
func (s *stage) killHung(ctx context.Context) error {
	id, err := process.Read(s.victim.PidFile())
	if err != nil {
		return fmt.Errorf("kill what hangs: %w", err)
	}
	if err := id.Signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill what hangs: %w", err)
	}
	for id.Alive() {
		if err := pause(ctx, lookEvery); err != nil {
			return fmt.Errorf("wait until what hung is gone: %w", err)
		}
	}
	return nil
}

// awaitBack waits until the node answers, every peer sees it, and HAProxy
// sends it clients.
func (s *stage) awaitBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, backMax, fmt.Errorf("%s does not serve %s after its start", Victim, backMax))
	defer cancel()
	for {
		why := s.notBack(ctx)
		if why == "" {
			return nil
		}
		s.show.Show("back", "starting: "+why)
		if err := pause(ctx, lookEvery); err != nil {
			return fmt.Errorf("wait until %s is back: %s: %w", Victim, why, err)
		}
	}
}

func (s *stage) notBack(ctx context.Context) string {
	prober := cassandra.NewProber(s.victim.CQL(), time.Second)
	defer prober.Close()
	if prober.Ask(ctx) != nil {
		return "CQL is not answered yet"
	}
	states, err := s.plan.Proxy.States(ctx)
	if err != nil || !states[Victim].AtRest() {
		return "HAProxy does not send it clients yet"
	}
	return ""
}

func noticedWords(n demo.Noticed, at time.Time) string {
	return fmt.Sprintf("HAProxy's check %s, Cassandra's detector %s (all peers %s)",
		after(n.HAProxy, at), after(n.CassandraFirst, at), after(n.CassandraAll, at))
}

func after(t, fault time.Time) string {
	if t.IsZero() {
		return notWithin(nil)
	}
	return fmt.Sprintf("%.1f s", t.Sub(fault).Seconds())
}

// distinct counts the rows, of these, that some node answers wrongly.
func distinct(a load.Audit, rows []string) int {
	of, wrong := make(map[string]bool), make(map[string]bool)
	for _, row := range rows {
		of[row] = true
	}
	for _, f := range a.Faults {
		if of[f.Row] {
			wrong[f.Row] = true
		}
	}
	return len(wrong)
}
