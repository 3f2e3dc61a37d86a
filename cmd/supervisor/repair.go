// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/render"
)

func newRepairCommand() *cobra.Command {
	o := ordering{verb: incident.AskRepair}
	var scope incident.RepairScope
	var dry bool
	c := &cobra.Command{
		Use:   "repair NODE",
		Short: "Repair a node with its replicas, as far as the rules allow",
		Long: "Repair what a node holds with its replicas, as that of a node on its way back is repaired: the same peers, the same\n" +
			"quorum, the same residency. The plan is shown first. It goes on in batches while no incident is open, one repair of\n" +
			"the region at a time, and a sample is compared by another coordinator when all is done.\n" +
			"With --region the replicas of that region are compared among themselves, and a quorum of them is enough.\n" +
			"With --dry-run the plan alone is printed; exit code 3: all of it is forbidden.",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && scope.Keyspace == "" && !dry {
				return c.Help()
			}
			if err := repairNode(c, args); err != nil {
				return err
			}
			scope.Node = cluster.Name(args[0])
			if dry {
				return dryRepair(c, o.asking, scope)
			}
			o.target = api.Target{Node: scope.Node, Keyspace: scope.Keyspace, Table: scope.Table, Region: scope.Region}
			return o.run(c)
		},
		Args: cobra.ArbitraryArgs, // so that a node is not taken for a misspelt command
	}
	c.Flags().StringVar(&scope.Keyspace, "keyspace", "", "this keyspace alone")
	c.Flags().StringVar(&scope.Table, "table", "", "of --keyspace, this table alone")
	c.Flags().StringVar((*string)(&scope.Region), "region", "", "compare with the replicas of this region alone")
	c.Flags().BoolVar(&dry, "dry-run", false, "print the plan and do nothing")
	c.ValidArgsFunction = completing(&o.asking, "/v1/nodes", nodeNames)
	c.AddCommand(newRepairList(), newRepairShow())
	o.orderFlags(c)
	why := c.Flags().Lookup("reason") // a repair needs none
	why.DefValue, o.reason = "asked for by hand", "asked for by hand"
	return c
}

// repairNode wants the one node that is repaired.
func repairNode(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(c, errors.New("NODE is missing: a keyspace is repaired node by node, and each node is named"))
	}
	return oneArg("NODE")(c, args)
}

// dryRepair prints a plan; it fails when a rule forbids all of it.
func dryRepair(c *cobra.Command, a asking, scope incident.RepairScope) error {
	var plan api.RepairPlan
	err := show(c, a, api.RepairPlanPath(scope), answer[api.RepairPlan]{
		draw: render.RepairPlan,
		names: func(x api.RepairPlan) []string {
			var names []string
			for _, k := range x.Keyspaces {
				names = append(names, k.Keyspace)
			}
			return names
		},
		seen: func(x api.RepairPlan) { plan = x },
	})
	if err != nil || !plan.Barred() {
		return err
	}
	first := plan.Refused[0]
	return failure{err: fmt.Errorf("every range is refused, %s first: %s", first.Keyspace, first.Why), code: string(api.RefusedBy(first.Rule)), exit: exitRefused,
		remedy: []string{"rule " + string(first.Rule) + ". Nothing was done."}}
}

func newRepairList() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "list",
		Short: "List the repairs: of nodes on their way back, and those that were asked for",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return show(c, a, "/v1/repairs", answer[[]api.RepairLine]{draw: render.Repairs, names: repairIDs})
		},
	}
	return a.flags(c, true)
}

func repairIDs(list []api.RepairLine) []string {
	var ids []string
	for _, x := range list {
		ids = append(ids, x.ID)
	}
	return ids
}

func newRepairShow() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show how far a repair has come, how long the rest takes, and why it waits",
		Long:  "ID is a node, an incident or a repair, which may be shortened at its front while it stays unique: inc-dc1-42, dc1-42, 42.",
		Args:  oneArg("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return show(c, a, api.Path("v1", "repairs", args[0]), answer[api.Repair]{draw: render.Repair, names: func(x api.Repair) []string { return []string{x.ID} }})
		},
	}
	c.ValidArgsFunction = completing(&a, "/v1/repairs", repairIDs)
	return a.flags(c, true)
}
