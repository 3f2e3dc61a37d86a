// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
)

func newIncidentCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "incident",
		Short: "What happened to nodes, and what was done about it",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newIncidentList(), newIncidentShow())
	return c
}

func newIncidentList() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "list",
		Short: "List the incidents, open ones first",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return show(c, a, "/v1/incidents", answer[[]api.IncidentLine]{render.Incidents, incidentIDs})
		},
	}
	return a.flags(c, true)
}

func incidentIDs(list []api.IncidentLine) []string {
	var ids []string
	for _, in := range list {
		ids = append(ids, in.ID)
	}
	return ids
}

func newIncidentShow() *cobra.Command {
	var a asking
	var timeline bool
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show one incident; with --timeline its whole story",
		Long:  "ID may be shortened at its front while it stays unique: inc-dc1-42, dc1-42, 42.",
		Args:  oneArg("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if timeline {
				return show(c, a, api.Path("v1", "incidents", args[0], "timeline"),
					answer[api.Timeline]{render.Timeline, func(t api.Timeline) []string { return []string{t.Incident.ID} }})
			}
			return show(c, a, api.Path("v1", "incidents", args[0]),
				answer[api.Incident]{render.Incident, func(in api.Incident) []string { return []string{in.ID} }})
		},
	}
	c.Flags().BoolVar(&timeline, "timeline", false, "every event, in the order of the journal")
	c.ValidArgsFunction = completing(&a, "/v1/incidents", incidentIDs)
	return a.flags(c, true)
}
