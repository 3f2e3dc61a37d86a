// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/render"
)

// ordering is one order of a person: its plan is shown and confirmed as the
// verb demands, the order is written down, and the leader's answer is shown.
type ordering struct {
	asking
	verb         incident.AskVerb
	target       api.Target
	reason, plan string
	yes          bool
	wait         time.Duration
}

// orderFlags adds what every order has.
func (o *ordering) orderFlags(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&o.reason, "reason", "", "why; kept in the journal for ever")
	c.Flags().DurationVar(&o.wait, "wait", 15*time.Second, "wait this long for the leader's answer")
	if o.verb.Harms() {
		c.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
		c.Flags().StringVar(&o.plan, "plan", "", "order only this plan, seen before")
	}
	o.asking.flags(c, false)
	c.Flags().Lookup("output").Usage = "table, json, yaml, name: of the leader's answer"
	return c
}

func (o ordering) run(c *cobra.Command) error {
	if strings.TrimSpace(o.reason) == "" {
		return usage(c, errors.New("--reason is missing: others will wonder later"))
	}
	if !slices.Contains(outputs, o.output) {
		return usage(c, fmt.Errorf("output %q is not known; known: %s", o.output, strings.Join(outputs, ", ")))
	}
	client, err := o.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	if o.verb == incident.AskApprove {
		o.target.Plan = o.plan // a plan that does not stand any more is refused by its name
	}
	plan, err := post[api.Plan](c.Context(), client, "/v1/plans", api.PlanRequest{Verb: string(o.verb), Target: o.target})
	if err != nil {
		return asFailure(err)
	}
	if err := o.confirmed(c, plan); err != nil {
		return err
	}
	order, err := ordered(c, client, api.OrderRequest{Plan: plan.Data.Hash, Reason: o.reason})
	if err != nil {
		return err
	}
	raw, e, err := order.await(c, client, o.wait)
	if err != nil || raw == nil {
		return err
	}
	return o.answered(c, raw, e)
}

// confirmed shows what would be done and asks, where the verb changes what is
// done to a node. What a rule forbids is not asked about: the order is written
// down and refused.
func (o ordering) confirmed(c *cobra.Command, p api.Envelope[api.Plan]) error {
	if !p.Data.Asks || p.Data.Refused != nil {
		return nil
	}
	if o.plan != "" && o.plan != p.Data.Hash {
		return failure{err: fmt.Errorf("the world moved since plan %s", o.plan), code: string(api.PlanStale), exit: exitRefused,
			remedy: []string{"nothing was done; the plan now is " + p.Data.Hash}}
	}
	out := c.OutOrStdout()
	if o.output != "table" {
		out = c.ErrOrStderr() // what is printed for others to read is the answer alone
	}
	page, _ := pageOf(out)
	fmt.Fprint(out, render.Plan(page, p))
	if o.yes {
		return nil
	}
	refuse := func(what, remedy string) error {
		return failure{err: errors.New(what), code: string(api.ConfirmWrong), exit: exitRefused, remedy: []string{"nothing was done; " + remedy}}
	}
	if !onTerminal(c) {
		return refuse("there is no terminal to ask on", "add --yes")
	}
	fmt.Fprint(c.ErrOrStderr(), "do it? y/N ")
	if line, _ := bufio.NewReader(c.InOrStdin()).ReadString('\n'); !agreed(line) {
		return refuse("it was not confirmed", "the plan stays good for 15 min while nothing moves")
	}
	return nil
}

// agreed tells whether an answer to a question that ends in y/N is yes.
func agreed(line string) bool {
	said := strings.ToLower(strings.TrimSpace(line))
	return said == "y" || said == "yes"
}

// answered prints the answer, and fails with the rule's name when it is no.
func (o ordering) answered(c *cobra.Command, raw []byte, e api.Envelope[api.OrderAnswer]) error {
	x := e.Data
	refused := x.State == api.OrderRefused
	if !refused || o.output != "table" {
		page, _ := pageOf(c.OutOrStdout())
		text, err := drawn(raw, o.asking, page, answer[api.OrderAnswer]{draw: render.OrderAnswer, names: func(x api.OrderAnswer) []string { return []string{x.Request} }})
		if err != nil {
			return err
		}
		if _, err := io.WriteString(c.OutOrStdout(), text); err != nil {
			return err
		}
	}
	if !refused {
		return nil
	}
	return asFailure(api.Refuse(x.Rule, subjectOf(x, o.target), x.Says, x.Next...))
}

func subjectOf(x api.OrderAnswer, t api.Target) string {
	for _, name := range []string{string(x.Node), x.Incident, string(t.Node), t.Incident, string(t.Datacenter), t.Code} {
		if name != "" {
			return name
		}
	}
	return "region"
}
