// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"supervisor/internal/sim"
)

// nobody interrupts.
func nobody() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) }

// somebody has interrupted already.
func somebody() (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	return ctx, stop
}

// asked is what is said and told to who asks this.
func asked(hear listen, args ...string) (code int, out, errs string) {
	var o, e strings.Builder
	code = run(args, &o, &e, hear)
	return code, o.String(), e.String()
}

func TestScenariosAreAskedForByName(t *testing.T) {
	rows := []struct {
		why  string
		args []string
		code int
		says []string
	}{
		{"one that ends well", []string{"-scenario", "github-2012"}, done, []string{"stroke gray on n4", "\nall held\n"}},
		{"without its guard it must break", []string{"-scenario", "github-2012", "-unguarded"}, done, []string{"\nBROKEN no incident is opened", "\nas it should without its guard: "}},
		{"one that has no guard keeps it", []string{"-scenario", "datacenter-dark", "-unguarded"}, usage, []string{"has no guard", "leave -unguarded out"}},
		{"one that is stopped did not end well yet", []string{"-scenario", "github-2012", "-steps", "100"}, done, []string{"nothing broke until step 100, where -steps ended it"}},
		{"an unknown one is told which exist", []string{"-scenario", "titanic"}, usage, []string{`no scenario "titanic"`, "github-2018", "hands-in-a-return"}},
		{"one that waits says for what", []string{"-scenario", "s3-2017"}, usage, []string{"as many as it is told"}},
		{"a planted bug is played otherwise", []string{"-scenario", "no-claim"}, usage, []string{"is a planted bug", "./internal/sim -v -run 'TestPlantedBugsAreSeen/^no-claim$'"}},
		{"the list", []string{"-list"}, done, []string{sim.Faults()[0], "etcd-15247", "roblox-2021",
			"planted bugs, played by go test -tags grpcnotrace ./internal/sim -v -run 'TestPlantedBugsAreSeen/^NAME$':"}},
		{"help says what each code means", []string{"-help"}, done, []string{"simulate -scenario name", "with -unguarded: what the guard saves broke", "-schedule"}},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			code, out, errs := asked(nobody, r.args...)
			if code != r.code {
				t.Errorf("exit %d, want %d: %s", code, r.code, errs)
			}
			for _, want := range r.says {
				if !strings.Contains(out+errs, want) {
					t.Errorf("does not say %q", want)
				}
			}
		})
	}
}

// What broke in a scenario is a line each, and the last line says whether it was
// to break.
func TestAScenarioSaysWhetherItWasToBreak(t *testing.T) {
	law, truth := sim.Scenario{Guard: "budget", Breaks: "no-stale-read"}, sim.Scenario{Guard: "evidence"}
	both := sim.Report{Violation: "no-stale-read: n1", Invariant: "no-stale-read", Untrue: "all serve: n2"}
	rows := []struct {
		why  string
		s    sim.Scenario
		r    sim.Report
		bare bool
		says []string
		code int
	}{
		{"with its guard nothing may break", law, both, false, []string{"BROKEN no-stale-read: n1", "BROKEN all serve: n2"}, violate},
		{"without it that is right", law, both, true, []string{"BROKEN no-stale-read: n1", "BROKEN all serve: n2", "as it should without its guard: budget"}, done},
		{"without it nothing broke", law, sim.Report{}, true, []string{"all held, and without its guard it should break: it is not saved by budget"}, violate},
		{"another check broke", law, sim.Report{Violation: "budget: n1", Invariant: "budget"}, true, []string{"BROKEN budget: n1", "this is not what its guard saves it from: budget"}, violate},
		{"a check broke instead of what is stated", truth, sim.Report{Violation: "budget: n1", Invariant: "budget"}, true, []string{"BROKEN budget: n1", "this is not what its guard saves it from: evidence"}, violate},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			words, code := outcome(r.s, r.r, r.bare)
			if code != r.code || strings.Join(words, "\n") != strings.Join(r.says, "\n") {
				t.Errorf("exit %d, %q; want %d, %q", code, words, r.code, r.says)
			}
		})
	}
}

// An interrupt of the process ends the context, and nothing else the first time.
func TestAnInterruptIsHeard(t *testing.T) {
	heard, stop := interrupts()
	defer stop()
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard.Done():
	case <-time.After(10 * time.Second):
		t.Error("nobody heard it")
	}
}
