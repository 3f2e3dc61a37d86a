// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"supervisor/internal/demo/lan"
	"supervisor/internal/demo/node"
)

// newDemoLAN is memberlist alone on one node's address, which `demo detect` starts
// beside each agent.
func newDemoLAN() *cobra.Command {
	var dir, name string
	c := &cobra.Command{
		Use:    "lan --dir D --node NAME",
		Short:  "Run memberlist with its defaults beside one node of a demo, and print who is there",
		Hidden: true,
		Args:   noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, n, _, err := demoNode(c, dir, name)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGTERM)
			defer stop()
			var others []node.Node
			for _, o := range p.Nodes {
				if o.Name != n.Name {
					others = append(others, o)
				}
			}
			return lan.Run(ctx, n, others, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the demo")
	c.Flags().StringVar(&name, "node", "", "the node's name")
	return requireFlag(c, "dir", "node")
}
