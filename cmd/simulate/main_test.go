// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"supervisor/internal/sim"
)

func TestScenariosAreAskedForByName(t *testing.T) {
	rows := []struct {
		why  string
		args []string
		code int
		says []string
	}{
		{"one that ends well", []string{"-scenario", "github-2012"}, done, []string{"stroke gray on n4", "all held"}},
		{"without its guard it must break", []string{"-scenario", "github-2012", "-unguarded"}, done, []string{"BROKEN no incident is opened"}},
		{"one that has no guard keeps it", []string{"-scenario", "datacenter-dark", "-unguarded"}, usage, []string{"has no guard"}},
		{"an unknown one is told which exist", []string{"-scenario", "titanic"}, usage, []string{`no scenario "titanic"`, "github-2018", "hands-in-a-return"}},
		{"one that waits says for what", []string{"-scenario", "s3-2017"}, usage, []string{"as many as it is told"}},
		{"the list", []string{"-list"}, done, []string{sim.Faults()[0], "etcd-15247", "roblox-2021"}},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			var out, errs strings.Builder
			if code := run(r.args, &out, &errs); code != r.code {
				t.Errorf("exit %d, want %d: %s", code, r.code, errs.String())
			}
			for _, want := range r.says {
				if !strings.Contains(out.String()+errs.String(), want) {
					t.Errorf("does not say %q", want)
				}
			}
		})
	}
}

// asked is what is said and told to who asks this.
func asked(args ...string) (code int, out, errs string) {
	var o, e strings.Builder
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

// A violation says all that is needed to see it again.
func TestViolationSaysHowToRepeatIt(t *testing.T) {
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
	for _, q := range []request{{storm: stormLong, commit: "abc123"}, {storm: time.Minute, commit: "abc123", nodes: 6, only: "kill,oom"}} {
		var out strings.Builder
		report(q, &out, o, r)
		text := out.String()
		again := fmt.Sprintf("  make sim SEED=%d:1 STEPS=%d  # %s\n", sim.Edition, r.Steps, bug.Seen)
		if q.nodes > 0 {
			again = fmt.Sprintf("  go run -tags grpcnotrace ./cmd/simulate -seed %d:1 -steps %d -storm 1m0s -nodes 6 -faults kill,oom  # %s\n", sim.Edition, r.Steps, bug.Seen)
		}
		for _, want := range []string{"VIOLATION " + bug.Seen, fmt.Sprintf("step %d", r.Steps), fmt.Sprintf("seed %d:1, %d nodes, commit abc123", sim.Edition, r.Nodes), again, "kill on n3"} {
			if !strings.Contains(text, want) {
				t.Errorf("does not say %q:\n%s", want, text)
			}
		}
		if n := strings.Count(text, " on n"); n != 1 || !strings.Contains(text, "none of them can be left out") {
			t.Errorf("a schedule of %d faults, of which one breaks it:\n%s", n, text)
		}
	}
}
