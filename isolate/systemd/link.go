// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// link is one connection to systemd over the system bus.
type link struct {
	conn  *systemd.Conn
	alive context.Context // ends with the connection, or with either of its halves
	end   context.CancelFunc
}

// dial opens a connection. The library knows no time-outs: what it waits for ends
// when the connection is closed, which the end of ctx does until it stands.
func dial(ctx context.Context) (*link, error) {
	alive, end := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, end)
	conn, err := systemd.NewConnection(func() (*dbus.Conn, error) { return half(alive, end) })
	if !stop() && err == nil {
		conn.Close()
		err = ctx.Err()
	}
	if err != nil {
		end()
		return nil, fmt.Errorf("reach systemd over the system bus: %w", errors.Join(err, ctx.Err()))
	}
	return &link{conn, alive, end}, nil
}

// half opens one of the two connections that the library wants; the end of one
// ends the other.
func half(alive context.Context, end context.CancelFunc) (*dbus.Conn, error) {
	c, err := dbus.SystemBusPrivate(dbus.WithContext(alive))
	if err != nil {
		return nil, err
	}
	context.AfterFunc(c.Context(), end)
	// By number: a name would want a look into the host's users.
	if err := c.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := c.Hello(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (l *link) close() {
	l.end()
	l.conn.Close()
}

// mainPID is the number of the unit's main process; 0: none that systemd knows.
func (l *link) mainPID(ctx context.Context, unit string) (int, error) {
	p, err := l.conn.GetServicePropertyContext(ctx, unit, "MainPID")
	if err != nil {
		return 0, err
	}
	pid, ok := p.Value.Value().(uint32)
	if !ok {
		return 0, fmt.Errorf("systemd says MainPID=%s, which is no number", p.Value)
	}
	return int(pid), nil
}

// look reads all that systemd says of the unit, in one moment. It reads the unit's
// files for that, if it has not yet.
func (l *link) look(ctx context.Context, unit string) (state, error) {
	props, err := l.conn.GetAllPropertiesContext(ctx, unit)
	if err != nil {
		return state{}, err
	}
	return stateOf(props)
}

func (l *link) kill(ctx context.Context, unit string) error {
	return l.conn.KillUnitWithTarget(ctx, unit, systemd.Main, int32(syscall.SIGKILL))
}

// links keeps one connection, opened when it is first wanted and anew when it is
// broken. Whoever wants it waits for it no longer than for systemd itself.
type links struct {
	turn chan struct{} // capacity 1: who has put something in may change kept
	kept **link
}

func newLinks() links { return links{make(chan struct{}, 1), new(*link)} }

func (k links) get(ctx context.Context) (*link, error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("reach systemd over the system bus: %w", ctx.Err())
	}
	if l := *k.kept; l != nil {
		if l.alive.Err() == nil {
			return l, nil
		}
		l.close()
		*k.kept = nil
	}
	l, err := dial(ctx)
	if err == nil {
		*k.kept = l
	}
	return l, err
}

func (k links) close() {
	k.turn <- struct{}{}
	defer func() { <-k.turn }()
	if *k.kept != nil {
		(*k.kept).close()
		*k.kept = nil
	}
}

// ask does something over the kept connection, within CallMax. One that does not
// answer in time is given up: the next opens another.
func (u *Unit) ask(ctx context.Context, do func(context.Context, *link) error) error {
	ctx, cancel := context.WithTimeout(ctx, u.o.CallMax)
	defer cancel()
	l, err := u.links.get(ctx)
	if err != nil {
		return err
	}
	err = do(ctx, l)
	if errors.Is(err, context.DeadlineExceeded) {
		l.end()
	}
	return err
}
