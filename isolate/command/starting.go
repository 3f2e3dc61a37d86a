// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"supervisor/internal/process"
)

// A start command that is still at work when its time or its agent's ends is
// left alone: killed between the launch of Cassandra and the pid file it would
// leave a Cassandra that nobody knows of. It stands in a file beside the pid
// file until it has returned, so that the next start, of a later agent perhaps,
// waits for it and does not start a second Cassandra on the same directories.

func (u *Unit) startingFile() string { return u.o.PIDFile + ".starting" }

// starting is the start command that an earlier Start left at work, if any. A
// file that says nothing of a living process is one of an earlier time.
func (u *Unit) starting() (process.Process, *process.Handle, error) {
	text, err := os.ReadFile(u.startingFile())
	if errors.Is(err, fs.ErrNotExist) {
		return process.Process{}, nil, nil
	}
	if err != nil {
		return process.Process{}, nil, fmt.Errorf("look for an earlier start command: %w", err)
	}
	p, fits, err := process.Parse(string(text))
	if err != nil || !fits {
		return process.Process{}, nil, err
	}
	h, err := process.Hold(p)
	return p, h, err
}

// awaitEarlier waits until a start command that was left at work has returned.
func (u *Unit) awaitEarlier(ctx context.Context) error {
	p, h, err := u.starting()
	if err != nil || h == nil {
		return err
	}
	defer h.Close()
	if err := h.Wait(ctx, u.o.StartMax); err != nil {
		return fmt.Errorf("an earlier start command, pid %d, goes on: %w (%w)", p.PID, process.ErrUncertain, err)
	}
	return nil
}

// noteStarting writes the note of a start command that has just begun. The pid
// file stands in the same directory, so where the note cannot be written the
// command has no better luck.
func (u *Unit) noteStarting(pid int) error {
	p, alive, err := process.Find(pid)
	if err != nil || !alive { // it has returned already
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(u.startingFile()), filepath.Base(u.startingFile())+".*")
	if err != nil {
		return fmt.Errorf("note the start command: %w", err)
	}
	_, err = f.WriteString(string(p.Boot()))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), u.startingFile())
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("note the start command: %w", err)
	}
	return nil
}
