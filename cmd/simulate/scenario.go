// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"

	"supervisor/internal/sim"
)

// list prints what can be asked for by name.
func list(out io.Writer) {
	fmt.Fprintln(out, "faults, of -faults:")
	for _, f := range sim.Faults() {
		fmt.Fprintln(out, " ", f)
	}
	fmt.Fprintln(out, "scenarios, of -scenario:")
	for _, s := range sim.Scenarios() {
		guard := "states its end"
		if s.Guard != "" {
			guard = "saved by " + s.Guard
		}
		fmt.Fprintf(out, "  %-22s %s (%s)\n", s.Name, s.Story, guard)
	}
	fmt.Fprintf(out, "planted bugs, played by %s:\n", sim.Bug{Name: "NAME"}.Play())
	for _, b := range sim.Bugs() {
		fmt.Fprintf(out, "  %-22s %s (seen by %s)\n", b.Name, b.Does, b.Seen)
	}
	fmt.Fprintln(out, "scenarios that cannot be played yet:")
	for _, l := range sim.NotYet() {
		fmt.Fprintf(out, "  %-22s needs %s\n", l.Name, l.Needs)
	}
}

// tell plays one scenario loudly. Without its guard what the guard saves must
// break, and when it does not that is the failure.
func tell(q request, out, errs io.Writer) int {
	s, err := sim.ScenarioOf(q.story)
	if err != nil {
		fmt.Fprintln(errs, "error:", unknownStory(q.story, err))
		return usage
	}
	o := s.Options
	if q.bare {
		if s.Remove == nil {
			fmt.Fprintf(errs, "error: scenario %s has no guard that could be removed; leave -unguarded out\n", s.Name)
			return usage
		}
		o = s.Unguarded()
	}
	r, err := loud(q, o, out)
	if err != nil {
		fmt.Fprintln(errs, "error:", err)
		return usage
	}
	fmt.Fprintf(out, "%s: %s\n%d nodes, %d steps; incidents: %s\n", s.Name, s.Story, r.Nodes, r.Steps, incidents(r.Opened, r.Closed, r.Held))
	words, code := outcome(s, r, q.bare)
	for _, line := range words {
		fmt.Fprintln(out, line)
	}
	return code
}

// unknownStory says of a planted bug how that is played.
func unknownStory(name string, err error) string {
	all := sim.Bugs()
	if i := slices.IndexFunc(all, func(b sim.Bug) bool { return b.Name == name }); i >= 0 {
		return fmt.Sprintf("%s is a planted bug and no scenario; it is played by: %s", name, all[i].Play())
	}
	return err.Error()
}

// outcome is what a scenario came to: a line for each thing that broke, and then
// whether that is as it should be.
func outcome(s sim.Scenario, r sim.Report, bare bool) (words []string, code int) {
	for _, what := range []string{r.Violation, r.Untrue} {
		if what != "" {
			words = append(words, "BROKEN "+what)
		}
	}
	saved := s.Breaks != "" && r.Invariant == s.Breaks || s.Breaks == "" && r.Untrue != ""
	switch {
	case len(words) == 0 && r.Cut:
		return []string{fmt.Sprintf("nothing broke until step %d, where -steps ended it: what has to hold at the end was not asked", r.Steps)}, done
	case len(words) == 0 && !bare:
		return []string{"all held"}, done
	case !bare:
		return words, violate
	case len(words) == 0:
		return []string{"all held, and without its guard it should break: it is not saved by " + s.Guard}, violate
	case !saved:
		return append(words, "this is not what its guard saves it from: "+s.Guard), violate
	}
	return append(words, "as it should without its guard: "+s.Guard), done
}
