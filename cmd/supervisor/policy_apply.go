// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/render"
)

// applying is one `policy apply`.
type applying struct {
	asking
	file, reason, plan, confirm string
	yes                         bool
	wait                        time.Duration
	base                        int64 // the version that the document was made from; 0: not said
}

func newPolicyApply() *cobra.Command {
	var a applying
	c := &cobra.Command{
		Use:   "apply FILE --reason R",
		Short: "Show what a policy would change, then order it",
		Long: "The plan is shown first. It is confirmed with y on a terminal or with --yes. A policy that lets data\n" +
			"stand in more places is confirmed by typing the word that the plan names, or with --plan and --confirm.",
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			a.file = args[0]
			return a.run(c)
		},
	}
	c.Flags().StringVar(&a.confirm, "confirm", "", "the word that the plan wants typed")
	return a.orderFlags(c)
}

func (a *applying) orderFlags(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&a.reason, "reason", "", "why; kept with the policy for ever")
	c.Flags().BoolVar(&a.yes, "yes", false, "do not ask")
	c.Flags().StringVar(&a.plan, "plan", "", "order only this plan, seen before")
	c.Flags().DurationVar(&a.wait, "wait", 15*time.Second, "wait this long until the leader has taken it in")
	return a.socketFlag(c)
}

// policyBytesMax is what the interface takes.
const policyBytesMax = 1 << 20

func (a applying) run(c *cobra.Command) error {
	if strings.TrimSpace(a.reason) == "" {
		return usage(c, errors.New("--reason is missing: others will wonder later"))
	}
	text, err := os.ReadFile(a.file)
	if err != nil {
		return usage(c, fmt.Errorf("read the policy: %w", err))
	}
	if len(text) > policyBytesMax {
		return usage(c, fmt.Errorf("%s has %d bytes; a policy has at most %d", a.file, len(text), policyBytesMax))
	}
	client, err := a.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	return a.apply(c, client, text)
}

// apply shows the plan of a document and orders it.
func (a applying) apply(c *cobra.Command, client *api.Client, text []byte) error {
	plan, err := post[api.Plan](c.Context(), client, "/v1/plans", api.PlanRequest{Verb: api.VerbPolicyApply, Document: string(text)})
	if err != nil {
		return a.named(err)
	}
	if a.base != 0 && plan.Data.Base != a.base {
		return failure{err: fmt.Errorf("policy v%d stands by now, and this was made from v%d", plan.Data.Base, a.base), code: string(api.PlanStale), exit: exitRefused,
			remedy: []string{"nothing was done; say it again"}}
	}
	page, _ := pageOf(c.OutOrStdout())
	fmt.Fprint(c.OutOrStdout(), render.Plan(page, plan))
	if len(plan.Data.Difference) == 0 {
		return nil
	}
	word, err := a.confirmed(c, plan.Data)
	if err != nil {
		return err
	}
	order, err := ordered(c, client, api.OrderRequest{Plan: plan.Data.Hash, Confirm: word, Reason: a.reason})
	if err != nil {
		return err
	}
	raw, e, err := order.await(c, client, a.wait)
	if err != nil || raw == nil {
		return err
	}
	return a.stands(c, plan.Data.Version, e.Data)
}

// named puts the file's name where the interface could only say "the policy".
func (a applying) named(err error) error {
	var p *api.Problem
	if errors.As(err, &p) && p.Code == api.ConfigInvalid {
		p.Detail = strings.Replace(p.Detail, "the policy", a.file, 1)
	}
	return asFailure(err)
}

func post[T any](ctx context.Context, client *api.Client, path string, body any) (api.Envelope[T], error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	raw, err := client.Post(ctx, path, body)
	if err != nil {
		return api.Envelope[T]{}, err
	}
	return api.Decode[T](raw)
}

// confirmed asks as the plan demands, and returns the word that was typed.
func (a applying) confirmed(c *cobra.Command, p api.Plan) (string, error) {
	refuse := func(code api.Code, what string, remedy string) error {
		return failure{err: errors.New(what), code: string(code), exit: api.ErrorOf(code).Exit, remedy: []string{"nothing was applied; " + remedy}}
	}
	if a.plan != "" && a.plan != p.Hash {
		return "", refuse(api.PlanStale, fmt.Sprintf("the world moved since plan %s", a.plan), "the plan now is "+p.Hash)
	}
	typed := "supervisor policy apply " + a.file + " --plan " + p.Hash + " --confirm " + p.Confirm
	switch {
	case p.Confirm == "" && a.yes:
		return "", nil
	case p.Confirm != "" && a.confirm != "":
		if a.confirm != p.Confirm || a.plan == "" {
			return "", refuse(api.ConfirmWrong, "the plan lets data stand in more places; --plan and --confirm must name it", typed)
		}
		return a.confirm, nil
	case !onTerminal(c):
		if p.Confirm != "" {
			return "", refuse(api.ConfirmWrong, "the plan lets data stand in more places, which --yes does not confirm", typed)
		}
		return "", refuse(api.ConfirmWrong, "there is no terminal to ask on", "add --yes")
	}
	question, want := "apply it? y/N ", "y"
	if p.Confirm != "" {
		question, want = fmt.Sprintf("type %s to apply it: ", p.Confirm), p.Confirm
	}
	fmt.Fprint(c.ErrOrStderr(), question)
	line, _ := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	if typed := strings.TrimSpace(line); typed != want && (p.Confirm != "" || !agreed(line)) {
		return "", refuse(api.ConfirmWrong, "it was not confirmed", "the plan stays good for 15 min")
	}
	return p.Confirm, nil
}

func onTerminal(c *cobra.Command) bool {
	f, ok := c.InOrStdin().(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// stands says what the leader made of the order: only its own answer tells, since
// a policy of that number may be somebody else's.
func (a applying) stands(c *cobra.Command, version int64, x api.OrderAnswer) error {
	switch {
	case x.State == api.OrderFollowed:
		fmt.Fprintf(c.OutOrStdout(), "policy v%d by %s stands\n", version, x.Who)
		return nil
	case x.Rule == incident.RulePolicy:
		return failure{err: errors.New(x.Says), code: string(api.PlanStale), exit: exitRefused,
			remedy: []string{"another was first, and yours was not applied", "look again: supervisor policy apply " + a.file}}
	}
	return asFailure(api.Refuse(x.Rule, "policy", x.Says, x.Next...))
}
