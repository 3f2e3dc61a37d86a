// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"supervisor/internal/demo/load"
	"supervisor/internal/demo/process"
)

// fault is what was given, and what the load had seen until then.
type fault struct {
	at     time.Time
	tail   []string // rows that the victim had acknowledged last
	before load.Counts
	known  map[string]bool // incidents that were there before
	stale  int             // stale reads in the calm: must be none
}

// struck lets the cluster rest under the load for a while, counting stale
// reads, and then gives the fault, with what is done in the same moment.
// Tail rows are written until the kill.
func (s *stage) struck(ctx context.Context, l *load.Load, with func() error) (fault, error) {
	var f fault
	began := l.Counts()
	s.show.Show("calm", fmt.Sprintf("writer at LOCAL_QUORUM, readers at ONE through every node; %.0f s of calm", calm.Seconds()))
	if err := pause(ctx, calm-tailFor); err != nil {
		return f, err
	}
	var err error
	if f.known, err = s.known(ctx); err != nil {
		return f, err
	}
	tail, err := l.StartTail(ctx, Victim)
	if err != nil {
		return f, err
	}
	ended := pause(ctx, tailFor)
	f.before = l.Counts()
	f.at = time.Now()
	if ended == nil {
		ended = errors.Join(with(), s.strike())
	}
	f.tail = tail.Stop(f.at)
	f.stale = f.before.Since(began).StaleReads
	s.tell(fmt.Sprintf("%s UTC  %s", f.at.UTC().Format("15:04:05.000"), s.o.Scenario.words()))
	return f, ended
}

// words tell what is done to the node.
func (s Scenario) words() string {
	switch s {
	case Outage:
		return "fault: kill -9 of " + Victim + "'s Cassandra and of its agent"
	case Hang:
		return "fault: SIGSTOP of " + Victim + "'s Cassandra, for good; its ports stay open"
	case Crash:
	}
	return "fault: kill -9 of " + Victim + "'s Cassandra"
}

// strike ends the agent first: a host that goes takes both at the same moment,
// and nobody is left to report the exit.
func (s *stage) strike() error {
	switch s.o.Scenario {
	case Outage:
		return signal(syscall.SIGKILL, s.victim.AgentPidFile(), s.victim.PidFile())
	case Hang:
		return signal(syscall.SIGSTOP, s.victim.PidFile())
	case Crash:
	}
	return signal(syscall.SIGKILL, s.victim.PidFile())
}

// signal sends a signal to the processes of pid files, in their order.
func signal(sig syscall.Signal, files ...string) error {
	for _, file := range files {
		id, err := process.Read(file)
		if err != nil {
			return fmt.Errorf("%s: %w", sig, err)
		}
		if err := id.Signal(sig); err != nil {
			return fmt.Errorf("%s: %w", sig, err)
		}
	}
	return nil
}

// stopAgent ends the victim's agent and waits until it is gone.
func (s *stage) stopAgent(ctx context.Context) error {
	id, err := process.Read(s.victim.AgentPidFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return id.Stop(ctx, 10*time.Second)
}

// absence is what the demo does while the node is away, the same in both
// halves: the cold rows are rewritten, in an outage and of a node that hangs only
// when no peer keeps hints any more, and after an outage the victim's agent is
// started again.
func (s *stage) absence(ctx context.Context, l *load.Load, f fault, note func(string)) error {
	if s.o.Scenario == Crash {
		return l.RewriteCold(ctx, Victim)
	}
	if err := s.awaitRefused(ctx); err != nil {
		return err
	}
	note(fmt.Sprintf("T+%s no peer keeps hints for %s any more; the cold rows are rewritten", since(f.at), Victim))
	if err := l.RewriteCold(ctx, Victim); err != nil {
		return err
	}
	if s.o.Scenario == Hang {
		return nil // its agent was there all the time
	}
	if err := s.fleet.Start(s.victim); err != nil {
		return err
	}
	note(fmt.Sprintf("T+%s the agent of %s is started again, as after a reboot", since(f.at), Victim))
	return nil
}

// awaitRefused waits until what is written reaches the node by no hint any
// more.
func (s *stage) awaitRefused(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, refusedMax, fmt.Errorf("the peers still keep hints after %s", refusedMax))
	defer cancel()
	for {
		refused, err := s.plan.HintsRefused(ctx, Victim)
		if err == nil && refused {
			return nil
		}
		if ended := pause(ctx, lookEvery); ended != nil {
			return fmt.Errorf("wait until no peer keeps hints: %w", errors.Join(ended, err))
		}
	}
}

func since(t time.Time) string { return fmt.Sprintf("%.1f", time.Since(t).Seconds()) }

// tell prints a line of its own.
func (s *stage) tell(line string) {
	s.show.Show(line, line)
	s.show.End()
}
