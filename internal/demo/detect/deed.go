// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"supervisor/internal/cassandra"
	"supervisor/internal/demo/lan"
	"supervisor/internal/demo/load"
	"supervisor/internal/demo/node"
	"supervisor/internal/demo/process"
)

// deed is a fault that was given.
type deed struct {
	at  time.Time // the moment right before
	end func(context.Context) error
}

// give does it to a node. Whatever came of it, end takes it back as whoever had to
// mend it would, once.
func (s *stage) give(ctx context.Context, f Fault, with bool, n node.Node) (deed, error) {
	d := deed{at: time.Now(), end: func(context.Context) error { return nil }}
	var err error
	switch f {
	case Crash:
		err = signal(syscall.SIGKILL, n.PidFile())
		if !with { // else it is the supervisor that starts it
			d.end = func(ctx context.Context) error { return s.startPlainly(ctx, n) }
		}
	case Hang:
		d, err = s.freeze(n.PidFile())
	case Host, Leader:
		d, err = s.freezeHost(n)
	case CQL:
		err = s.admin(n, func(a *cassandra.Admin) error { return a.StopNativeTransport(ctx) })
		d.end = func(ctx context.Context) error {
			return s.admin(n, func(a *cassandra.Admin) error { return a.StartNativeTransport(ctx) })
		}
	case Disk:
		d, err = s.failDisk(ctx, n, with)
	case Slow:
		d, err = slowDown(n)
	}
	if err != nil {
		err = fmt.Errorf("give the fault: %w", err)
	}
	return d, err
}

// freeze stops processes, all by their numbers of now: what is started later under
// their files is another one.
func (s *stage) freeze(files ...string) (deed, error) {
	var ids []process.ID
	d := deed{end: func(context.Context) error {
		var errs []error
		for _, id := range ids {
			errs = append(errs, id.Signal(syscall.SIGCONT))
		}
		return errors.Join(errs...)
	}}
	for _, file := range files {
		id, err := process.Read(file)
		if err != nil {
			return d, err
		}
		ids = append(ids, id)
	}
	d.at = time.Now()
	var errs []error
	for _, id := range ids {
		errs = append(errs, id.Signal(syscall.SIGSTOP))
	}
	return d, errors.Join(errs...)
}

// freezeHost stops all that stands for a host. memberlist is started anew after
// that: the others stop calling a member that was dead for so long.
func (s *stage) freezeHost(n node.Node) (deed, error) {
	d, err := s.freeze(n.PidFile(), n.AgentPidFile(), n.LANPidFile())
	thaw := d.end
	d.end = func(ctx context.Context) error {
		if err := thaw(ctx); err != nil {
			return err
		}
		id, err := process.Read(n.LANPidFile())
		if err != nil {
			return err
		}
		if err := id.Stop(ctx, 0); err != nil {
			return err
		}
		_, err = process.Start(lan.Spec(n, s.o.Binary, s.plan.Dir))
		return err
	}
	return d, err
}

// failDisk turns the data directory read-only and lets Cassandra write, as it would
// sooner or later: it shuts its ports over what it is answered. Without us the process
// is ended and started plainly once the disk takes writes again. With us the node is
// to be replaced, and the cluster is of no use any more.
func (s *stage) failDisk(ctx context.Context, n node.Node, with bool) (deed, error) {
	d := deed{at: time.Now()}
	d.end = func(ctx context.Context) error {
		if err := node.TurnWritable(n); err != nil || with {
			return err
		}
		if err := signal(syscall.SIGKILL, n.PidFile()); err != nil {
			return err
		}
		return s.startPlainly(ctx, n)
	}
	if err := node.TurnReadOnly(n); err != nil {
		return d, err
	}
	go func() { // it is refused, or it hangs: nobody waits for it
		ctx, cancel := context.WithTimeout(ctx, flushMax)
		defer cancel()
		_ = s.admin(n, func(a *cassandra.Admin) error { return a.Flush(ctx, load.Keyspace) })
	}()
	return d, nil
}

// slowDown lets a process run a tenth of the time, evenly.
func slowDown(n node.Node) (deed, error) {
	id, err := process.Read(n.PidFile())
	if err != nil {
		return deed{end: func(context.Context) error { return nil }}, err
	}
	stop := make(chan struct{})
	var done sync.WaitGroup
	d := deed{at: time.Now(), end: func(context.Context) error {
		close(stop)
		done.Wait()
		return id.Signal(syscall.SIGCONT)
	}}
	done.Go(func() {
		for {
			_ = id.Signal(syscall.SIGSTOP)
			if over(stop, stoppedFor) {
				return
			}
			_ = id.Signal(syscall.SIGCONT)
			if over(stop, runsFor) {
				return
			}
		}
	})
	return d, nil
}

// over waits for d, or tells that it is to stop.
func over(stop <-chan struct{}, d time.Duration) bool {
	select {
	case <-stop:
		return true
	case <-time.After(d):
		return false
	}
}

// startPlainly is the demo's own start command, as a person would type it.
func (s *stage) startPlainly(ctx context.Context, n node.Node) error {
	id, err := process.Read(n.PidFile())
	if err != nil {
		return err
	}
	if err := id.Stop(ctx, 0); err != nil {
		return err
	}
	_, err = node.Start(ctx, n, s.o.Binary, io.Discard)
	return err
}

func (s *stage) admin(n node.Node, do func(*cassandra.Admin) error) error {
	a := cassandra.NewAdmin(n.Jolokia(), cassandra.DefaultAdminOptions())
	defer a.Close()
	return do(a)
}
