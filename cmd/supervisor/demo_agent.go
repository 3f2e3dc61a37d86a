// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"supervisor/internal/demo/agents"
)

// newDemoAgentStart starts a node's agent again after somebody ended it, as a
// service manager does on a host.
func newDemoAgentStart() *cobra.Command {
	var dir, name string
	c := &cobra.Command{
		Use:   "agent-start --dir D --node NAME",
		Short: "Start the agent of one node of a demo again, and return",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, n, self, err := demoNode(c, dir, name)
			if err != nil {
				return err
			}
			return agents.Fleet{Plan: p, Binary: self}.Start(n)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the demo")
	c.Flags().StringVar(&name, "node", "", "the node's name")
	return requireFlag(c, "dir", "node")
}
