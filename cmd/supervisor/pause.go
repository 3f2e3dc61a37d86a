// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
)

func newPauseCommand() *cobra.Command {
	o := ordering{verb: incident.AskPause}
	var length time.Duration
	c := &cobra.Command{
		Use:   "pause [DC] --reason R",
		Short: "Let nothing new start in a datacenter, or in the whole region, for a while",
		Long: "What is judged and found is still told. What was only seen waits; what was begun is held where it\n" +
			"stands, behind its fence, and goes on by itself when the pause is over. Nobody is fenced meanwhile,\n" +
			"but a node that lacks writes and is handed to people gets the fence that keeps it from being read.",
		Args: atMostOne("DC"),
		RunE: func(c *cobra.Command, args []string) error {
			if length < time.Second || length > incident.HoldMax {
				return usage(c, fmt.Errorf("--for %s: from 1s to %s", length, incident.HoldMax))
			}
			o.target.ForMS = length.Milliseconds()
			return o.about(args).run(c)
		},
	}
	c.Flags().DurationVar(&length, "for", time.Hour, "it ends by itself after so long, 168h at most")
	c.ValidArgsFunction = completing(&o.asking, "/v1/status", datacenterNames)
	return o.orderFlags(c)
}

func newResumeCommand() *cobra.Command {
	o := ordering{verb: incident.AskResume}
	c := &cobra.Command{
		Use:   "resume [DC] --reason R",
		Short: "End a pause before its time",
		Args:  atMostOne("DC"),
		RunE:  func(c *cobra.Command, args []string) error { return o.about(args).run(c) },
	}
	c.ValidArgsFunction = completing(&o.asking, "/v1/status", datacenterNames)
	return o.orderFlags(c)
}

func (o ordering) about(args []string) ordering {
	if len(args) > 0 {
		o.target.Datacenter = cluster.Datacenter(args[0])
	}
	return o
}

func datacenterNames(s api.Status) []string {
	var names []string
	for _, d := range s.Datacenters {
		names = append(names, string(d.Datacenter))
	}
	return names
}

// atMostOne allows one argument or none.
func atMostOne(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage(c, fmt.Errorf("one %s at most is wanted, %d given", name, len(args)))
		}
		if len(args) == 1 && args[0] == "" {
			return usage(c, errors.New("the "+name+" is empty: leave it out to mean the region"))
		}
		return nil
	}
}
