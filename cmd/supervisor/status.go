// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
)

func newStatusCommand() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "status",
		Short: "Say in one word whether somebody must get up, and then why",
		Long: "The first word is HEALTHY, DEGRADED (less redundancy, being handled), NEEDS YOU (waits for a person)\n" +
			"or BLIND (nothing is judged, nothing is done). The exit code is 0 whenever it could answer; monitors use check.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return show(c, a, "/v1/status", answer[api.Status]{draw: render.Status, names: func(s api.Status) []string { return []string{string(s.State)} }})
		},
	}
	return a.flags(c, true)
}
