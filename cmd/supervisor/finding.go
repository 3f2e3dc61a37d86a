// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
)

func newFindingCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "finding",
		Short: "What is not as it should be, and what to do about it",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newFindingList(), newFindingShow())
	return c
}

func newFindingList() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "list",
		Short: "List the findings that hold now, most pressing first",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return show(c, a, "/v1/findings", answer[[]api.Finding]{render.Findings, findingCodes})
		},
	}
	return a.flags(c, true)
}

func findingCodes(list []api.Finding) []string {
	var codes []string
	for _, f := range list {
		codes = append(codes, f.Code)
	}
	return codes
}

func newFindingShow() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "show CODE",
		Short: "Say what a code means, what to do, and where it holds",
		Args:  oneArg("CODE"),
		RunE: func(c *cobra.Command, args []string) error {
			return show(c, a, api.Path("v1", "findings", strings.ToUpper(args[0])),
				answer[api.FindingCode]{render.FindingCode, func(f api.FindingCode) []string { return []string{f.Code} }})
		},
	}
	c.ValidArgsFunction = completing(&a, "/v1/findings", findingCodes)
	return a.flags(c, false)
}
