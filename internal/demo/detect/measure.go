// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"supervisor/internal/demo"
)

// ErrBusy says that another measurement goes on in the same folder.
var ErrBusy = errors.New("another measurement is on in this folder")

// UpFailed says that a cluster did not come up, so nothing of it runs.
type UpFailed struct {
	Err error
	Up  demo.Options
}

// Error is the reason's.
func (u UpFailed) Error() string { return u.Err.Error() }

// Unwrap is the reason.
func (u UpFailed) Unwrap() error { return u.Err }

// Run plays every half that has no line in the folder yet, and calls each with what
// was measured once its line is written. A half that failed, and a disk that did with
// us, leave a cluster that nothing more is given to: the next half gets a new one.
// When it returns, nothing runs any more.
func Run(ctx context.Context, o Options, each func(Half)) error {
	if err := o.Check(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	unlock, err := lock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	halves, err := Read(Results(o.Dir))
	if err != nil {
		return err
	}
	if err := sweep(ctx, o.cluster()); err != nil {
		return fmt.Errorf("end what an earlier measurement left: %w", err)
	}
	show := demo.NewProgress(o.Out, len(Due(o.Faults, o.Runs, halves)))
	for len(Due(o.Faults, o.Runs, halves)) > 0 {
		if halves, err = oneCluster(ctx, o, halves, show, each); err != nil {
			return err
		}
	}
	return nil
}

// oneCluster plays halves on a cluster of their own for as long as it is fit.
func oneCluster(ctx context.Context, o Options, halves []Half, show *demo.Progress, each func(Half)) (_ []Half, err error) {
	s, err := open(ctx, o, show)
	if err != nil {
		return halves, err
	}
	failed := ""
	defer func() {
		show.End()
		err = errors.Join(err, s.close(context.WithoutCancel(ctx), failed))
	}()
	for fit := true; fit; {
		due := Due(o.Faults, o.Runs, halves)
		if len(due) == 0 {
			return halves, nil
		}
		show.Step(string(due[0].Fault))
		s.left = about(Left(due, halves))
		h := s.half(ctx, due[0])
		if ctx.Err() != nil {
			return halves, context.Cause(ctx)
		}
		if err := Append(Results(o.Dir), h); err != nil {
			return halves, err
		}
		halves = append(halves, h)
		show.End()
		each(h)
		if h.Failed != "" {
			failed = fmt.Sprintf("%s-%d-%t", h.Fault, h.Run, h.With)
		}
		fit = h.Failed == "" && !(h.Fault == Disk && h.With)
	}
	return halves, nil
}

// sweep ends what was left in a folder by whoever was killed.
func sweep(ctx context.Context, dir string) error {
	err := demo.Down(ctx, dir, false)
	if errors.Is(err, demo.ErrNoDemo) {
		return nil
	}
	return err
}

// lock makes two measurements in one folder exclude each other.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", filepath.Dir(path), ErrBusy), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// Line is a half on one line, for people who watch.
func (h Half) Line() string {
	var parts []string
	tell := func(name string, ms *int64) {
		if ms != nil {
			parts = append(parts, name+" "+words(*ms, true))
		}
	}
	if h.Given() {
		parts = append(parts, h.Node)
	}
	tell("verdict "+h.Cause, h.VerdictMS)
	tell("lighter", h.LighterMS)
	tell("drained", h.DrainedMS)
	tell("Cassandra", h.CassandraMS)
	tell("all peers", h.CassandraAllMS)
	tell("HAProxy", h.HAProxyMS)
	tell("memberlist", h.LANMS)
	if h.Failed != "" {
		parts = append(parts, "FAILED: "+h.Failed)
	}
	return h.Slot.String() + ": " + strings.Join(parts, " · ")
}
