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
		{"one that ends well", []string{"-scenario", "github-2012"}, done, []string{"stroke gray on n4", "all held"}},
		{"without its guard it must break", []string{"-scenario", "github-2012", "-unguarded"}, done, []string{"\nBROKEN no incident is opened"}},
		{"one that has no guard keeps it", []string{"-scenario", "datacenter-dark", "-unguarded"}, usage, []string{"has no guard"}},
		{"an unknown one is told which exist", []string{"-scenario", "titanic"}, usage, []string{`no scenario "titanic"`, "github-2018", "hands-in-a-return"}},
		{"one that waits says for what", []string{"-scenario", "s3-2017"}, usage, []string{"as many as it is told"}},
		{"the list", []string{"-list"}, done, []string{sim.Faults()[0], "etcd-15247", "roblox-2021"}},
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
