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
	"strings"
	"time"

	"supervisor/cluster"
)

// Process is one process for ever: the kernel may use its number again, but
// not with the same start time.
type Process struct {
	PID        int
	StartTicks uint64 // since the host's boot, field 22 of /proc/PID/stat
	HostBoot   string // the host's boot ID: ticks count from there
}

// Boot names the process where a boot is wanted: equal boots mean that
// nothing was restarted in between.
func (p Process) Boot() cluster.Boot {
	return cluster.Boot(fmt.Sprintf("%d:%d:%.8s", p.PID, p.StartTicks, p.HostBoot))
}

// startFileLag is how much older than the pid file a start-time file may be
// and still belong to it: the two are written one after the other.
const startFileLag = 10 * time.Second

// Running tells which process the pid file names, if it is alive and is the
// one. No pid file, a number nobody has, and a number somebody else has by now
// all mean that Cassandra does not run; a pid file that cannot be read or
// understood is an error and means nothing.
func (u *Unit) Running(ctx context.Context) (Process, bool, error) {
	if err := ctx.Err(); err != nil {
		return Process{}, false, err
	}
	pid, err := readNumber(u.o.PIDFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Process{}, false, nil
	}
	if err != nil {
		return Process{}, false, err
	}
	ticks, alive, err := startTicks(int(pid))
	if err != nil || !alive {
		return Process{}, false, err
	}
	if same, err := u.same(int(pid), ticks); err != nil || !same {
		return Process{}, false, err
	}
	boot, err := hostBoot()
	if err != nil {
		return Process{}, false, err
	}
	return Process{PID: int(pid), StartTicks: ticks, HostBoot: boot}, true, nil
}

func hostBoot() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the host's boot ID: %w", err)
	}
	return string(bytes.TrimSpace(boot)), nil
}

// same tells whether the living process with this number is the pid file's.
func (u *Unit) same(pid int, ticks uint64) (bool, error) {
	want, err := readNumber(u.o.PIDFile + ".start")
	switch {
	case err == nil && u.startFileFits():
		return want == ticks, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	line, err := commandLine(pid)
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
		case gone(err):
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

// startTicks reads a process's start time; one that has ended and waits to be
// reaped is not alive.
func startTicks(pid int) (ticks uint64, alive bool, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if gone(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("look at pid %d: %w", pid, err)
	}
	return parseStat(string(text))
}

// parseStat reads fields 3 and 22; the name in field 2 may hold anything, so
// counting begins after its last bracket.
func parseStat(text string) (ticks uint64, alive bool, err error) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0, false, fmt.Errorf("process state %.80q is not understood", text)
	}
	if ticks, err = strconv.ParseUint(fields[19], 10, 64); err != nil {
		return 0, false, fmt.Errorf("process state %.80q is not understood: %w", text, err)
	}
	return ticks, fields[0] != "Z" && fields[0] != "X", nil
}
