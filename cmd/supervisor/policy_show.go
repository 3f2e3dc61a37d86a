// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
)

func newPolicyShow() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "show",
		Short: "Show the policy that stands, with version, author and reason",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return show(c, a, "/v1/policy", answer[api.Policy]{draw: render.Policy, names: func(p api.Policy) []string { return []string{fmt.Sprintf("v%d", p.Version)} }})
		},
	}
	return a.flags(c, false)
}
