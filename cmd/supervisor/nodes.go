// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
)

func newNodesCommand() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes with verdict, votes and pool",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return show(c, a, "/v1/nodes", answer[api.Nodes]{draw: render.Nodes, names: nodeNames})
		},
	}
	return a.flags(c, true)
}

func nodeNames(n api.Nodes) []string {
	var names []string
	for _, line := range n.Nodes {
		names = append(names, string(line.Name))
	}
	return names
}
