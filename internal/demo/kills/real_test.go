// SPDX-License-Identifier: Apache-2.0

//go:build real

package kills

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"supervisor/incident"
)

var (
	every = flag.Int("kills.every", 8, "play each K-th point of a story; 1: all of them")
	first = flag.Int("kills.first", 3, "the first point that is played, from 1")
	table = flag.String("kills.table", "", "file that gets the table, as Markdown; a story's name comes before its ending")
)

// Fault is what a story does to a node again and again.
type Fault struct {
	Name    string
	Signal  syscall.Signal
	Network string
	Phases  []incident.Phase // that a story without a death has to pass
}

// steps are those that each return passes, whatever else it passes.
var steps = []incident.ReturnStep{incident.Starting, incident.AwaitDown, incident.Repairing, incident.Joining, incident.AwaitUp,
	incident.RepairingAgain, incident.Previewing, incident.Opening, incident.Reading, incident.Ramping, incident.RampingFull}

// The leader's agent dies, with its member of the store, at each moment of a
// crash and of a hang; by default at few of them. A phase or step that the
// story without a death does not pass fails it: then its points are not all
// there are.
func TestLeaderKilledAtEveryMoment(t *testing.T) {
	binary := build(t)
	for _, fault := range []Fault{
		{"crash", syscall.SIGKILL, "127.0.61", []incident.Phase{incident.Draining, incident.Returning, incident.Verifying, incident.Closed}},
		{"hang", syscall.SIGSTOP, "127.0.62", []incident.Phase{incident.Draining, incident.Fencing, incident.Returning, incident.Verifying, incident.Closed}},
	} {
		t.Run(fault.Name, func(t *testing.T) { story(t, binary, fault) })
	}
}

func story(t *testing.T, binary string, fault Fault) {
	s := up(t, binary, fault.Network)
	points := s.points(t, fault)
	chosen := choose(len(points))
	t.Logf("%s: %d points, %d of them are played", fault.Name, len(points), len(chosen))
	var rows []Row
	defer func() { finish(t, fault, rows) }()
	began := time.Now()
	for i, n := range chosen {
		row := s.point(t, fault, n, points[n-1])
		rows = append(rows, row)
		spent := time.Since(began)
		t.Logf("%s %d of %d, about %s to go: point %d, %s: heir %s, first word %s, %s after %s, stale %d, lost %d, starts %d, twice %v", fault.Name, i+1, len(chosen),
			(spent / time.Duration(i+1) * time.Duration(len(chosen)-i-1)).Round(time.Second), n, row.At, seconds(row.Heir), seconds(row.Word),
			row.Outcome, seconds(row.Serving), row.Stale, row.Lost, row.Starts, row.Twice)
	}
}

// points plays the fault without a death and lists the moments of its record.
func (s *stage) points(t *testing.T, fault Fault) []Moment {
	t.Helper()
	row, passed := s.play(t, fault, fault.Name+"0", Moment{})
	points := Distinct(passed)
	for i, m := range points {
		t.Logf("%s: point %d: %s", fault.Name, i+1, m)
	}
	if missing := Lacking(points, fault.Phases, steps); len(missing) > 0 {
		t.Fatalf("%s passes no %s; moments: %v", fault.Name, strings.Join(missing, ", no "), points)
	}
	if t.Failed() {
		t.Fatalf("%s fails without a death: %+v", fault.Name, row)
	}
	return points
}

// tries is how often a point is played until its moment comes: some depend on
// how quick gossip was.
const tries = 2

func (s *stage) point(t *testing.T, fault Fault, n int, at Moment) (row Row) {
	t.Helper()
	for try := range tries {
		row, _ = s.play(t, fault, fmt.Sprintf("%s%d-%d", fault.Name, n, try), at)
		if row.Killed != "" {
			break
		}
	}
	row.Point = n
	return row
}

// choose lists the numbers of the points that are played.
func choose(count int) []int {
	var out []int
	for n := max(*first, 1); n <= count; n += max(*every, 1) {
		out = append(out, n)
	}
	return out
}

// finish prints the table, writes it where that is asked for, and compares.
func finish(t *testing.T, fault Fault, rows []Row) {
	t.Helper()
	heir, word := Longest(rows)
	t.Logf("\n%s\nlongest: heir seated after %s s, first word after %s s", Table(rows), seconds(heir), seconds(word))
	missed := 0
	for _, r := range rows {
		if r.Killed == "" {
			missed++
		}
	}
	if missed*4 > len(rows) {
		t.Errorf("%d of %d moments did not come again: the list is not what is played", missed, len(rows))
	}
	if *table == "" {
		return
	}
	ext := filepath.Ext(*table)
	name := strings.TrimSuffix(*table, ext) + "-" + fault.Name + ext
	if err := os.WriteFile(name, []byte(Table(rows)), 0o644); err != nil {
		t.Error(err)
	}
}
