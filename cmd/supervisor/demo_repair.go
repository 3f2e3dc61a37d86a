// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/demo"
	trial "supervisor/internal/demo/run"
	"supervisor/internal/render"
)

// rowsLeast is enough for one row of a hundred to be one.
const rowsLeast = 1000

func newDemoRepair() *cobra.Command {
	d := demoRun{scenario: string(trial.Outage), runs: 1}
	var rows, idle int
	c := &cobra.Command{
		Use:   "repair [--rows N]",
		Short: "Change 1 % of many rows while a node is away, and compare its return with nodetool repair -full",
		Long: "Starts a cluster of its own with 4 keyspaces and 13 tables, one of which is changed while n3 is away: first the supervisor\n" +
			"brings it back, then it is started plainly and repaired with nodetool repair -full. Bytes are those that Cassandra logs to have validated.\n" +
			"Exit 0: both its repairs took 5 times less time and bytes, and no row is old or missing. Exit 1: not reached, or the run proves nothing.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if rows < rowsLeast {
				return usage(c, fmt.Errorf("--rows %d: want %d or more", rows, rowsLeast))
			}
			if err := d.check(c); err != nil {
				return err
			}
			if !c.Flags().Changed("idle-rows") {
				idle = rows / 2
			}
			if idle < 1 {
				return usage(c, fmt.Errorf("--idle-rows %d: want 1 or more", idle))
			}
			return d.repair(c, rows, idle)
		},
	}
	c.Flags().IntVar(&rows, "rows", 1_000_000, "rows of the table that is changed; must be 1000 or more")
	c.Flags().IntVar(&idle, "idle-rows", 0, "rows of each of the 12 others (default: half as many)")
	c.Flags().StringVar(&d.dir, "dir", "", "folder that gets all files; empty or absent (default: a temporary one)")
	c.Flags().StringVar(&d.net, "net", "127.0.0", "loopback network whose addresses .1 to .3 the nodes take")
	c.Flags().StringVarP(&d.output, "output", "o", "table", "table, or json: one object on the last line")
	c.Flags().BoolVar(&d.keep, "keep", false, "leave the cluster running")
	return c
}

func (d demoRun) repair(c *cobra.Command, rows, idle int) error {
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
	show := demo.NewProgress(c.ErrOrStderr(), trial.MendingSteps)
	width := columns(c.ErrOrStderr())
	o := trial.Options{Scenario: trial.Outage, Runs: 1, Binary: binary, Up: demo.Options{Dir: d.dir, Net: d.net, Progress: show},
		Line: func(ev api.Event) string {
			return render.Line(render.Page{Now: time.Now(), Zone: time.Local, Width: width}, ev)
		}}
	m, err := trial.RunMending(ctx, rows, idle, o)
	show.End()
	return d.endRepair(ctx, c, o.Up, m, err)
}

// endRepair ends the cluster, unless it is to stay, and says how it went.
func (d demoRun) endRepair(ctx context.Context, c *cobra.Command, up demo.Options, m trial.Mending, err error) error {
	var unborn trial.UpFailed
	if errors.As(err, &unborn) {
		return upFailure(ctx, up, unborn.Err)
	}
	reached := err == nil && len(m.Faults()) == 0
	interrupted := ctx.Err() != nil
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
	people := c.OutOrStdout()
	if d.output == "json" {
		people = c.ErrOrStderr()
	}
	fmt.Fprint(people, m.Table())
	if d.output == "json" {
		line, err := m.JSON()
		if err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), line)
	}
	if !reached {
		return failure{err: errors.New("the demo did not reach what it must"), code: "DEMO_NOT_REACHED", exit: exitFailed, remedy: d.left()}
	}
	return nil
}
