// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"supervisor/internal/demo"
	"supervisor/internal/demo/agents"
)

// newDemoAgentStart starts a node's agent again after somebody ended it, as a
// service manager does on a host.
func newDemoAgentStart() *cobra.Command {
	var dir, name string
	c := &cobra.Command{
		Use:    "agent-start --dir D --node NAME",
		Short:  "Start the agent of one node of a demo again, and return",
		Hidden: true,
		Args:   noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := demo.Load(dir)
			if err != nil {
				return err
			}
			n, err := p.Node(name)
			if err != nil {
				return usage(c, err)
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find the agent's program: %w", err)
			}
			return agents.Fleet{Plan: p, Binary: self}.Start(n)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the demo")
	c.Flags().StringVar(&name, "node", "", "the node's name")
	return requireFlag(c, "dir", "node")
}
