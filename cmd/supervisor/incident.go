// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"supervisor/incident"
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
	for _, v := range incidentVerbs {
		c.AddCommand(v.command())
	}
	return c
}

// incidentVerb is an order about one incident.
type incidentVerb struct {
	verb        incident.AskVerb
	short, long string
}

var incidentVerbs = []incidentVerb{
	{incident.AskApprove, "Let an incident do what it proposes", "The plan is shown first; with --plan only the one that was seen is approved. What has moved since is refused."},
	{incident.AskAbort, "Stop an incident: what was done stays, and nothing more is done", "Orders that nobody has begun with are taken back; what is begun ends by itself, and nothing follows from it."},
	{incident.AskAck, "Say that you have seen it: it waits for nobody else", "It counts for the reason for which it is held now, and lets it go on in the storm that is on now."},
	{incident.AskRetry, "Let a held incident try again, after you have mended what held it", "Every rule is asked again; what it fails, it is held for again."},
}

func (v incidentVerb) command() *cobra.Command {
	o := ordering{verb: v.verb}
	_, name, _ := strings.Cut(string(v.verb), "_")
	c := &cobra.Command{
		Use:   name + " ID --reason R",
		Short: v.short,
		Long:  v.short + ".\n" + v.long + "\nID may be shortened at its front while it stays unique.",
		Args:  oneArg("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			o.target.Incident = args[0]
			return o.run(c)
		},
	}
	c.ValidArgsFunction = completing(&o.asking, "/v1/incidents", incidentIDs)
	return o.orderFlags(c)
}

func newIncidentList() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "list",
		Short: "List the incidents, open ones first",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return show(c, a, "/v1/incidents", answer[[]api.IncidentLine]{draw: render.Incidents, names: incidentIDs})
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
					answer[api.Timeline]{draw: render.Timeline, names: func(t api.Timeline) []string { return []string{t.Incident.ID} }, newestLast: true})
			}
			return show(c, a, api.Path("v1", "incidents", args[0]),
				answer[api.Incident]{draw: render.Incident, names: func(in api.Incident) []string { return []string{in.ID} }})
		},
	}
	c.Flags().BoolVar(&timeline, "timeline", false, "every event, in the order of the journal")
	c.ValidArgsFunction = completing(&a, "/v1/incidents", incidentIDs)
	return a.flags(c, true)
}
