// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"supervisor/incident"
	"supervisor/internal/agent"
	"supervisor/internal/api"
	"supervisor/internal/lead"
	"supervisor/internal/settings"
	"supervisor/internal/store"
)

func newStoreAcknowledge() *cobra.Command {
	var config, reason string
	var era uint32
	c := &cobra.Command{
		Use:   "acknowledge --era N --reason R",
		Short: "Let the agents act on a store that was recovered",
		Long: "A person's word that a recovered store may be acted upon: what it does not know was looked at. Before it\n" +
			"everything is only observed. Each node of an incident that the store knew is then kept from readers and\n" +
			"repaired anew. The era is the one that `status` names: the word is for that store and for no later one.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case era == 0:
				return usage(c, errors.New("--era is missing: supervisor status names it"))
			case strings.TrimSpace(reason) == "":
				return usage(c, errors.New("--reason is missing: others will wonder later"))
			}
			cfg, err := settings.ReadAgent(config)
			if err != nil {
				return inFile(err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
			defer cancel()
			word := incident.Acknowledgement{By: person(), Why: strings.Join(strings.Fields(reason), " "), At: time.Now().UTC().Truncate(time.Second)}
			return acknowledge(ctx, cfg, era, word, c.OutOrStdout())
		},
	}
	configFlag(c, &config)
	c.Flags().Uint32Var(&era, "era", 0, "the era of the recovered store")
	c.Flags().StringVar(&reason, "reason", "", "what was looked at; kept with the era")
	return c
}

func acknowledge(ctx context.Context, cfg settings.Agent, era uint32, word incident.Acknowledgement, out io.Writer) error {
	client, err := dialStore(cfg, agent.Horizon{}, zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	kvs, _, err := client.List(ctx, "")
	if err != nil {
		return refuse("STORE_UNAVAILABLE", fmt.Errorf("reach the store: %w", err), "a majority of its members must answer")
	}
	p := lead.NewPicture()
	p.Apply(store.Batch{KVs: kvs, Whole: true})
	at, _ := client.Seen()
	doc := p.Era.Value
	r, times := doc.Recovered, byTheClock().Times
	switch {
	case p.Era.Mod == 0 || doc.EtcdClusterID != store.EtcdCluster(at):
		return refuse("STORE_FOREIGN", errors.New("the store that answers has no era of its own"), "supervisor store recover, or the right endpoints in the agent's file")
	case r == nil:
		return refuse("STORE_NOT_RECOVERED", fmt.Errorf("this store was never recovered: era %d", doc.Era))
	case doc.Era != era:
		return refuse("ERA_WRONG", fmt.Errorf("this store is in era %d, and not %d", doc.Era, era), times(fmt.Sprintf("recovered by %s at %s from %s", r.By, r.At.UTC().Format(time.RFC3339), r.From)))
	case r.Acknowledged != nil:
		return refuse("STORE_ACKNOWLEDGED", errors.New(times(fmt.Sprintf("%s acknowledged it at %s: %s", r.Acknowledged.By, r.Acknowledged.At.UTC().Format(time.RFC3339), r.Acknowledged.Why))))
	}
	said := *r
	said.Acknowledged, doc.Recovered = &word, &said
	b, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("encode the era: %w", err)
	}
	res, err := client.Commit(ctx, store.Txn{Compare: []store.Compare{{Key: store.Era, Rev: p.Era.Mod}}, Put: []store.Put{{Key: store.Era, Value: b}}})
	switch {
	case err != nil:
		return fmt.Errorf("acknowledge era %d: %w", era, err)
	case !res.OK:
		return refuse("ERA_WRONG", errors.New("somebody changed the era at this moment"), "look again: supervisor status")
	}
	fmt.Fprintf(out, "era %d acknowledged by %s; the agents go by %s from now on, with %s\n", era, word.By, policyWord(p), api.Counted(len(p.Records), "open incident"))
	return nil
}

func policyWord(p *lead.Picture) string {
	if p.Policy.Value == nil {
		return "no policy"
	}
	return fmt.Sprintf("policy v%d", p.Policy.Value.Version)
}

// person is who types a command.
func person() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}
