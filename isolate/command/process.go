// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"

	"supervisor/internal/process"
)

// startFileLag is how much older than the pid file a start-time file may be
// and still belong to it: the two are written one after the other.
const startFileLag = 10 * time.Second

// Running tells which process the pid file names, if it is alive and is the
// one. No pid file, a number nobody has, and a number somebody else has by now
// all mean that Cassandra does not run; a pid file that cannot be read or
// understood is an error and means nothing.
func (u *Unit) Running(ctx context.Context) (process.Process, bool, error) {
	if err := ctx.Err(); err != nil {
		return process.Process{}, false, err
	}
	pid, err := readNumber(u.o.PIDFile)
	if errors.Is(err, fs.ErrNotExist) {
		return process.Process{}, false, nil
	}
	if err != nil {
		return process.Process{}, false, err
	}
	p, alive, err := process.Find(int(pid))
	if err != nil || !alive {
		return process.Process{}, false, err
	}
	if same, err := u.same(p); err != nil || !same {
		return process.Process{}, false, err
	}
	return p, true, nil
}

// same tells whether the living process with this number is the pid file's.
func (u *Unit) same(p process.Process) (bool, error) {
	want, err := readNumber(u.o.PIDFile + ".start")
	switch {
	case err == nil && u.startFileFits():
		return want == p.StartTicks, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	line, err := commandLine(p.PID)
	if err != nil {
		return false, err
	}
	return bytes.Contains(line, []byte(u.o.Match)), nil
}

// A process has no command line for the moment in which it turns into another
// program; looked at just then it would pass for somebody else's.
const (
	execTries = 20
	execPause = 5 * time.Millisecond
)

// commandLine reads the command line of a living process; none when it is gone
// or has none for good, as the kernel's own.
func commandLine(pid int) ([]byte, error) {
	for range execTries {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("read command line of pid %d: %w", pid, err)
		case len(line) > 0:
			return line, nil
		}
		time.Sleep(execPause)
	}
	return nil, nil
}

// startFileFits is false when somebody who knows nothing of start-time files
// has written the pid file later: the old start time says nothing about it.
func (u *Unit) startFileFits() bool {
	number, err := os.Stat(u.o.PIDFile)
	if err != nil {
		return true
	}
	start, err := os.Stat(u.o.PIDFile + ".start")
	return err != nil || number.ModTime().Sub(start.ModTime()) <= startFileLag
}

func readNumber(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 63)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s holds %.40q, want one positive number", path, text)
	}
	return n, nil
}
