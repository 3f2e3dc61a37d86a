// SPDX-License-Identifier: Apache-2.0

// Package process starts programs that outlive the one that started them, and
// finds and ends them again. A process is known by its number and its start
// time together, as written beside each other in two small files, so that a
// number used again by the kernel is never taken for the old process.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Spec says how a process is started.
type Spec struct {
	Argv    []string
	Dir     string // working directory
	Log     string // file that takes stdout and stderr, appended
	PidFile string // takes the process number; PidFile+".start" its start time
}

// ID is one process for ever: the kernel may use the number again, but not
// with the same start time.
type ID struct {
	PID   int
	Start uint64 // clock ticks since boot, field 22 of /proc/PID/stat
}

var (
	// ErrRunning says that the process of a pid file is still alive.
	ErrRunning = errors.New("already running")
	// ErrRetired says that the process was ended for good: see Retire.
	ErrRetired = errors.New("ended for good")
)

// Start starts a program in a session of its own, so that neither our end nor
// a Ctrl-C on our terminal reaches it, and writes its pid file. It returns
// ErrRunning when the pid file's process is alive, ErrRetired after Retire.
func Start(s Spec) (ID, error) {
	unlock, err := lock(s.PidFile + ".lock")
	if err != nil {
		return ID{}, err
	}
	defer unlock()
	if old, err := Read(s.PidFile); err == nil && old.Alive() {
		return old, fmt.Errorf("start %s: pid %d: %w", filepath.Base(s.Argv[0]), old.PID, ErrRunning)
	}
	if _, err := os.Stat(retired(s.PidFile)); err == nil {
		return ID{}, fmt.Errorf("start %s: %w", filepath.Base(s.Argv[0]), ErrRetired)
	}
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return ID{}, fmt.Errorf("open the log of %s: %w", filepath.Base(s.Argv[0]), err)
	}
	defer log.Close()
	cmd := exec.Command(s.Argv[0], s.Argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return ID{}, fmt.Errorf("start %s: %w", filepath.Base(s.Argv[0]), err)
	}
	id, err := record(s.PidFile, cmd.Process.Pid)
	if err != nil {
		err = errors.Join(err, cmd.Process.Kill()) // unrecorded, nobody could end it later
	}
	go func() { _ = cmd.Wait() }() // only to reap it, should it end before us
	return id, err
}

// record writes the start time first: a reader in between sees the old number
// with a new time, which is a dead process, as it was before.
func record(pidFile string, pid int) (ID, error) {
	_, start, err := readStat(pid) // also of one that ended at once: it is not reaped yet
	if err != nil {
		return ID{}, err
	}
	if err := replaceFile(pidFile+".start", fmt.Sprintf("%d\n", start)); err != nil {
		return ID{}, err
	}
	return ID{PID: pid, Start: start}, replaceFile(pidFile, fmt.Sprintf("%d\n", pid))
}

func replaceFile(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// lock makes two starts of one process exclude each other.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock a start: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// Read returns the process that a pid file names. A missing file is
// os.ErrNotExist.
func Read(pidFile string) (ID, error) {
	pid, err := readNumber(pidFile)
	if err != nil {
		return ID{}, err
	}
	start, err := readNumber(pidFile + ".start")
	if err != nil {
		return ID{}, err
	}
	return ID{PID: int(pid), Start: start}, nil
}

func readNumber(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 63)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s holds %q, want one positive number", path, b)
	}
	return n, nil
}

// Alive says whether this very process exists. A process that has ended and
// waits to be reaped (state Z or X) does not.
func (id ID) Alive() bool {
	state, start, err := readStat(id.PID)
	return err == nil && start == id.Start && state != "Z" && state != "X"
}

// readStat returns state and start time (fields 3 and 22) of a process.
func readStat(pid int) (state string, start uint64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0, err
	}
	state, start, err = parseStat(string(b))
	if err != nil {
		return "", 0, fmt.Errorf("process %d: %w", pid, err)
	}
	return state, start, nil
}

// parseStat splits after the last parenthesis: the name in field 2 may hold
// blanks and parentheses itself.
func parseStat(line string) (state string, start uint64, err error) {
	_, rest, ok := cutLast(line, ")")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return "", 0, fmt.Errorf("stat line %q is too short", line)
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0], start, err
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Signal sends sig to this very process; one that is gone is no error.
func (id ID) Signal(sig syscall.Signal) error {
	p, err := os.FindProcess(id.PID) // holds a pidfd: what is compared is what is signalled
	if err != nil {
		return err
	}
	defer func() { _ = p.Release() }()
	if !id.Alive() {
		return nil
	}
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal process %d: %w", id.PID, err)
	}
	return nil
}

// Stop asks this process to end and kills it after grace (0 = kill at once).
// It returns when the process is gone, or with an error when it is not.
func (id ID) Stop(ctx context.Context, grace time.Duration) error {
	if grace > 0 {
		if err := id.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		if id.gone(ctx, grace) {
			return nil
		}
	}
	if err := id.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	if !id.gone(context.WithoutCancel(ctx), killMax) {
		return fmt.Errorf("process %d is still there %s after it was killed", id.PID, killMax)
	}
	return nil
}

// Retire ends the process of a pid file and forbids every later start under
// that pid file, also one that is under way in another program: its start
// comes before our look at the pid file, or is refused. No process is no error.
func Retire(ctx context.Context, pidFile string, grace time.Duration) error {
	if err := os.WriteFile(retired(pidFile), nil, 0o644); err != nil {
		return fmt.Errorf("forbid further starts: %w", err)
	}
	unlock, err := lock(pidFile + ".lock")
	if err != nil {
		return err
	}
	unlock()
	id, err := Read(pidFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return id.Stop(ctx, grace)
}

func retired(pidFile string) string { return pidFile + ".retired" }

// killMax is how long the kernel may take to free a killed process: its
// memory, and writes that are under way.
const killMax = 15 * time.Second

func (id ID) gone(ctx context.Context, limit time.Duration) bool {
	end := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for id.Alive() {
		select {
		case <-ctx.Done():
			return false
		case <-end:
			return !id.Alive()
		case <-tick.C:
		}
	}
	return true
}
