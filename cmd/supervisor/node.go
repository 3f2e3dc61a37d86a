// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
)

func newNodeCommand() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "node NAME",
		Short: "Show one node: wanted beside actual, observers, clocks, last events",
		Args:  oneArg("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			return show(c, a, api.Path("v1", "nodes", args[0]),
				answer[api.Node]{draw: render.Node, names: func(n api.Node) []string { return []string{string(n.Name)} }})
		},
	}
	c.ValidArgsFunction = completing(&a, "/v1/nodes", nodeNames)
	return a.flags(c, true)
}
