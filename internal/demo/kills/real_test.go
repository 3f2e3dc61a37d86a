// SPDX-License-Identifier: Apache-2.0

//go:build real

package kills

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"supervisor/incident"
)

var (
	every = flag.Int("kills.every", 20, "play each K-th point of a story; 1: all of them")
	first = flag.Int("kills.first", 4, "the first point that is played, from 1")
	last  = flag.Int("kills.last", 1000, "no point after this one is played")
	stop  = flag.Bool("kills.stop", false, "stop the leader's agent, and wake it up later, instead of killing it")
	table = flag.String("kills.table", "", "document that gets the table between its two marks")
)

// Fault is what a story does to a node again and again.
type Fault struct {
	Name   string
	Signal syscall.Signal
	Phases []incident.Phase // that a story without a death has to pass
}

// steps are those that each return passes, whatever else it passes.
var steps = []incident.ReturnStep{incident.Starting, incident.AwaitDown, incident.Repairing, incident.Joining, incident.AwaitUp,
	incident.RepairingAgain, incident.Previewing, incident.Opening, incident.Reading, incident.Ramping, incident.RampingFull}

// The leader's agent dies, with its member of the store, at each moment of a
// crash and of a hang, or is stopped and wakes up again; by default at one of each,
// since all of them take about an hour. A phase or step that the story without a death does not pass fails it:
// then its points are not all there are.
func TestLeaderKilledAtEveryMoment(t *testing.T) {
	s := up(t, build(t), "127.0.61")
	var rows []Row
	for _, fault := range []Fault{
		{"crash", syscall.SIGKILL, []incident.Phase{incident.Suspected, incident.Draining, incident.Returning, incident.Verifying, incident.Closed}},
		{"hang", syscall.SIGSTOP, []incident.Phase{incident.Suspected, incident.Draining, incident.Fencing, incident.Returning, incident.Verifying, incident.Closed}},
	} {
		ok := t.Run(fault.Name, func(t *testing.T) {
			s.story(t, fault, func(r Row) { rows = append(rows, r) })
		})
		if !ok {
			break // the cluster is not what the next story begins with
		}
	}
	finish(t, rows)
}

// story plays a fault once without a death and then once for each point.
func (s *stage) story(t *testing.T, fault Fault, each func(Row)) {
	points := s.points(t, fault)
	chosen := choose(len(points))
	t.Logf("%s: %d points, %d of them are played", fault.Name, len(points), len(chosen))
	began := time.Now()
	missed := 0
	for i, n := range chosen {
		row := s.point(t, fault, n, points[n-1])
		each(row)
		if row.Gone == "" {
			missed++
		}
		left := time.Since(began) / time.Duration(i+1) * time.Duration(len(chosen)-i-1)
		t.Logf("%d of %d, about %s to go\n%s", i+1, len(chosen), left.Round(time.Second), Table([]Row{row}))
	}
	if missed*4 > len(chosen) {
		t.Errorf("%d of %d moments did not come again: the list is not what is played", missed, len(chosen))
	}
}

// points plays the fault without a death and lists the moments of its record.
func (s *stage) points(t *testing.T, fault Fault) []Moment {
	t.Helper()
	row, passed := s.play(t, fault, fault.Name+"0", Moment{}, Deed{})
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
		row, _ = s.play(t, fault, fmt.Sprintf("%s%d-%d", fault.Name, n, try), at, DeedAt(n, *stop))
		if row.Gone != "" {
			break
		}
	}
	row.Point = n
	return row
}

// choose lists the numbers of the points that are played.
func choose(count int) []int {
	var out []int
	for n := max(*first, 1); n <= min(count, *last); n += max(*every, 1) {
		out = append(out, n)
	}
	return out
}

// finish prints the table, and enters it in a document where that is asked for.
func finish(t *testing.T, rows []Row) {
	t.Helper()
	heir, word, bereft := Longest(rows)
	t.Logf("\n%s\nlongest: heir seated after %s s, first word after %s s; with one member of the store for a while, seated after %s s",
		Table(rows), seconds(heir), seconds(word), seconds(bereft))
	if *table == "" {
		return
	}
	marks := "kills"
	if *stop {
		marks = "stops"
	}
	doc, err := os.ReadFile(*table)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(*table, []byte(Enter(string(doc), marks, Table(rows))), 0o644); err != nil {
		t.Error(err)
	}
}
