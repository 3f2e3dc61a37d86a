// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"supervisor/internal/sim"
)

// What is asked for wrongly is said in one line, with what would be right, and
// nothing is played.
func TestWrongQuestionsAreSaid(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("| a row |\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		why  string
		args []string
		says []string
	}{
		{"an unknown fault", []string{"-faults", "meteor", "-seeds", "1"}, []string{`no fault "meteor"`, sim.Faults()[0], "digest-replayed"}},
		{"an unknown fault of one seed", []string{"-faults", "kill,meteor", "-seed", "5:1"}, []string{`no fault "meteor"`}},
		{"no fault is not all of them", []string{"-faults", ""}, []string{"-faults names none", "-list lists them"}},
		{"no scenario is not a series", []string{"-scenario", ""}, []string{"-scenario names none", "-list lists them"}},
		{"no seed is not a series", []string{"-seed", ""}, []string{"edition:number as it was printed, such as 5:7"}},
		{"a seed of another edition is not replayed as another story", []string{"-seed", "1:7"}, []string{"another edition", "1:7 is of edition 1"}},
		{"a seed of no edition is not taken for one of this", []string{"-seed", "5"}, []string{"-seed 5 does not say its edition", "5:5", "on the commit that printed it"}},
		{"a seed that is no number", []string{"-seed", "seven"}, []string{"edition:number as it was printed"}},
		{"a seed below 0", []string{"-seed", "5:-1"}, []string{"-seed \"5:-1\""}},
		{"a first seed below 0", []string{"-from", "-5", "-seeds", "1"}, []string{"0 or more"}},
		{"seeds beyond the last one", []string{"-from", "9223372036854775807", "-seeds", "2"}, []string{"there are no 2 seeds from there on"}},
		{"steps of no seed", []string{"-steps", "5"}, []string{"-steps goes with -seed or -scenario, and not with a series of seeds"}},
		{"a guard of no scenario", []string{"-unguarded"}, []string{"-unguarded goes with -scenario"}},
		{"two stories", []string{"-seed", "7", "-scenario", "github-2012"}, []string{"-seed and -scenario ask for different things; ask for one"}},
		{"a list of a seed", []string{"-seed", "7", "-list"}, []string{"-seed and -list ask for different things"}},
		{"a series of one story", []string{"-seed", "5:7", "-seeds", "5"}, []string{"-seeds goes with a series of seeds, and not with -seed"}},
		{"a first seed of one story, also when it is the usual one", []string{"-seed", "5:7", "-from", "1"}, []string{"-from goes with a series of seeds"}},
		{"what a scenario has by itself", []string{"-scenario", "github-2012", "-nodes", "5", "-faults", "kill", "-commit", "abc"},
			[]string{"-commit goes with -seed or a series of seeds, -faults goes with -seed or a series of seeds, -nodes goes with", "and not with -scenario"}},
		{"what a list has no use for", []string{"-list", "-counts"}, []string{"-counts goes with a series of seeds, and not with -list"}},
		{"faults that are said and drawn", []string{"-seed", "5:1", "-schedule", "none", "-faults", "kill"}, []string{"-schedule says which faults strike"}},
		{"a schedule of a series", []string{"-schedule", "none"}, []string{"-schedule goes with -seed"}},
		{"a schedule that cannot be read", []string{"-seed", "5:1", "-schedule", "1s/kill/n99/3"}, []string{`stroke 1 of the schedule, "1s/kill/n99/3": no node "n99" in this world; there are: n1 `}},
		{"an empty schedule is not what is drawn", []string{"-seed", "5:1", "-schedule", ""}, []string{"stroke 1 of the schedule"}},
		{"nobody to play", []string{"-workers", "0", "-seeds", "1"}, []string{"-workers 0: 1 to 256"}},
		{"more worlds at once than there is memory for", []string{"-workers", "100000"}, []string{"-workers 100000: 1 to 256"}},
		{"a series that ends before it begins", []string{"-violations", "0"}, []string{"-violations 0"}},
		{"two nodes are no cluster", []string{"-nodes", "2"}, []string{"three at the least"}},
		{"a cluster that takes days", []string{"-nodes", "100000"}, []string{"-nodes 100000: ", "100 at most"}},
		{"a storm that does not last", []string{"-storm", "0s"}, []string{"-storm 0s: faults last longer than 0s"}},
		{"a storm of years", []string{"-storm", "100000h"}, []string{"24h0m0s at most"}},
		{"a series of no time", []string{"-for", "0"}, []string{"-for 0s: no seed would be played", "longer than 0s"}},
		{"a series of less than no time", []string{"-for", "-1m", "-seeds", "3"}, []string{"-for -1m0s: no seed would be played"}},
		{"a series of too little time", []string{"-for", "1ns", "-seeds", "3"}, []string{"no seed was played, the 1ns of -for were over before the first"}},
		{"a length without its unit", []string{"-for", "5"}, []string{"-for wants a duration, such as 90s or 4m: begin no more seeds"}},
		{"an unknown flag", []string{"-sed", "5:1"}, []string{"-sed; -help lists the flags"}},
		{"an argument", []string{"5:1"}, []string{`takes no argument, here "5:1"`}},
		{"a ledger without a name", []string{"-ledger", ""}, []string{"-ledger names no file"}},
		{"a ledger that is not there", []string{"-ledger", page + ".none", "-commit", "abc"}, []string{"-ledger: ", "page.md.none", "docs/simulator.md"}},
		{"a ledger without its mark", []string{"-ledger", page, "-commit", "abc"}, []string{"page.md: wants one line", "<!-- rows -->"}},
		{"a row of no commit", []string{"-ledger", page}, []string{"add -commit"}},
		{"a row of some faults", []string{"-ledger", page, "-commit", "abc", "-faults", "kill"}, []string{"-faults narrows them"}},
		{"a row of one size", []string{"-ledger", page, "-commit", "abc", "-nodes", "3"}, []string{"-nodes narrows them"}},
		{"a row of another storm", []string{"-ledger", page, "-commit", "abc", "-storm", "1m"}, []string{"-storm narrows them"}},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			code, out, errs := asked(nobody, r.args...)
			if code != usage || out != "" {
				t.Errorf("exit %d, want %d, and played %q", code, usage, out)
			}
			if !strings.HasPrefix(errs, "error: ") || strings.Count(errs, "\n") != 1 {
				t.Errorf("is not one line: %q", errs)
			}
			for _, want := range r.says {
				if !strings.Contains(errs, want) {
					t.Errorf("%q does not say %q", errs, want)
				}
			}
		})
	}
}

// A flag that no way of asking knows would be refused always.
func TestEveryFlagGoesWithSomething(t *testing.T) {
	flags := 0
	new(request).flags().VisitAll(func(f *flag.Flag) {
		flags++
		if len(goes[f.Name]) == 0 {
			t.Errorf("-%s goes with nothing", f.Name)
		}
	})
	if flags != len(goes) {
		t.Errorf("%d flags, and %d rows say where they go", flags, len(goes))
	}
}
