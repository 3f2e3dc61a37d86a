// SPDX-License-Identifier: Apache-2.0

// Package process tells one process of this host from every other, signals it and
// sees its end. How a site starts one, and where its number is found, is for the
// adapters of isolate, which share what stands here.
//
// A number alone is never believed: the kernel gives it to somebody else. A
// process is its number and its start time, and a signal goes through a handle
// that was compared with both.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"supervisor/cluster"
)

// The outcomes of a start or an end that are not plain failures.
var (
	// ErrRunning: there is a process already; nothing was started.
	ErrRunning = errors.New("already running")
	// ErrGate: the gate in front of the start refused.
	ErrGate = errors.New("refused by the gate")
	// ErrStillRunning: the process has not ended in time. It may still do so.
	ErrStillRunning = errors.New("still running")
	// ErrUncertain: the start is still at work and was left alone; what comes of
	// it is not known.
	ErrUncertain = errors.New("still at work, left alone")
)

// GateRefused is the exit code of a gate that says no.
const GateRefused = 3

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

// Find looks which process has this number now; false: none, or one that has
// ended and waits to be reaped.
func Find(pid int) (Process, bool, error) {
	ticks, alive, err := startTicks(pid)
	if err != nil || !alive {
		return Process{}, false, err
	}
	boot, err := hostBoot()
	if err != nil {
		return Process{}, false, err
	}
	return Process{PID: pid, StartTicks: ticks, HostBoot: boot}, true, nil
}

// Parse reads what Boot has written; false: it is of another boot of the host, or
// no name of a process.
func Parse(boot string) (Process, bool, error) {
	host, err := hostBoot()
	if err != nil {
		return Process{}, false, err
	}
	p := Process{HostBoot: host}
	n, _ := fmt.Sscanf(boot, "%d:%d:", &p.PID, &p.StartTicks)
	return p, n == 2 && p.PID > 0 && string(p.Boot()) == boot, nil
}

func hostBoot() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the host's boot ID: %w", err)
	}
	return string(bytes.TrimSpace(boot)), nil
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
