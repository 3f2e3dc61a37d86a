// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
)

func newPoolCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pool",
		Short: "Pools of clients: what is wanted, what the proxies show",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newPoolList())
	return c
}

func newPoolList() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "list",
		Short: "List the pools, wanted beside actual",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return show(c, a, "/v1/pools", answer[[]api.Pool]{draw: render.Pools, names: func(pools []api.Pool) []string {
				var names []string
				for _, p := range pools {
					names = append(names, p.Name)
				}
				return names
			}})
		},
	}
	return a.flags(c, true)
}
