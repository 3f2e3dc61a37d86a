// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
	"supervisor/internal/settings"
)

func newPolicyCheck() *cobra.Command {
	var hostsFile string
	var a asking
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong in a policy, everything at once",
		Long: "Reads a policy and says every fault with its place and what would be right. With --hosts its names\n" +
			"are compared with the roster. Where an agent answers it also says what the policy would change: what\n" +
			"would newly be allowed, and what refused. It changes nothing.",
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			hosts, err := rosterFile(hostsFile)
			if err != nil {
				return err
			}
			p, err := settings.ReadPolicy(args[0], hosts)
			if err != nil {
				return inFile(err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is in order: %s\n", args[0], settings.DescribePolicy(p))
			return compared(c, a, args[0])
		},
	}
	c.Flags().StringVar(&hostsFile, "hosts", "", "roster to compare with")
	return a.socketFlag(c)
}

// compared shows what a policy that is in order would change in the cluster of the
// agent. Nobody needs one to check a file, unless it was named.
func compared(c *cobra.Command, a asking, file string) error {
	named := c.Flags().Changed("socket")
	if _, err := os.Stat(a.socket); err != nil && !named {
		fmt.Fprintf(c.OutOrStdout(), "not compared with the policy that stands: there is no agent on %s\n", a.socket)
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return usage(c, fmt.Errorf("read the policy: %w", err))
	}
	client, err := a.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	plan, err := post[api.Plan](c.Context(), client, "/v1/plans", api.PlanRequest{Verb: api.VerbPolicyApply, Document: string(text)})
	switch {
	case err != nil && named:
		return applying{file: file}.named(err)
	case err != nil:
		fmt.Fprintf(c.OutOrStdout(), "not compared with the policy that stands: %v\n", err)
		return nil
	}
	page, _ := pageOf(c.OutOrStdout())
	fmt.Fprint(c.OutOrStdout(), render.Plan(page, plan))
	return nil
}
