// SPDX-License-Identifier: Apache-2.0

// Command simulate plays seeds of the simulator: years of a cluster's life
// through the deciding code of this tree, every invariant held against what is
// true. It is a developer's tool and part of no package.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"time"
)

// gcPercent lets the heap grow to more than it would, some 40 MB: a world is of a
// few and makes much that is soon forgotten.
const gcPercent = 900

func main() {
	debug.SetGCPercent(gcPercent)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, interrupts))
}

// The exit codes.
const (
	done        = 0
	violate     = 1
	usage       = 2
	interrupted = 130 // as shells say it of an interrupt
)

// codes are the exit codes as they are told.
const codes = `exit codes (go run says 1 for each but 0, and prints the code):
  0    nothing broke; with -unguarded: what the guard saves broke, as it should
  1    something broke; with -unguarded: nothing did, or something else
  2    the question is wrong and nothing was played, or a row could not be entered
  130  a series was interrupted, and nothing had broken so far`

// ways are the four things that can be asked for.
const ways = `simulate plays clusters through faults, and holds every invariant against what is true. It does one of these:

  simulate [-from n] [-seeds n]      a series of seeds
  simulate -seed edition:number      one seed, and all that happens in it
  simulate -scenario name            one scenario, and all that happens in it
  simulate -list                     the faults, the scenarios and the planted bugs`

// listen begins to hear interrupts; the context ends with the first one. After
// that, or after stop, an interrupt ends the process at once.
type listen func() (heard context.Context, stop context.CancelFunc)

// interrupts are those of a terminal.
func interrupts() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

func run(args []string, out, errs io.Writer, hear listen) int {
	q := request{set: map[string]bool{}}
	f := q.flags()
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		help(f, out)
		return done
	case err != nil:
		fmt.Fprintln(errs, "error:", misread(f, err))
		return usage
	case f.NArg() > 0:
		fmt.Fprintf(errs, "error: simulate takes no argument, here %q; -help says what it takes\n", f.Arg(0))
		return usage
	}
	f.Visit(func(x *flag.Flag) { q.set[x.Name] = true })
	if fault := q.fault(); fault != "" {
		fmt.Fprintln(errs, "error:", fault)
		return usage
	}
	switch q.way() {
	case "list":
		list(out)
		return done
	case "scenario":
		return tell(q, out, errs)
	case "seed":
		return replay(q, out, errs, hear)
	}
	return series(q, out, errs, hear)
}

func (q *request) flags() *flag.FlagSet {
	f := flag.NewFlagSet("simulate", flag.ContinueOnError)
	f.SetOutput(io.Discard) // what is wrong is said once, by run
	f.StringVar(&q.seed, "seed", "", "play this one seed and print all that happens; `edition:number`, as it was printed")
	f.IntVar(&q.steps, "steps", 0, "with -seed or -scenario: stop after so many steps; 0: play to the end")
	f.StringVar(&q.schedule, "schedule", "", "with -seed: these `faults` and no others, as they were printed")
	f.Int64Var(&q.from, "from", 1, "the first seed")
	f.IntVar(&q.seeds, "seeds", 0, "how many seeds; 0: until the time of -for is over")
	f.DurationVar(&q.atMost, "for", 4*time.Minute, "begin no more seeds after this; with -seeds too")
	f.IntVar(&q.nodes, "nodes", 0, fmt.Sprintf("size of the clusters, 3 to %d; 0: as the seeds say", nodesMax))
	f.StringVar(&q.only, "faults", "", "only these faults, `names` of -list with commas between them")
	f.DurationVar(&q.storm, "storm", stormLong, "how long faults happen, in the cluster's time")
	f.IntVar(&q.workers, "workers", 2, "seeds at once")
	f.IntVar(&q.endAt, "violations", 5, "begin no more seeds after so many: they are mostly the same")
	f.StringVar(&q.commit, "commit", unsaid, "the tree, for what is printed")
	f.StringVar(&q.ledger, "ledger", "", "add what was played to the table in this `file`; only of a whole series, with -commit")
	f.BoolVar(&q.counts, "counts", false, "print how often each fault and each pair struck")
	f.BoolVar(&q.list, "list", false, "list the faults, the scenarios and the planted bugs, and how these are played")
	f.StringVar(&q.story, "scenario", "", "play this scenario and print all that happens")
	f.BoolVar(&q.bare, "unguarded", false, "with -scenario: without the guard that saves it; it should break then")
	return f
}

func help(f *flag.FlagSet, out io.Writer) {
	fmt.Fprintf(out, "%s\n\n", ways)
	f.SetOutput(out)
	f.PrintDefaults()
	fmt.Fprintf(out, "\n%s\n", codes)
}

// misread says beside an error of a flag what that flag takes, or where it is
// said which flags there are.
func misread(f *flag.FlagSet, err error) string {
	_, name, _ := strings.Cut(err.Error(), "flag -")
	name, _, _ = strings.Cut(name, ":")
	known := f.Lookup(name)
	if known == nil {
		return err.Error() + "; -help lists the flags"
	}
	kind, use := flag.UnquoteUsage(known)
	switch kind {
	case "duration":
		kind = "a duration, such as 90s or 4m"
	case "int":
		kind = "a whole number"
	}
	return fmt.Sprintf("%v; -%s wants %s: %s", err, name, kind, use)
}
