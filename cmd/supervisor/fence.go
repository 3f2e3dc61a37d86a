// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"supervisor/cluster"
	"supervisor/incident"
)

func newFenceCommand() *cobra.Command {
	o := ordering{verb: incident.AskFence}
	var levels []string
	c := &cobra.Command{
		Use:   "fence NODE --reason R",
		Short: "Drain a node and keep clients and readers off it until it is unfenced",
		Long: "The same rules hold as for everything that is done without a person: a fence that would take a range\n" +
			"below its quorum, or a pool below its floor, is refused. However Cassandra starts there meanwhile, it\n" +
			"hibernates.",
		Args: oneArg("NODE"),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := json.Marshal(levels)
			if err == nil {
				err = o.target.Levels.UnmarshalJSON(text)
			}
			if err != nil {
				return usage(c, fmt.Errorf("--level %s: %w", strings.Join(levels, ","), err))
			}
			o.target.Node = cluster.Name(args[0])
			return o.run(c)
		},
	}
	c.Flags().StringSliceVar(&levels, "level", []string{"clients", "reads"}, "what is kept off: clients, reads")
	c.ValidArgsFunction = completing(&o.asking, "/v1/nodes", nodeNames)
	return o.orderFlags(c)
}

func newUnfenceCommand() *cobra.Command {
	o := ordering{verb: incident.AskUnfence}
	c := &cobra.Command{
		Use:   "unfence NODE --reason R",
		Short: "Bring a node back that somebody fenced: repaired before it is read",
		Args:  oneArg("NODE"),
		RunE: func(c *cobra.Command, args []string) error {
			o.target.Node = cluster.Name(args[0])
			return o.run(c)
		},
	}
	c.ValidArgsFunction = completing(&o.asking, "/v1/nodes", nodeNames)
	return o.orderFlags(c)
}
