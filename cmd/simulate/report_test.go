// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"supervisor/internal/sim"
)

// broken is a world that breaks by the last of its faults, and how it did.
func broken(t *testing.T) (sim.Options, sim.Report) {
	t.Helper()
	bug := sim.Bugs()[0]
	o := sim.Options{Seed: 1, Nodes: 3, Storm: stormLong, Calm: time.Minute, Bug: bug.Name}
	for i := range 40 {
		o.Strokes = append(o.Strokes, sim.Stroke{At: time.Duration(i) * time.Second, Fault: "policy-change", Node: 1, Salt: 1})
	}
	o.Strokes = append(o.Strokes, bug.Strokes...)
	r, err := sim.Run(o)
	if err != nil || r.Invariant != bug.Seen {
		t.Fatalf("%v, %s", err, r.Violation)
	}
	return o, r
}

// A violation says all that is needed to see it again, and what is left of its
// schedule is played again by the command that stands last.
func TestViolationSaysHowToRepeatIt(t *testing.T) {
	o, r := broken(t)
	word := regexp.MustCompile(`-steps (\d+) .*-schedule (\S+)  # `)
	for _, q := range []request{{storm: stormLong, commit: "abc123"}, {storm: time.Minute, commit: "abc123", nodes: 6, only: "kill,oom"}} {
		var out, errs strings.Builder
		report(t.Context(), q, o, r, &out, &errs)
		text := out.String()
		again := fmt.Sprintf("  again: make sim SEED=%d:1 STEPS=%d  # %s\n", sim.Edition, r.Steps, r.Invariant)
		if q.nodes > 0 {
			again = fmt.Sprintf("  again: go run -tags grpcnotrace ./cmd/simulate -seed %d:1 -steps %d -storm 1m0s -nodes 6 -faults kill,oom  # %s\n", sim.Edition, r.Steps, r.Invariant)
		}
		for _, want := range []string{"VIOLATION " + r.Invariant, fmt.Sprintf("step %d", r.Steps), fmt.Sprintf("seed %d:1, %d nodes, commit abc123", sim.Edition, r.Nodes), again, "kill on n3"} {
			if !strings.Contains(text, want) {
				t.Errorf("does not say %q:\n%s", want, text)
			}
		}
		if n := strings.Count(text, " on n"); n != 1 || !strings.Contains(text, "none of them can be left out") {
			t.Errorf("a schedule of %d faults, of which one breaks it:\n%s", n, text)
		}
		if want := "looking for fewer than its 41 faults that break the same, for 1m0s at most; an interrupt ends it"; !strings.Contains(errs.String(), want) {
			t.Errorf("%q does not say %q", errs.String(), want)
		}
		lines := strings.Split(strings.TrimSpace(text), "\n")
		found := word.FindStringSubmatch(lines[len(lines)-1])
		if found == nil {
			t.Fatalf("the last line plays no schedule: %s", lines[len(lines)-1])
		}
		short := o
		var err error
		if short.Strokes, err = sim.ParseSchedule(found[2], o); err != nil {
			t.Fatal(err)
		}
		if got, err := sim.Run(short); err != nil || got.Invariant != r.Invariant || fmt.Sprint(got.Steps) != found[1] {
			t.Errorf("%s plays %q after %d steps, %v", found[0], got.Violation, got.Steps, err)
		}
	}
}

// The command that repeats a violation is there before anything shorter is looked
// for, and stays when that search is interrupted.
func TestAnInterruptedSearchKeepsTheCommand(t *testing.T) {
	o, r := broken(t)
	q := request{storm: stormLong, commit: "abc123"}
	var out, errs strings.Builder
	heard, _ := somebody()
	report(heard, q, o, r, &out, &errs)
	for _, want := range []string{fmt.Sprintf("  again: make sim SEED=%d:1 STEPS=%d  # ", sim.Edition, r.Steps), "no shorter schedule was found to break the same (interrupted, some may be left out still)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not say %q:\n%s", want, out.String())
		}
	}
	heard, interrupt := context.WithCancel(t.Context())
	out.Reset()
	report(heard, q, o, r, &out, atFirst(interrupt))
	first, _, _ := strings.Cut(out.String(), "the same breaks by")
	if !strings.Contains(first, "again: make sim") || !strings.Contains(out.String(), "interrupted, some may be left out still") {
		t.Errorf("interrupted in the middle:\n%s", out.String())
	}
}

// atFirst does something when anything is said, once.
type atFirst func()

func (f atFirst) Write(b []byte) (int, error) {
	f()
	return len(b), nil
}

// A search says how far it is, and ends when its time is over.
func TestASearchSaysHowFarItIs(t *testing.T) {
	var errs strings.Builder
	s := search{until: time.Now().Add(shrinkMax), heard: t.Context(), most: 41, errs: &errs}
	for range 3 {
		if !s.goOn(41) {
			t.Fatal("it ends before its time")
		}
	}
	s.said = s.said.Add(-progressEvery)
	s.goOn(7)
	if text := errs.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "7 of 41 faults; ") {
		t.Errorf("says %q", text)
	}
	if s.until = time.Now(); s.goOn(7) || s.ended != "looked for 1m0s" {
		t.Errorf("goes on, %q", s.ended)
	}
}

// One seed says that it held, or how far nobody saw it break, and its faults can
// be said.
func TestOneSeedSaysWhatItCameTo(t *testing.T) {
	rows := []struct {
		why  string
		args []string
		says []string
		not  string
	}{
		{"one that holds", []string{"-nodes", "3", "-storm", "20s"}, []string{"stroke ", "\nno violation\n"}, "until step"},
		{"one that is stopped", []string{"-steps", "100"}, []string{"\nno violation until step 100, where -steps ended it"}, "\nno violation\n"},
		{"one with faults of one's own", []string{"-nodes", "3", "-schedule", "1s/kill/n2/3"}, []string{"stroke kill on n2\n", "\nno violation\n"}, "stroke kill on n3"},
		{"one without a fault", []string{"-nodes", "3", "-schedule", "none"}, []string{"\nno violation\n", "0 opened"}, "stroke "},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			code, out, errs := asked(nobody, append([]string{"-seed", fmt.Sprintf("%d:2", sim.Edition)}, r.args...)...)
			_, out, _ = strings.Cut(out, legend)
			if code != done || errs != "" {
				t.Errorf("exit %d: %s", code, errs)
			}
			for _, want := range r.says {
				if !strings.Contains(out, want) {
					t.Errorf("does not say %q", want)
				}
			}
			if strings.Contains(out, r.not) {
				t.Errorf("says %q", r.not)
			}
		})
	}
}
