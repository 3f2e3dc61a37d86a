// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"supervisor/internal/settings"
)

func newPolicyCheck() *cobra.Command {
	var hostsFile string
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong in a policy, everything at once",
		Long: "Reads a policy and says every fault with its place and what would be right. With --hosts its names\n" +
			"are compared with the roster. It asks no agent and changes nothing.",
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
			return nil
		},
	}
	c.Flags().StringVar(&hostsFile, "hosts", "", "roster to compare with")
	return c
}
