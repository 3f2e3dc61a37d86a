// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"supervisor/internal/demo/process"
)

// Rest is what the agents cost while nothing happens: of those that run no
// store, the largest of each figure.
type Rest struct {
	Resident  int64   // bytes
	Anonymous int64   // bytes; the rest of the resident ones are pages of files, of the program above all
	CPU       float64 // share of one core
	Over      time.Duration
}

const restFor = time.Minute

// ticksPerSecond is the unit of times in /proc/PID/stat; it is 100 on every
// Linux that Go runs on.
const ticksPerSecond = 100

// rest measures once in a run: later pairs use the first one's figures.
func (s *stage) rest(ctx context.Context) (Rest, error) {
	if s.atRest != nil {
		return *s.atRest, nil
	}
	if s.o.members() == len(s.plan.Nodes) {
		return Rest{}, nil
	}
	s.show.Show("agents", fmt.Sprintf("measuring the agents at rest for %.0f s", restFor.Seconds()))
	var before []used
	files := s.withoutStore()
	for _, file := range files {
		u, err := usedBy(file)
		if err != nil {
			return Rest{}, err
		}
		before = append(before, u)
	}
	if err := pause(ctx, restFor); err != nil {
		return Rest{}, err
	}
	var r Rest
	for i, file := range files {
		u, err := usedBy(file)
		if err != nil {
			return Rest{}, err
		}
		r.add(before[i], u)
	}
	st, err := s.status(ctx)
	if err != nil {
		return Rest{}, err
	}
	if len(st.Incidents) > 0 {
		return Rest{}, fmt.Errorf("incident %s is open: the agents were not at rest", st.Incidents[0].ID)
	}
	s.atRest = &r
	s.tell("agent at rest: " + r.words())
	return r, nil
}

// withoutStore are the pid files of the agents that carry no member of the
// store: all but the first one, or none.
func (s *stage) withoutStore() []string {
	var files []string
	for _, n := range s.plan.Nodes[min(s.o.members(), len(s.plan.Nodes)):] {
		files = append(files, n.AgentPidFile())
	}
	return files
}

func (r *Rest) add(before, now used) {
	over := now.at.Sub(before.at)
	r.Resident = max(r.Resident, now.resident)
	r.Anonymous = max(r.Anonymous, now.anonymous)
	r.CPU = max(r.CPU, float64(now.ticks-before.ticks)/ticksPerSecond/over.Seconds())
	r.Over = over
}

// used is what one process uses at a moment.
type used struct {
	at                  time.Time
	resident, anonymous int64 // bytes
	ticks               int64 // of processor time since its start
}

func usedBy(pidFile string) (used, error) {
	id, err := process.Read(pidFile)
	if err != nil {
		return used{}, err
	}
	status, err1 := os.ReadFile(fmt.Sprintf("/proc/%d/status", id.PID))
	stat, err2 := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id.PID))
	if err := errors.Join(err1, err2); err != nil {
		return used{}, fmt.Errorf("measure an agent: %w", err)
	}
	return parseUsed(string(status), string(stat), time.Now())
}

func parseUsed(status, stat string, at time.Time) (used, error) {
	u := used{at: at}
	var err1, err2, err3 error
	u.resident, err1 = kibibytes(status, "VmRSS:")
	u.anonymous, err2 = kibibytes(status, "RssAnon:")
	u.ticks, err3 = cpuTicks(stat)
	return u, errors.Join(err1, err2, err3)
}

// kibibytes finds a line like "VmRSS:  31236 kB" and returns bytes.
func kibibytes(status, key string) (int64, error) {
	for lines := bufio.NewScanner(strings.NewReader(status)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && fields[0] == key && fields[2] == "kB" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("measure an agent: no line %q", key)
}

// cpuTicks adds fields 14 and 15, time in user and in kernel mode. Fields are
// counted behind the last parenthesis: the name before it may hold blanks.
func cpuTicks(stat string) (int64, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("measure an agent: stat line %q is too short", stat)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	kernel, err2 := strconv.ParseInt(fields[12], 10, 64)
	return user + kernel, errors.Join(err1, err2)
}

func (r Rest) words() string {
	return fmt.Sprintf("%s MiB, %s MiB of it anonymous, %.1f %% of a core over %.0f s",
		mebi(r.Resident), mebi(r.Anonymous), 100*r.CPU, r.Over.Seconds())
}

func mebi(bytes int64) string { return strconv.FormatInt((bytes+1<<19)>>20, 10) }
