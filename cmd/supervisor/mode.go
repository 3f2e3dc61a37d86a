// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/settings"
)

func newModeCommand() *cobra.Command {
	var a applying
	c := &cobra.Command{
		Use:   "mode DC observe|assist|auto --reason R",
		Short: "Say how far the supervisor may go in a datacenter",
		Long: "This is the standing policy with one mode changed, planned and applied like any other: observe says what it\n" +
			"would do, assist asks a person before the harder steps, auto does all of it.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 || !slices.Contains(api.Modes(), args[1]) {
				return usage(c, fmt.Errorf("a DC and one of %s are wanted", strings.Join(api.Modes(), ", ")))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.mode(c, cluster.Datacenter(args[0]), args[1]) },
	}
	return a.orderFlags(c)
}

// mode applies the standing policy with another mode for one datacenter. The
// plan has to be made against the version that was read, so nobody's change is
// lost between.
func (a applying) mode(c *cobra.Command, dc cluster.Datacenter, word string) error {
	if strings.TrimSpace(a.reason) == "" {
		return usage(c, errors.New("--reason is missing: others will wonder later"))
	}
	client, err := a.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	raw, err := client.Get(c.Context(), "/v1/policy")
	if err != nil {
		return asFailure(err)
	}
	e, err := api.Decode[api.Policy](raw)
	if err != nil {
		return asFailure(err)
	}
	p := e.Data.Document
	if e.Data.Unread {
		return failure{err: fmt.Errorf("policy v%d cannot be read by this agent, so no mode of it can be changed", e.Data.Version), code: string(api.GuardForbids), exit: exitRefused,
			remedy: []string{"rule policy. Nothing was done.", "supervisor policy apply, with a whole document"}}
	}
	if p == nil {
		return failure{err: errors.New("no policy stands, so no mode can be changed"), code: string(api.GuardForbids), exit: exitRefused,
			remedy: []string{"rule policy. Nothing was done.", "supervisor policy init, edit, supervisor policy apply"}}
	}
	if _, mapped := p.RegionOf(dc); !mapped {
		row := api.ErrorOf(api.DatacenterUnknown)
		return failure{err: fmt.Errorf("the policy maps no region to datacenter %q", dc), code: string(row.Code), exit: row.Exit, remedy: []string{row.Remedy}}
	}
	var m incident.Mode
	if err := m.UnmarshalText([]byte(word)); err != nil {
		return usage(c, err)
	}
	next := *p
	next.Modes = maps.Clone(p.Modes)
	if next.Modes == nil {
		next.Modes = map[cluster.Datacenter]incident.Mode{}
	}
	next.Modes[dc] = m
	a.base = p.Version
	a.file = fmt.Sprintf("policy v%d with mode %s in %s", p.Version, word, dc)
	return a.apply(c, client, settings.RenderPolicy(next))
}
