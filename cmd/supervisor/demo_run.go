// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"supervisor/internal/api"
	"supervisor/internal/demo"
	trial "supervisor/internal/demo/run"
	"supervisor/internal/render"
)

// demoRun is the command line of `demo run`.
type demoRun struct {
	scenario, dir, net, output string
	runs                       int
	keep                       bool
	killLeader, stopLeader     bool
}

func newDemoRun() *cobra.Command {
	var d demoRun
	c := &cobra.Command{
		Use:   "run [--scenario crash|outage|hang]",
		Short: "Break one node twice, without and with the supervisor, and compare",
		Long: "Starts a cluster of its own, gives n3 the same fault twice, prints what was measured, and ends the cluster.\n" +
			"First the agents only look and the node is restarted plainly; then the supervisor brings it back.\n" +
			"Exit 0: reached. Exit 1: not closed, a stale live read, a lost write, an old row, or the run proves nothing.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := d.check(c); err != nil {
				return err
			}
			return d.run(c)
		},
	}
	c.Flags().StringVar(&d.scenario, "scenario", string(trial.Outage), "crash: kill -9 of Cassandra; outage: of its agent too, until no peer keeps hints; hang: SIGSTOP of Cassandra, for good")
	c.Flags().StringVar(&d.dir, "dir", "", "folder that gets all files; empty or absent (default: a temporary one)")
	c.Flags().StringVar(&d.net, "net", "127.0.0", "loopback network whose addresses .1 to .3 the nodes take")
	c.Flags().StringVarP(&d.output, "output", "o", "table", "table, or json: one object on the last line")
	c.Flags().IntVar(&d.runs, "runs", 1, "how many times the pair of faults is given; more than 1 prints medians")
	c.Flags().BoolVar(&d.keep, "keep", false, "leave the cluster running")
	c.Flags().BoolVar(&d.killLeader, "kill-leader", false, "end the leader's agent, with its member of the store, in the middle of the second half; three members")
	c.Flags().BoolVar(&d.stopLeader, "stop-leader", false, "SIGSTOP of the leader's agent, with its member of the store, in the moment of the second fault, for 20 s; three members")
	return c
}

// check finds what is wrong before anything is started.
func (d demoRun) check(c *cobra.Command) error {
	var known []string
	for _, s := range trial.Scenarios() {
		known = append(known, string(s))
	}
	switch {
	case !slices.Contains(known, d.scenario):
		return usage(c, fmt.Errorf("scenario %q is not known; known: %s", d.scenario, strings.Join(known, ", ")))
	case d.output != "table" && d.output != "json":
		return usage(c, fmt.Errorf("output %q is not known; known: table, json", d.output))
	case d.killLeader && d.stopLeader:
		return usage(c, errors.New("--kill-leader and --stop-leader: the leader's agent is killed in the middle, or stopped with the fault; want one of them"))
	case d.runs < 1 || d.runs > trial.RunsMax:
		return usage(c, fmt.Errorf("--runs %d: want 1 to %d", d.runs, trial.RunsMax))
	}
	return nil
}

func (d demoRun) run(c *cobra.Command) error {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the agent's program: %w", err)
	}
	base, err := d.folder()
	if err != nil {
		return err
	}
	if base != "" {
		defer func() { _ = os.Remove(base) }() // stays when something in it stays
	}
	show := demo.NewProgress(c.ErrOrStderr(), trial.Steps(d.runs))
	width := columns(c.ErrOrStderr())
	o := trial.Options{Scenario: trial.Scenario(d.scenario), Runs: d.runs, Binary: binary, KillLeader: d.killLeader, StopLeader: d.stopLeader,
		Up: demo.Options{Dir: d.dir, Net: d.net, Progress: show},
		Line: func(ev api.Event) string {
			return render.Line(render.Page{Now: time.Now(), Zone: time.Local, Width: width}, ev)
		}}
	var results []trial.Result
	err = trial.Run(ctx, o, func(r trial.Result) { results = append(results, r); d.print(c, r) })
	show.End()
	return d.end(ctx, c, o.Up, results, err)
}

// folder makes the folder when none was named, and returns what has to be
// removed at the end.
func (d *demoRun) folder() (base string, err error) {
	if d.dir != "" {
		return "", nil
	}
	if base, err = os.MkdirTemp("", "supervisor-demo-"); err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	d.dir = filepath.Join(base, "d")
	return base, nil
}

// print shows one result. Where programs read stdout, people read stderr.
func (d demoRun) print(c *cobra.Command, r trial.Result) {
	people := c.OutOrStdout()
	if d.output == "json" {
		people = c.ErrOrStderr()
	}
	fmt.Fprint(people, r.Table())
}

// end ends the cluster, unless it is to stay, and says how it went.
func (d demoRun) end(ctx context.Context, c *cobra.Command, up demo.Options, results []trial.Result, err error) error {
	var unborn trial.UpFailed
	if errors.As(err, &unborn) {
		return upFailure(ctx, up, unborn.Err)
	}
	interrupted := ctx.Err() != nil
	reached := err == nil
	for _, r := range results {
		reached = reached && len(r.Faults()) == 0
	}
	if d.keep && !interrupted {
		fmt.Fprintf(c.ErrOrStderr(), "the cluster goes on running; end it: supervisor demo down --dir %s\n", d.dir)
	} else if ended := demo.Down(context.WithoutCancel(ctx), d.dir, !reached && !interrupted); ended != nil {
		return errors.Join(err, ended)
	}
	switch {
	case interrupted:
		return failure{err: errors.New("interrupted"), code: "INTERRUPTED", exit: exitFailed,
			remedy: []string{"all processes were ended, all files removed"}}
	case err != nil:
		return failure{err: err, code: "DEMO_FAILED", exit: exitFailed, remedy: d.left()}
	}
	if err := d.report(c, results); err != nil {
		return err
	}
	if !reached {
		return failure{err: errors.New("the demo did not reach what it must"), code: "DEMO_NOT_REACHED", exit: exitFailed, remedy: d.left()}
	}
	return nil
}

func (d demoRun) left() []string {
	if d.keep {
		return []string{"the cluster is still there: " + d.dir}
	}
	return []string{"no process was left behind; the logs are in " + d.dir, "remove them: supervisor demo down --dir " + d.dir}
}

// report ends what stands on stdout, for people or for programs.
func (d demoRun) report(c *cobra.Command, results []trial.Result) error {
	people := c.OutOrStdout()
	if d.output == "json" {
		people = c.ErrOrStderr()
	}
	if len(results) > 1 {
		fmt.Fprint(people, trial.Series(results))
	} else {
		fmt.Fprintln(people, "this run, this machine. `make bench` gives medians of 5.")
	}
	if d.output != "json" {
		return nil
	}
	for _, r := range results {
		line, err := r.JSON()
		if err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), line)
	}
	return nil
}

// columns is how wide the terminal is; 0 where there is none.
func columns(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}
