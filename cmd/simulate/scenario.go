// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"supervisor/internal/sim"
)

// list prints what can be asked for by name.
func list(out io.Writer) {
	fmt.Fprintln(out, "faults:")
	for _, f := range sim.Faults() {
		fmt.Fprintln(out, " ", f)
	}
	fmt.Fprintln(out, "scenarios:")
	for _, s := range sim.Scenarios() {
		guard := "states its end"
		if s.Guard != "" {
			guard = "saved by " + s.Guard
		}
		fmt.Fprintf(out, "  %-22s %s (%s)\n", s.Name, s.Story, guard)
	}
	fmt.Fprintln(out, "planted bugs:")
	for _, b := range sim.Bugs() {
		fmt.Fprintf(out, "  %-22s %s (seen by %s)\n", b.Name, b.Does, b.Seen)
	}
	fmt.Fprintln(out, "not yet:")
	for _, l := range sim.NotYet() {
		fmt.Fprintf(out, "  %-22s needs %s\n", l.Name, l.Needs)
	}
}

// tell plays one scenario loudly. Without its guard something must break, and
// when nothing does that is the failure.
func tell(q request, out, errs io.Writer) int {
	s, err := sim.ScenarioOf(q.story)
	if err != nil {
		fmt.Fprintln(errs, "error:", err)
		return usage
	}
	o := s.Options
	if q.bare {
		if s.Remove == nil {
			fmt.Fprintf(errs, "error: scenario %s has no guard that could be removed\n", s.Name)
			return usage
		}
		o = s.Unguarded()
	}
	r, err := loud(q, o, out)
	if err != nil {
		fmt.Fprintln(errs, "error:", err)
		return usage
	}
	fmt.Fprintf(out, "%s: %s\n%d nodes, %d steps, %d incidents opened, %d closed, %d held\n", s.Name, s.Story, r.Nodes, r.Steps, r.Opened, r.Closed, r.Held)
	if r.Cut && r.Violation == "" && r.Untrue == "" {
		fmt.Fprintf(out, "stopped at step %d, before the end: what has to hold then was not asked\n", q.steps)
		return done
	}
	if r.Violation == "" && r.Untrue == "" {
		fmt.Fprintln(out, "all held")
		return verdict(!q.bare)
	}
	fmt.Fprintf(out, "BROKEN %s%s\n", r.Violation, r.Untrue)
	return verdict(q.bare)
}

func verdict(wanted bool) int {
	if wanted {
		return done
	}
	return violate
}
