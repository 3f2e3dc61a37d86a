// SPDX-License-Identifier: Apache-2.0

// Command simulate plays seeds of the simulator: years of a cluster's life
// through the deciding code of this tree, every invariant held against what is
// true. It is a developer's tool and part of no package.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"supervisor/internal/sim"
)

// gcPercent lets the heap grow to more than it would, some 40 MB: a world is of a
// few and makes much that is soon forgotten.
const gcPercent = 900

func main() {
	debug.SetGCPercent(gcPercent)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// The exit codes.
const (
	done    = 0
	violate = 1
	usage   = 2
)

// legend explains the lines of a trace.
const legend = `seconds   what happened in that world. n1-a2 is the second agent of node n1, n1-p1 its first process since the
          beginning, x1 a node where the data may not stand. "stroke" is a fault. An incident's line says its node,
          phase, step of the return, what it waits for and why a person holds it.`

// request is what was asked for.
type request struct {
	seed    string
	steps   int
	from    int64
	seeds   int
	atMost  time.Duration
	nodes   int
	only    string
	storm   time.Duration
	workers int
	endAt   int
	commit  string
	ledger  string
	counts  bool
	list    bool
	story   string
	bare    bool
}

func run(args []string, out, errs io.Writer) int {
	var q request
	f := flag.NewFlagSet("simulate", flag.ContinueOnError)
	f.SetOutput(errs)
	f.StringVar(&q.seed, "seed", "", "play this one seed and print all that happens; as it was printed, edition:number")
	f.IntVar(&q.steps, "steps", 0, "with -seed or -scenario: stop after so many steps")
	f.Int64Var(&q.from, "from", 1, "the first seed")
	f.IntVar(&q.seeds, "seeds", 0, "how many seeds; 0: until the time is over")
	f.DurationVar(&q.atMost, "for", 4*time.Minute, "begin no more seeds after this; with -seeds too")
	f.IntVar(&q.nodes, "nodes", 0, "size of the clusters; 0: as the seeds say")
	f.StringVar(&q.only, "faults", "", "only these faults, with commas between them")
	f.DurationVar(&q.storm, "storm", stormLong, "how long faults happen, in the cluster's time")
	f.IntVar(&q.workers, "workers", 2, "seeds at once")
	f.IntVar(&q.endAt, "violations", 5, "begin no more seeds after so many: they are mostly the same")
	f.StringVar(&q.commit, "commit", "(not said)", "the tree, for what is printed")
	f.StringVar(&q.ledger, "ledger", "", "add what was played to this file")
	f.BoolVar(&q.counts, "counts", false, "print how often each fault and each pair struck")
	f.BoolVar(&q.list, "list", false, "list the faults, the scenarios and the planted bugs")
	f.StringVar(&q.story, "scenario", "", "play this scenario and print all that happens")
	f.BoolVar(&q.bare, "unguarded", false, "with -scenario: without the guard that saves it")
	if err := f.Parse(args); err != nil {
		return usage
	}
	if f.NArg() > 0 {
		fmt.Fprintf(errs, "error: simulate takes no argument, here %q\n", f.Arg(0))
		return usage
	}
	if fault := q.fault(); fault != "" {
		fmt.Fprintln(errs, "error:", fault)
		return usage
	}
	switch {
	case q.list:
		list(out)
		return done
	case q.story != "":
		return tell(q, out, errs)
	case q.seed != "":
		return replay(q, out, errs)
	}
	return series(q, out, errs)
}

// fault names what was asked for and would not be done; empty: nothing.
func (q request) fault() string {
	switch {
	case q.seed != "" && q.story != "":
		return "-seed and -scenario are two stories; ask for one"
	case (q.seed != "" || q.story != "") && (q.seeds != 0 || q.from != 1 || q.ledger != ""):
		return "-seeds, -from and -ledger are of a series; -seed and -scenario play one story"
	case q.workers < 1, q.endAt < 1:
		return "-workers and -violations are 1 or more"
	case q.steps != 0 && q.seed == "" && q.story == "":
		return "-steps goes with -seed or -scenario"
	case q.bare && q.story == "":
		return "-unguarded goes with -scenario"
	case q.steps < 0, q.seeds < 0, q.from < 0:
		return "-steps, -seeds and -from are 0 or more"
	case q.nodes != 0 && q.nodes < 3:
		return "-nodes: a cluster has three at the least; 0 is as the seeds say"
	case q.storm <= 0:
		return "-storm: faults last longer than 0s"
	}
	return ""
}

// replayed is the command that plays a seed as this request did.
func (q request) replayed(o sim.Options, steps int) string {
	if q.nodes == 0 && q.only == "" && q.storm == stormLong {
		return fmt.Sprintf("make sim SEED=%d:%d STEPS=%d", sim.Edition, o.Seed, steps)
	}
	words := fmt.Sprintf("go run ./cmd/simulate -seed %d:%d -steps %d -storm %s", sim.Edition, o.Seed, steps, q.storm)
	if q.nodes != 0 {
		words += fmt.Sprint(" -nodes ", q.nodes)
	}
	if q.only != "" {
		words += " -faults " + q.only
	}
	return words
}

// stormLong is how long faults happen unless something else is said.
const stormLong = 3 * time.Minute

// paces are those of leaders, of one that is busy and of one that rests.
var paces = []time.Duration{200 * time.Millisecond, 300 * time.Millisecond, 450 * time.Millisecond}

func (q request) options(seed int64) sim.Options {
	o := sim.Options{Seed: seed, Nodes: q.nodes, Storm: q.storm, Calm: 45 * time.Minute, Pace: paces[seed%int64(len(paces))]}
	if q.only != "" {
		o.Only = strings.Split(q.only, ",")
	}
	return o
}

// errEdition is a seed of other rules.
var errEdition = errors.New("seed of another edition")

// parseSeed reads edition:number; a bare number is of this edition.
func parseSeed(text string) (int64, error) {
	edition, number, both := strings.Cut(text, ":")
	if !both {
		edition, number = strconv.Itoa(sim.Edition), text
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("seed %q: a number, or edition:number as it was printed", text)
	}
	if edition != strconv.Itoa(sim.Edition) {
		return 0, fmt.Errorf("%w: %s is of edition %s and this tree plays edition %d; play it on the commit that printed it", errEdition, text, edition, sim.Edition)
	}
	return n, nil
}

// replay plays one seed loudly.
func replay(q request, out, errs io.Writer) int {
	seed, err := parseSeed(q.seed)
	if err != nil {
		fmt.Fprintln(errs, "error:", err)
		return usage
	}
	o := q.options(seed)
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
	fmt.Fprintf(out, "  %s  # %s\n", q.replayed(o, r.Steps), r.Invariant)
}
