// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Handle is a pidfd: it stays with one process, whatever becomes of its
// number, and turns readable the moment the process ends.
type Handle struct{ file *os.File }

// Hold opens a handle and only then compares the start time, so that the
// handle is surely the process's. It is nil when the process is gone.
func Hold(p Process) (*Handle, error) {
	fd, err := unix.PidfdOpen(p.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open a handle on pid %d: %w", p.PID, err)
	}
	h := &Handle{file: os.NewFile(uintptr(fd), "pidfd")}
	ticks, alive, err := startTicks(p.PID)
	if err != nil || !alive || ticks != p.StartTicks {
		h.Close()
		return nil, err
	}
	return h, nil
}

// Close lets go of the process, which stays as it is.
func (h *Handle) Close() { _ = h.file.Close() }

// Signal sends a signal; one that has ended by itself needs none.
func (h *Handle) Signal(s syscall.Signal) error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.PidfdSendSignal(int(fd), s, nil, 0) }); err != nil {
		return err
	}
	if errors.Is(failed, unix.ESRCH) { // it ended by itself
		return nil
	}
	return failed
}

// ended waits until the process has ended: nil, or until close: an error. The
// runtime's poller waits, no thread does.
func (h *Handle) ended() error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		for {
			polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(polled, 0)
			if !errors.Is(err, unix.EINTR) {
				return n > 0
			}
		}
	})
}

// Wait waits for the exit, at most max: past it, or when ctx ends, it is ErrStillRunning.
func (h *Handle) Wait(ctx context.Context, max time.Duration) error {
	if err := h.file.SetReadDeadline(time.Now().Add(max)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = h.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err := h.ended()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrStillRunning, ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w after %v", ErrStillRunning, max)
	}
	return err
}

// lookEvery is how often a process is looked at where no handle can be had.
const lookEvery = 100 * time.Millisecond

// Exited is closed the moment the process has ended, at once when it is gone
// already. When ctx ends first it is never closed.
func Exited(ctx context.Context, p Process) <-chan struct{} {
	gone := make(chan struct{})
	h, err := Hold(p)
	switch {
	case err != nil: // no handles here, or too many files: look again and again
		go func() {
			if pollGone(ctx, p) {
				close(gone)
			}
		}()
	case h == nil:
		close(gone)
	default:
		go func() {
			defer h.Close()
			stop := context.AfterFunc(ctx, func() { _ = h.file.SetReadDeadline(time.Unix(1, 0)) })
			defer stop()
			if h.ended() == nil || ctx.Err() == nil && pollGone(ctx, p) {
				close(gone)
			}
		}()
	}
	return gone
}

// pollGone waits until the process is gone: true, or ctx ends: false.
func pollGone(ctx context.Context, p Process) bool {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		ticks, alive, err := startTicks(p.PID)
		if err == nil && (!alive || ticks != p.StartTicks) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// gone tells whether an error of the proc file system means that there is no
// such process, or none any more.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }
