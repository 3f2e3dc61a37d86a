// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"supervisor/internal/sim"
)

// sum is what a series played.
type sum struct {
	Seeds, Violations      int
	Steps                  int
	Opened, Closed, Held   int
	Played, Active         time.Duration
	Spent                  time.Duration // of processors
	Struck, Pairs          map[string]int
	Slowest                time.Duration // of real time, for one seed
	slowestSeed            int64
	repeated               int
	broken                 []sim.Report
	brokenSeeds, traceSeed []int64
}

func newSum() sum { return sum{Struck: map[string]int{}, Pairs: map[string]int{}} }

func (s *sum) add(seed int64, r sim.Report, took time.Duration) {
	s.Seeds++
	s.Steps, s.Opened, s.Closed, s.Held = s.Steps+r.Steps, s.Opened+r.Opened, s.Closed+r.Closed, s.Held+r.Held
	s.Played, s.Active = s.Played+r.Played, s.Active+r.Active
	for f, n := range r.Struck {
		s.Struck[f] += n
	}
	for p, n := range r.Pairs {
		s.Pairs[p] += n
	}
	if took > s.Slowest {
		s.Slowest, s.slowestSeed = took, seed
	}
	if r.Violation != "" {
		s.Violations++
		s.broken, s.brokenSeeds = append(s.broken, r), append(s.brokenSeeds, seed)
	}
}

// broke counts the seeds of which something did not hold; that one seed is one
// trace is a check too.
func (s *sum) broke() int { return s.Violations + len(s.traceSeed) }

// ofSeeds says how many were played, and of how many.
func (s *sum) ofSeeds(q request) string {
	if q.seeds > 0 {
		return fmt.Sprintf("%d of %d seeds", s.Seeds, q.seeds)
	}
	return fmt.Sprintf("%d seeds", s.Seeds)
}

// verdict is the first thing to know of a series: whether anything broke, in
// what, and why there was no more of it.
func (s *sum) verdict(q request, e ending) string {
	broke := fmt.Sprintf("%d VIOLATIONS", s.broke())
	switch s.broke() {
	case 0:
		broke = "no violation"
	case 1:
		broke = "1 VIOLATION"
	}
	if s.Seeds == 0 {
		return "interrupted before the first seed was played"
	}
	words := fmt.Sprintf("%s in %s, %d:%d to %d:%d", broke, s.ofSeeds(q), sim.Edition, q.from, sim.Edition, q.from+int64(s.Seeds)-1)
	switch e {
	case stopped:
		return "interrupted; " + words
	case timeOver:
		if q.seeds > 0 {
			words += fmt.Sprintf("; the %s of -for were over", q.atMost)
		}
	case enoughBroken:
		words += fmt.Sprintf("; -violations ended it after %d", q.endAt)
	case goesOn, allPlayed:
	}
	return words
}

// print says what was played, a matter a line.
func (s *sum) print(q request, e ending, out io.Writer) {
	fmt.Fprintln(out, s.verdict(q, e))
	if s.Seeds == 0 {
		return
	}
	line := func(about, format string, args ...any) {
		fmt.Fprintf(out, "  %-10s %s\n", about, fmt.Sprintf(format, args...))
	}
	line("incidents", "%s", incidents(s.Opened, s.Closed, s.Held))
	line("time", "the clusters lived %.1f hours in %d steps, %.1f of them active: with a fault or an open incident", s.Played.Hours(), s.Steps, s.Active.Hours())
	if s.Spent > 0 {
		line("rate", "an hour of one processor plays %.0f of a cluster's hours, %.0f of them active", s.Played.Hours()/s.Spent.Hours(), s.Active.Hours()/s.Spent.Hours())
	}
	faults, pairs := s.coverage()
	line("faults", "of %d kinds %s", len(faults.names), faults)
	line("pairs", "of %d pairs of kinds, struck within a minute of each other, %s", len(pairs.names), pairs)
	line("repeats", "%d seeds were played twice, %d of them gave two traces; every hundredth is", s.repeated, len(s.traceSeed))
	line("slowest", "seed %d:%d took %s", sim.Edition, s.slowestSeed, s.Slowest.Round(time.Millisecond))
	if q.counts {
		faults.print(out)
		pairs.print(out)
	}
}

// coverage is how often each fault and each pair of them struck.
func (s *sum) coverage() (faults, pairs coverage) {
	return coverage{sim.Faults(), s.Struck, faultsWanted}, coverage{sim.Pairs(), s.Pairs, pairsWanted}
}
