// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"

	"supervisor/internal/process"
)

// neverReplace is the mode of our start jobs: where somebody's stop waits or is at
// work, ours is refused. The usual mode would cancel theirs.
const neverReplace = "fail"

// Start has systemd start the unit, behind its gate, and waits for the job's
// result. It is ErrRunning when the process is there already, ErrGate when the gate
// refused, and ErrUncertain when the job is at work after StartMax, at the end of
// ctx, or when the bus breaks. A job that is there already, ours of before or
// anybody's, is waited for. Whether the process came up is for Running to see.
func (u *Unit) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, u.o.StartMax)
	defer cancel()
	l, err := u.own(ctx)
	if err != nil {
		return named("start cassandra", err)
	}
	defer l.close()
	return named("start cassandra", u.start(ctx, l))
}

// own is a connection for one start: who gives the shared one up breaks no wait.
func (u *Unit) own(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, u.o.CallMax)
	defer cancel()
	return dial(ctx)
}

func (u *Unit) start(ctx context.Context, l *link) error {
	s, err := u.look(ctx, l)
	if err != nil {
		return err
	}
	if err := s.startable(u.o.Unit); err != nil {
		return err
	}
	if s.active == "active" {
		switch p, alive, err := process.Find(s.mainPID); {
		case err != nil:
			return err
		case alive:
			return fmt.Errorf("pid %d: %w", p.PID, process.ErrRunning)
		}
	}
	forgotten := u.forget(ctx, l)
	if err := u.job(ctx, l); err != nil {
		return errors.Join(err, forgotten)
	}
	return nil
}

// forget makes systemd forget how often the unit failed: one that the gate turned
// away, again and again by its Restart=, takes no start else. A unit that systemd
// does not hold has nothing to forget.
func (u *Unit) forget(ctx context.Context, l *link) error {
	ctx, cancel := context.WithTimeout(ctx, u.o.CallMax)
	defer cancel()
	err := l.conn.ResetFailedUnitContext(ctx, u.o.Unit)
	if said := new(dbus.Error); errors.As(err, said) && said.Name == "org.freedesktop.systemd1.NoSuchUnit" {
		return nil
	}
	return named("forget earlier failures", refusal(u.o.Unit, err))
}

// job asks for a start and waits for what comes of it.
func (u *Unit) job(ctx context.Context, l *link) error {
	result := make(chan string, 1) // the library waits until it is taken
	id, err := u.ordered(ctx, l, result)
	if err != nil {
		return err
	}
	uncertain := func(why error) error {
		return fmt.Errorf("job %d of systemd, which starts %s: %w (%w)", id, u.o.Unit, process.ErrUncertain, why)
	}
	select {
	case said := <-result:
		s, err := u.look(ctx, l)
		if err != nil && said != done {
			return fmt.Errorf("systemd ended the start of %s as %q; why is not known: %w", u.o.Unit, said, err)
		}
		if err != nil {
			return nil // Running tells the rest
		}
		return outcome(u.o.Unit, said, s)
	case <-ctx.Done():
		return uncertain(ctx.Err())
	case <-l.alive.Done():
		return uncertain(errors.New("the connection to the system bus broke"))
	}
}

// ordered has systemd take the job. Without an answer nobody knows whether it did.
func (u *Unit) ordered(ctx context.Context, l *link, result chan<- string) (id int, err error) {
	ctx, cancel := context.WithTimeout(ctx, u.o.CallMax)
	defer cancel()
	id, err = l.conn.StartUnitContext(ctx, u.o.Unit, neverReplace, result)
	said := new(dbus.Error)
	switch {
	case err == nil:
		return id, nil
	case errors.As(err, said) && said.Name != "org.freedesktop.DBus.Error.NoReply":
		return 0, refusal(u.o.Unit, err)
	}
	return 0, fmt.Errorf("systemd was asked to start %s: %w (%w)", u.o.Unit, process.ErrUncertain, err)
}

// look asks within CallMax.
func (u *Unit) look(ctx context.Context, l *link) (state, error) {
	ctx, cancel := context.WithTimeout(ctx, u.o.CallMax)
	defer cancel()
	return l.look(ctx, u.o.Unit)
}
