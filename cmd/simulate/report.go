// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"supervisor/internal/sim"
)

// legend explains the lines of a trace.
const legend = `seconds   what happened in that world. n1-a2 is the second agent of node n1, n1-p1 its first process since the
          beginning, x1 a node where the data may not stand. "stroke" is a fault. An incident's line says its node,
          phase, step of the return, what it waits for and why a person holds it.`

// replay plays one seed loudly.
func replay(q request, out, errs io.Writer) int {
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
	fmt.Fprintf(out, "seed %d:%d, %d nodes, %d steps, %s of the cluster's time, %d incidents opened, %d closed, %d held\n",
		sim.Edition, seed, r.Nodes, r.Steps, r.Played.Round(time.Second), r.Opened, r.Closed, r.Held)
	if r.Violation != "" {
		o.StepsMax = q.steps
		report(q, out, o, r)
		return violate
	}
	if r.Cut {
		fmt.Fprintf(out, cutShort, q.steps)
	}
	return done
}

const cutShort = "stopped at step %d, before the end: what has to hold then was not asked\n"

// loud plays a story, as far as was asked for, and prints all that happens.
func loud(q request, o sim.Options, out io.Writer) (sim.Report, error) {
	o.StepsMax = q.steps
	fmt.Fprintln(out, legend)
	o.Trace = func(line string) { fmt.Fprintln(out, line) }
	return sim.Run(o)
}

// shrinkMax bounds how long a shorter schedule is looked for.
const shrinkMax = time.Minute

// report prints what broke, the command that repeats it and the shortest
// schedule that was found to break it too.
func report(q request, out io.Writer, o sim.Options, r sim.Report) {
	fmt.Fprintf(out, "VIOLATION %s\n  seed %d:%d, %d nodes, commit %s\n", r.Violation, sim.Edition, o.Seed, r.Nodes, q.commit)
	until := time.Now().Add(shrinkMax)
	schedule, last, done := sim.Shrink(o, r, func(int) bool { return time.Now().Before(until) })
	rest := "none of them can be left out"
	if !done {
		rest = fmt.Sprintf("looked for %s, some may be left out still", shrinkMax)
	}
	fmt.Fprintf(out, "  the same breaks by %d of %d faults, %s (%s):\n", len(schedule), len(r.Strokes), rest, last.Violation)
	nodes, err := sim.NodesOf(o)
	if err != nil {
		panic(err) // it was played
	}
	for _, s := range schedule {
		fmt.Fprintln(out, "   ", s.On(nodes))
	}
	fmt.Fprintf(out, "  %s  # %s\n", q.replayed(o.Seed, r.Steps, q.schedule), r.Invariant)
}
