// SPDX-License-Identifier: Apache-2.0

// Package systemd starts, ends and watches the Cassandra of a unit, by systemd's
// own word over D-Bus. Cassandra goes through the gate, which stands in front of
// the unit, and is no child of the agent.
//
// Nothing here stops a unit or takes back what somebody else asked of systemd. A
// start that is still at work when its time ends goes on: it is systemd's job, so
// the next start finds it there and waits for it.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"supervisor/internal/process"
)

// Options are complete.
type Options struct {
	Unit     string        // like cassandra.service
	StartMax time.Duration // a start is waited for so long
	ExitMax  time.Duration // a killed process must have ended by then
	CallMax  time.Duration // systemd is waited for so long, each time it is asked
}

// DefaultCallMax is longer than systemd takes to read all its units anew, when it
// answers nobody, and short enough for whoever waits.
const DefaultCallMax = 5 * time.Second

// Unit is one Cassandra on this host. Its methods may be called by several
// goroutines; two Starts at once are the caller's mistake.
type Unit struct {
	o     Options
	links links
	known atomic.Pointer[process.Process] // the last main process that systemd named
}

// New checks every option and reports all faults at once. It opens nothing.
func New(o Options) (*Unit, error) {
	var faults []error
	fault := func(bad bool, what string) {
		if bad {
			faults = append(faults, errors.New(what))
		}
	}
	fault(o.Unit == "", "the name of a unit is wanted, like cassandra.service")
	fault(o.StartMax <= 0, "the start needs a limit")
	fault(o.ExitMax <= 0, "the end of the process needs a limit")
	fault(o.CallMax <= 0, "a question to systemd needs a limit")
	if len(faults) > 0 {
		return nil, fmt.Errorf("unit of cassandra: %w", errors.Join(faults...))
	}
	return &Unit{o: o, links: newLinks()}, nil
}

// Close ends the connection to the bus, if there is one.
func (u *Unit) Close() { u.links.close() }

// mainTries is how often a main process that changes while it is looked at is
// looked at again.
const mainTries = 3

// Running tells which process systemd holds for the unit's main one. While
// systemd cannot be asked, a process that it named before and that lives is still
// the one; else nobody knows, which is an error.
func (u *Unit) Running(ctx context.Context) (process.Process, bool, error) {
	var p process.Process
	var running bool
	err := u.ask(ctx, func(ctx context.Context, l *link) (err error) {
		p, running, err = u.main(ctx, l)
		return err
	})
	switch {
	case err == nil && running:
		u.known.Store(&p)
	case err != nil && ctx.Err() == nil:
		if known := u.known.Load(); known != nil {
			if now, alive, look := process.Find(known.PID); look == nil && alive && now == *known {
				return now, true, nil
			}
		}
	}
	return p, running, named("find the process of "+u.o.Unit, err)
}

// main asks for the number of the main process, looks which process that is, and
// asks again: systemd keeps a process that ended until it has noticed, so a number
// that is the main one before and after was nobody else's in between.
func (u *Unit) main(ctx context.Context, l *link) (process.Process, bool, error) {
	for range mainTries {
		pid, err := l.mainPID(ctx, u.o.Unit)
		if err != nil {
			return process.Process{}, false, err
		}
		if pid == 0 {
			s, err := l.look(ctx, u.o.Unit)
			if err != nil || s.mainPID == 0 {
				return process.Process{}, false, errors.Join(err, s.headless(u.o.Unit))
			}
			continue // it came just now
		}
		p, alive, err := process.Find(pid)
		if err != nil {
			return process.Process{}, false, err
		}
		switch again, err := l.mainPID(ctx, u.o.Unit); {
		case err != nil:
			return process.Process{}, false, err
		case again == pid:
			return p, alive, nil
		}
	}
	return process.Process{}, false, errors.New("its main process changes again and again")
}

// Check tells why the unit cannot be what starts Cassandra here; nil: it is there,
// and the gate stands in front of it. Whether polkit lets the agent start it shows
// only when it is started.
func (u *Unit) Check(ctx context.Context) error {
	s, err := u.state(ctx)
	if err != nil {
		return fmt.Errorf("%s cannot be asked about; this wants its host, with systemd and a system bus: %w", u.o.Unit, err)
	}
	return s.fit(u.o.Unit)
}

func (u *Unit) state(ctx context.Context) (s state, err error) {
	err = u.ask(ctx, func(ctx context.Context, l *link) (err error) {
		s, err = l.look(ctx, u.o.Unit)
		return err
	})
	return s, err
}

// KillOnly ends exactly this process at once and waits until its exit is seen. One
// that was started after it is left alone; that this one is gone is success. What
// keeps another from starting is the gate: where none stands in front of the unit,
// that is an error, also when the process has ended.
func (u *Unit) KillOnly(ctx context.Context, p process.Process) error {
	attempt := fmt.Sprintf("kill cassandra, pid %d", p.PID)
	h, err := process.Hold(p)
	if err != nil || h == nil {
		return named(attempt, err)
	}
	defer h.Close()
	err = h.Signal(syscall.SIGKILL)
	if errors.Is(err, syscall.EPERM) {
		err = u.killMain(ctx, p)
	}
	if err == nil {
		err = h.Wait(ctx, u.o.ExitMax)
	}
	if err == nil {
		err = u.ungated(ctx)
	}
	return named(attempt, err)
}

// killMain has systemd end the process, where this user may not. systemd is told a
// role and not a number, so it is asked right before who has the role, and /proc
// whether that is still the one that is meant: a handle keeps no number from being
// given to another.
func (u *Unit) killMain(ctx context.Context, p process.Process) error {
	return u.ask(ctx, func(ctx context.Context, l *link) error {
		switch pid, err := l.mainPID(ctx, u.o.Unit); {
		case err != nil:
			return err
		case pid != p.PID:
			return fmt.Errorf("this user may not signal it, and the main process of %s is %d: nothing was signalled", u.o.Unit, pid)
		}
		switch now, _, err := process.Find(p.PID); {
		case err != nil:
			return err
		case now != p:
			return fmt.Errorf("this user may not signal it, and its number is another's, the main process of %s: nothing was signalled", u.o.Unit)
		}
		return refusal(u.o.Unit, l.kill(ctx, u.o.Unit))
	})
}

// ungated is the fault of a unit whose next process would ask no gate. A bus that
// does not answer says nothing about it, and the process has ended.
func (u *Unit) ungated(ctx context.Context) error {
	s, err := u.state(ctx)
	if err != nil {
		return nil //nolint:nilerr // the end of the process was seen, which is what was wanted
	}
	if err := s.gate.stands(u.o.Unit); err != nil {
		return fmt.Errorf("it has ended, and nothing keeps another from starting: %w", err)
	}
	return nil
}

func named(attempt string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", attempt, err)
}
