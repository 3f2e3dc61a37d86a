// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"supervisor/internal/sim"
)

// legend explains the lines of a trace.
const legend = `seconds   what happened in that world. n1-a2 is the second agent of node n1, n1-p1 its first process since the
          beginning, x1 a node where the data may not stand. "stroke" is a fault. An incident's line says its node,
          phase, step of the return, what it waits for and why a person holds it.`

// replay plays one seed loudly.
func replay(q request, out, errs io.Writer, hear listen) int {
	seed, err := parseSeed(q.seed)
	if err != nil {
		fmt.Fprintln(errs, "error:", err)
		return usage
	}
	o := q.options(seed)
	if q.set["schedule"] {
		if o.Strokes, err = sim.ParseSchedule(q.schedule, o); err != nil {
			fmt.Fprintln(errs, "error:", err)
			return usage
		}
	}
	r, err := loud(q, o, out)
	if err != nil {
		fmt.Fprintln(errs, "error:", err)
		return usage
	}
	fmt.Fprintf(out, "seed %d:%d, %d nodes, %d steps, %s of the cluster's time; incidents: %s\n",
		sim.Edition, seed, r.Nodes, r.Steps, r.Played.Round(time.Second), incidents(r.Opened, r.Closed, r.Held))
	switch {
	case r.Violation != "":
		o.StepsMax = q.steps
		heard, stop := hear()
		defer stop()
		report(heard, q, o, r, out, errs)
		return violate
	case r.Cut:
		fmt.Fprintf(out, "no violation until step %d, where -steps ended it: what has to hold at the end was not asked\n", r.Steps)
	default:
		fmt.Fprintln(out, "no violation")
	}
	return done
}

// incidents says how those of a run, or of a series of them, ended.
func incidents(opened, closed, held int) string {
	return fmt.Sprintf("%d opened, %d closed, %d held for a person at the end", opened, closed, held)
}

// loud plays a story, as far as was asked for, and prints all that happens.
func loud(q request, o sim.Options, out io.Writer) (sim.Report, error) {
	o.StepsMax = q.steps
	fmt.Fprintln(out, legend)
	o.Trace = func(line string) { fmt.Fprintln(out, line) }
	return sim.Run(o)
}

// shrinkMax bounds how long a shorter schedule is looked for.
const shrinkMax = time.Minute

// report prints what broke and the command that repeats it, and then the
// shortest schedule that was found to break it too, with its own command. The
// search ends with the context, and what is printed before it is not lost.
func report(heard context.Context, q request, o sim.Options, r sim.Report, out, errs io.Writer) {
	fmt.Fprintf(out, "VIOLATION %s\n  seed %d:%d, %d nodes, commit %s\n", r.Violation, sim.Edition, o.Seed, r.Nodes, q.commit)
	fmt.Fprintf(out, "  again: %s  # %s\n", q.replayed(o.Seed, r.Steps, q.schedule), r.Invariant)
	nodes, err := sim.NodesOf(o)
	if err != nil { // it was played, so it has nodes
		fmt.Fprintln(errs, "error:", err)
		return
	}
	s := search{until: time.Now().Add(shrinkMax), heard: heard, most: len(r.Strokes), errs: errs}
	best, last, whole := sim.Shrink(o, r, s.goOn)
	rest := "none of them can be left out"
	if !whole {
		rest = s.ended + ", some may be left out still"
	}
	if !slices.Equal(best, last.Strokes) || len(best) == len(r.Strokes) {
		fmt.Fprintf(out, "  no shorter schedule was found to break the same (%s)\n", rest)
		return
	}
	fmt.Fprintf(out, "  the same breaks by %d of %d faults, %s (%s):\n", len(best), len(r.Strokes), rest, last.Violation)
	for _, stroke := range best {
		fmt.Fprintln(out, "   ", stroke.On(nodes))
	}
	fmt.Fprintf(out, "  again: %s  # %s\n", q.replayed(o.Seed, last.Steps, sim.WriteSchedule(best, nodes)), last.Invariant)
}

// search looks for a shorter schedule and says every now and then how far it is.
type search struct {
	until, said time.Time
	heard       context.Context
	most        int
	errs        io.Writer
	ended       string // why it did before its end
}

// goOn tells whether another schedule is tried.
func (s *search) goOn(left int) bool {
	now := time.Now()
	switch {
	case s.heard.Err() != nil:
		s.ended = "interrupted"
		return false
	case !now.Before(s.until):
		s.ended = fmt.Sprint("looked for ", shrinkMax)
		return false
	case s.said.IsZero():
		fmt.Fprintf(s.errs, "looking for fewer than its %d faults that break the same, for %s at most; an interrupt ends it\n", s.most, shrinkMax)
		s.said = now
	case now.Sub(s.said) >= progressEvery:
		fmt.Fprintf(s.errs, "%d of %d faults; %s left to look for fewer\n", left, s.most, s.until.Sub(now).Round(time.Second))
		s.said = now
	}
	return true
}
