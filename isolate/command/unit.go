// SPDX-License-Identifier: Apache-2.0

// Package command starts, stops and watches a Cassandra process through the
// site's own commands and a pid file. The process is never a child of the
// agent: it stands in a session of its own, so that the agent can end, crash
// and come back without touching it.
//
// A number in a pid file is not believed: a signal goes only to a process
// whose start time, or else whose command line, says that it is the one.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"supervisor/internal/process"
)

// Options are complete but for Stop and Log, which may be empty.
type Options struct {
	Start   []string // argv, never a shell; it returns as soon as the process is started
	Stop    []string // argv; empty: the terminate signal
	PIDFile string   // the process's number; PIDFile+".start", when present, its start time in clock ticks
	Match   string   // must stand in the command line of a process whose start time is nowhere written
	Log     string   // takes what the commands, and the process started by them, print; empty: nothing is kept

	StartMax time.Duration // the start command is waited for so long
	StopMax  time.Duration // the stop command is waited for so long
	ExitMax  time.Duration // a stopped or killed process must have ended by then
}

// DefaultMatch is the class whose name every Cassandra's command line bears.
const DefaultMatch = "CassandraDaemon"

// Unit is one Cassandra on this host. Its methods may be called by several
// goroutines; two Starts at once are the caller's mistake.
type Unit struct{ o Options }

// New checks every option and reports all faults at once.
func New(o Options) (*Unit, error) {
	var faults []error
	fault := func(bad bool, what string) {
		if bad {
			faults = append(faults, errors.New(what))
		}
	}
	fault(len(o.Start) == 0 || o.Start[0] == "", "a start command is wanted")
	fault(len(o.Stop) > 0 && o.Stop[0] == "", "the stop command has no program")
	fault(o.PIDFile == "", "a pid file is wanted")
	fault(o.Match == "", "a text of the process's command line is wanted, like "+DefaultMatch)
	fault(o.StartMax <= 0, "the start command needs a limit")
	fault(o.StopMax <= 0, "the stop command needs a limit")
	fault(o.ExitMax <= 0, "the end of the process needs a limit")
	if len(faults) > 0 {
		return nil, fmt.Errorf("cassandra unit: %w", errors.Join(faults...))
	}
	return &Unit{o: o}, nil
}

// Start runs the start command. It is ErrRunning when the process is there
// already, and ErrUncertain when the command did not return before StartMax or
// the end of ctx: it goes on, and the process may be started all the same. One
// that an earlier Start left so is waited for first. Whether the process came
// up is for Running to see.
func (u *Unit) Start(ctx context.Context) error {
	if err := u.awaitEarlier(ctx); err != nil {
		return fmt.Errorf("start cassandra: %w", err)
	}
	p, running, err := u.Running(ctx)
	if err != nil {
		return fmt.Errorf("start cassandra: %w", err)
	}
	if running {
		return fmt.Errorf("start cassandra: pid %d: %w", p.PID, process.ErrRunning)
	}
	return named("start cassandra", u.run(ctx, u.o.Start, u.o.StartMax, u.noteStarting))
}

// Stop asks the process to end, by the stop command or the terminate signal,
// and waits for its exit. ErrStillRunning means that it is to be killed; a
// stopped (hung) process does not even receive the signal. Nothing running is
// success.
func (u *Unit) Stop(ctx context.Context) error {
	p, running, err := u.Running(ctx)
	if err != nil || !running {
		return named("stop cassandra", err)
	}
	h, err := process.Hold(p)
	if err != nil || h == nil {
		return named("stop cassandra", err)
	}
	defer h.Close()
	if len(u.o.Stop) > 0 {
		err = u.run(ctx, u.o.Stop, u.o.StopMax, nil)
	} else {
		err = h.Signal(syscall.SIGTERM)
	}
	if err != nil {
		return fmt.Errorf("stop cassandra, pid %d: %w", p.PID, err)
	}
	return named(fmt.Sprintf("stop cassandra, pid %d", p.PID), h.Wait(ctx, u.o.ExitMax))
}

// Kill ends the process that runs at once and waits until its exit is seen.
// Nothing running is success.
func (u *Unit) Kill(ctx context.Context) error {
	p, running, err := u.Running(ctx)
	if err != nil || !running {
		return named("kill cassandra", err)
	}
	return u.KillOnly(ctx, p)
}

// KillOnly is Kill for exactly this process. One that was started after it is
// left alone; that this one is gone is success.
func (u *Unit) KillOnly(ctx context.Context, p process.Process) error {
	h, err := process.Hold(p)
	if err != nil || h == nil {
		return named("kill cassandra", err)
	}
	defer h.Close()
	if err := h.Signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill cassandra, pid %d: %w", p.PID, err)
	}
	return named(fmt.Sprintf("kill cassandra, pid %d", p.PID), h.Wait(ctx, u.o.ExitMax))
}

// run runs one command to its end, or to the end of the time it is waited for:
// then it goes on without us. Its output goes to a file and never to a pipe:
// the command and the process it leaves behind inherit it, and would break with
// it. note, if any, is told the number of the command.
func (u *Unit) run(ctx context.Context, argv []string, max time.Duration, note func(pid int) error) error {
	out, err := u.output()
	if err != nil {
		return err
	}
	defer out.Close()
	own, cancel := context.WithTimeout(ctx, max)
	defer cancel()
	cmd := exec.Command(argv[0], argv[1:]...) // of no context: the end of one kills
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	var unnoted error
	if note != nil {
		unnoted = note(cmd.Process.Pid)
	}
	returned := make(chan error, 1)
	go func() { returned <- cmd.Wait() }() // also reaps one that is left alone
	select {
	case err = <-returned:
	case <-own.Done():
		return errors.Join(fmt.Errorf("%s, pid %d: %w (%w)", argv[0], cmd.Process.Pid, process.ErrUncertain, own.Err()), unnoted)
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == process.GateRefused:
		return fmt.Errorf("%s: %w", argv[0], process.ErrGate)
	}
	return fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
}

func (u *Unit) output() (*os.File, error) {
	if u.o.Log == "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	f, err := os.OpenFile(u.o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return f, nil
}

func named(attempt string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", attempt, err)
}
