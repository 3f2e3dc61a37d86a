// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/internal/agent"
	"supervisor/internal/api"
	"supervisor/internal/etcd"
	"supervisor/internal/lead"
	"supervisor/internal/settings"
	"supervisor/internal/store"
)

func newStoreCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "store",
		Short: "The supervisor's own store",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newStoreInit(), newStoreBackup(), newStoreReplaceMember(), newStoreRecover(), newStoreAcknowledge())
	return c
}

// configFlag is where a host's file stands.
func configFlag(c *cobra.Command, config *string) {
	c.Flags().StringVar(config, "config", "/etc/cassandra-supervisor/agent.yaml", "the file of an agent that reaches or runs the store")
}

func newStoreInit() *cobra.Command {
	var config, hosts, reason string
	c := &cobra.Command{
		Use:   "init --config FILE --hosts FILE",
		Short: "Write era and roster into an empty store, once",
		Long: "Begins the embedded store with the member of this host, where the agent's file names one, writes\n" +
			"the first era and the roster of hosts that may vote, and stops it again. Run it on one control agent:\n" +
			"the agents of the other members join by themselves. Refuses a store that has an era.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if hosts == "" {
				return usage(c, errors.New("--hosts is missing"))
			}
			cfg, err := settings.ReadAgent(config)
			if err != nil {
				return inFile(err)
			}
			roster, err := settings.ReadHosts(hosts)
			if err != nil {
				return inFile(err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
			defer cancel()
			return initStore(ctx, cfg, roster, reason, c.OutOrStdout())
		},
	}
	configFlag(c, &config)
	c.Flags().StringVar(&hosts, "hosts", "", "the roster of hosts")
	c.Flags().StringVar(&reason, "reason", "first roster", "why, kept with every host")
	return c
}

func initStore(ctx context.Context, cfg settings.Agent, roster []cluster.Host, reason string, out io.Writer) error {
	log := zap.NewNop()
	for _, h := range roster {
		if _, elsewhere := cfg.Regions[h.Region]; elsewhere {
			return failure{err: fmt.Errorf("%s is of region %s, which has a store of its own by regions in the agent's file", h.Name, h.Region), code: "ROSTER_ELSEWHERE", exit: exitRefused,
				remedy: []string{"Nothing was written. List it in the roster of that store: each host is on one roster."}}
		}
	}
	if o, runs := embedOptions(cfg, log); runs {
		m, err := firstMember(ctx, o)
		if err != nil {
			return err
		}
		if m != nil {
			defer func() { _ = m.Close(context.WithoutCancel(ctx)) }()
		}
	}
	client, err := dialStore(cfg, agent.Horizon{}, log)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	status, err := client.Health(ctx)
	if err != nil {
		return failure{err: fmt.Errorf("reach the store: %w", err), code: "STORE_UNAVAILABLE", exit: exitRefused,
			remedy: []string{"rule intent-first. Nothing was written."}}
	}
	txn, err := firstKeys(roster, reason, status.ClusterID)
	if err != nil {
		return err
	}
	res, err := client.Commit(ctx, txn)
	switch {
	case err != nil:
		return fmt.Errorf("write the first keys: %w", err)
	case !res.OK:
		return failure{err: errors.New("this store was set up before: it has an era"), code: "STORE_EXISTS", exit: exitRefused,
			remedy: []string{"Nothing was written. Another cluster or region needs its own cluster and region in the agent's file."}}
	}
	fmt.Fprintf(out, "store set up: era 1, %s on the roster of %s/%s\n", api.Counted(len(roster), "host"), cfg.Cluster, cfg.Region)
	return nil
}

// firstMember starts the member of this host, with which the store begins; nil
// when it runs already, in an agent. One that an earlier try set up is used.
func firstMember(ctx context.Context, o etcd.EmbedOptions) (*etcd.Member, error) {
	running, err := etcd.Answering(ctx, o)
	if err != nil {
		return nil, err
	}
	if slices.Contains(running, o.Name) {
		return nil, nil
	}
	m, err := etcd.Open(o)
	if errors.Is(err, etcd.ErrNoStore) {
		if len(running) > 0 {
			return nil, failure{err: fmt.Errorf("a store runs in %s", strings.Join(running, ", ")), code: "STORE_EXISTS", exit: exitRefused,
				remedy: []string{"Nothing was written. Start the agent of " + o.Name + ": it joins that store by itself."}}
		}
		return etcd.Bootstrap(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	return m.Await(ctx)
}

// firstKeys is the one transaction that sets a store up: it compares that no
// era stands.
func firstKeys(roster []cluster.Host, reason string, clusterID uint64) (store.Txn, error) {
	txn := store.Txn{Compare: []store.Compare{{Key: store.Era, On: store.Create, Rev: 0}}}
	put := func(key string, v any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode %s: %w", key, err)
		}
		txn.Put = append(txn.Put, store.Put{Key: key, Value: b})
		return nil
	}
	err := errors.Join(put(store.Era, lead.EraDoc{Era: 1, EtcdClusterID: store.EtcdCluster(clusterID)}), put(store.Level, lead.LevelNow))
	for _, h := range roster {
		h.By, h.Why = person(), reason
		err = errors.Join(err, put(store.Host(h.Name), h))
	}
	return txn, err
}
