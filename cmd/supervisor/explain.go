// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
)

func newExplainCommand() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "explain NODE|INCIDENT",
		Short: "Say why something is done or not done, and what would change it",
		Args:  oneArg("NODE or INCIDENT"),
		RunE: func(c *cobra.Command, args []string) error {
			return show(c, a, api.Path("v1", "explain", args[0]),
				answer[api.Explanation]{draw: render.Explain, names: func(x api.Explanation) []string { return []string{string(x.Node)} }})
		},
	}
	c.ValidArgsFunction = completing(&a, "/v1/nodes", nodeNames)
	return a.flags(c, true)
}
