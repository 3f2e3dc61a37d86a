// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"supervisor/internal/demo/detect"
)

// demoDetect is the command line of `demo detect`.
type demoDetect struct {
	faults, dir, net, page, output string
	runs                           int
}

func newDemoDetect() *cobra.Command {
	var d demoDetect
	c := &cobra.Command{
		Use:   "detect [--faults crash,hang] [--runs N]",
		Short: "Measure how soon faults are known and drained, beside those who would have noticed without us",
		Long: "Starts a cluster of its own and gives each fault again and again, once while the agents only look and once while they act:\n" +
			"crash, hang, host (frozen), leader (the leader's host frozen), cql (off), disk (read-only), slow (10 times).\n" +
			"What was measured is a line in DIR/results.jsonl; the same command goes on where an earlier one was ended.\n" +
			"--page FILE measures nothing: it enters the table of those lines into FILE, and lays them beside it as docs/detect.jsonl.\n" +
			"Exit 0: measured. Exit 1: some half failed, now or earlier; the table tells which.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := d.options(c)
			if err != nil {
				return usage(c, err)
			}
			if d.page != "" {
				return detect.Publish(detect.Results(o.Dir), d.page)
			}
			return d.run(c, o)
		},
	}
	c.Flags().StringVar(&d.faults, "faults", "", "faults to give, separated by commas (default: all)")
	c.Flags().IntVar(&d.runs, "runs", 20, "how many times each fault is given in each half")
	c.Flags().StringVar(&d.dir, "dir", ".detect", "folder of what was measured, and of the cluster meanwhile")
	c.Flags().StringVar(&d.net, "net", "127.0.0", "loopback network whose addresses .1 to .3 the nodes take")
	c.Flags().StringVar(&d.page, "page", "", "enter the table into this file between its marks, and measure nothing")
	c.Flags().StringVarP(&d.output, "output", "o", "table", "table, or json: each half as it is measured, on a line")
	return c
}

// options finds what is wrong before anything is started.
func (d demoDetect) options(c *cobra.Command) (detect.Options, error) {
	o := detect.Options{Runs: d.runs, Net: d.net, Out: c.ErrOrStderr()}
	if d.output != "table" && d.output != "json" {
		return o, fmt.Errorf("output %q is not known; known: table, json", d.output)
	}
	var err error
	if o.Faults, err = detect.Parse(d.faults); err != nil {
		return o, err
	}
	if o.Dir, err = filepath.Abs(d.dir); err != nil {
		return o, err
	}
	if o.Binary, err = os.Executable(); err != nil {
		return o, err
	}
	if d.page != "" {
		return o, nil
	}
	return o, o.Check()
}

func (d demoDetect) run(c *cobra.Command, o detect.Options) error {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	people, programs := c.OutOrStdout(), io.Discard
	if d.output == "json" {
		people, programs = c.ErrOrStderr(), c.OutOrStdout()
	}
	lines := json.NewEncoder(programs)
	err := detect.Run(ctx, o, func(h detect.Half) {
		fmt.Fprintln(people, h.Line())
		_ = lines.Encode(h) // its line in the folder is what counts
	})
	var unborn detect.UpFailed
	switch {
	case ctx.Err() != nil:
		return failure{err: errors.New("interrupted"), code: "INTERRUPTED", exit: exitFailed,
			remedy: []string{"no process was left behind; the same command goes on"}}
	case errors.As(err, &unborn):
		return upFailure(context.WithoutCancel(ctx), unborn.Up, unborn.Err)
	case errors.Is(err, detect.ErrBusy):
		return failure{err: err, code: "DETECT_RUNS", exit: exitRefused, remedy: []string{"nothing was touched; name another folder: --dir"}}
	case err != nil:
		return err
	}
	return d.report(people, o)
}

// report ends what stands on stdout.
func (d demoDetect) report(people io.Writer, o detect.Options) error {
	halves, err := detect.Read(detect.Results(o.Dir))
	if err != nil {
		return err
	}
	fmt.Fprint(people, "\n"+detect.Table(halves))
	failed := detect.Failed(halves)
	if len(failed) == 0 {
		return nil
	}
	return failure{err: fmt.Errorf("%d of %d halves failed", len(failed), len(halves)), code: "DETECT_FAILED", exit: exitFailed,
		remedy: []string{"logs of what failed: " + filepath.Join(o.Dir, "failed"), "to measure one anew, remove its line from " + detect.Results(o.Dir)}}
}
