// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"supervisor/incident"
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
	c.AddCommand(newFindingList(), newFindingShow(), newFindingMute(), newFindingUnmute())
	return c
}

func newFindingList() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "list",
		Short: "List the findings that hold now, most pressing first",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return show(c, a, "/v1/findings", answer[[]api.Finding]{draw: render.Findings, names: findingCodes})
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
				answer[api.FindingCode]{draw: render.FindingCode, names: func(f api.FindingCode) []string { return []string{f.Code} }})
		},
	}
	c.ValidArgsFunction = completing(&a, "/v1/findings", findingCodes)
	return a.flags(c, false)
}

func newFindingMute() *cobra.Command {
	o := ordering{verb: incident.AskMute}
	var length time.Duration
	c := &cobra.Command{
		Use:   "mute CODE [SUBJECT] --reason R",
		Short: "Hide a finding for a while: it disarms nothing, and what gets worse is shown",
		Args:  codeAndSubject,
		RunE: func(c *cobra.Command, args []string) error {
			if length < time.Second || length > incident.HoldMax {
				return usage(c, fmt.Errorf("--for %s: from 1s to %s", length, incident.HoldMax))
			}
			o.target.ForMS = length.Milliseconds()
			return o.finding(args).run(c)
		},
	}
	c.Flags().DurationVar(&length, "for", 4*time.Hour, "it ends by itself after so long, 168h at most")
	c.ValidArgsFunction = completing(&o.asking, "/v1/findings", findingCodes)
	return o.orderFlags(c)
}

func newFindingUnmute() *cobra.Command {
	o := ordering{verb: incident.AskUnmute}
	c := &cobra.Command{
		Use:   "unmute CODE [SUBJECT] --reason R",
		Short: "Show a finding again",
		Args:  codeAndSubject,
		RunE:  func(c *cobra.Command, args []string) error { return o.finding(args).run(c) },
	}
	c.ValidArgsFunction = completing(&o.asking, "/v1/findings", findingCodes)
	return o.orderFlags(c)
}

func (o ordering) finding(args []string) ordering {
	o.target.Code = strings.ToUpper(args[0])
	if len(args) > 1 {
		o.target.Subject = args[1]
	}
	return o
}

func codeAndSubject(c *cobra.Command, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return usage(c, fmt.Errorf("a CODE and at most one SUBJECT are wanted, %d given", len(args)))
	}
	return nil
}
