// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/internal/agent"
	"supervisor/internal/etcd"
	"supervisor/internal/settings"
)

func newStoreReplaceMember() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:   "replace-member NAME --config FILE",
		Short: "Take a lost member off the embedded store, so that an empty one may join",
		Long: "For a control agent whose store directory was lost. Run it where the file names the store; the\n" +
			"other members must be a majority. The agent of NAME then joins by itself, from an empty directory.\n" +
			"Refuses a member that answers.",
		Args: oneArg("the name of a control agent"),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := settings.ReadAgent(config)
			if err != nil {
				return inFile(err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
			defer cancel()
			return replaceMember(ctx, cfg, cluster.Name(args[0]), c.OutOrStdout())
		},
	}
	configFlag(c, &config)
	return c
}

func replaceMember(ctx context.Context, cfg settings.Agent, name cluster.Name, out io.Writer) error {
	if cfg.Store.Embedded == nil {
		return failure{err: errors.New("the agent's file names a store of the site's own"), code: "STORE_EXTERNAL", exit: exitRefused,
			remedy: []string{"Nothing was changed. Replace its member with the means of etcd."}}
	}
	client, err := dialStore(cfg, agent.Horizon{}, zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	switch err := client.RemoveMember(ctx, string(name)); {
	case errors.Is(err, etcd.ErrNoMember):
		return failure{err: err, code: "NOT_FOUND", exit: exitUnknown}
	case errors.Is(err, etcd.ErrMemberAnswers):
		return failure{err: err, code: "STORE_MEMBER_ANSWERS", exit: exitRefused,
			remedy: []string{"Nothing was changed. If it is to be replaced all the same, stop its agent first."}}
	case errors.Is(err, etcd.ErrLastMember):
		return failure{err: err, code: "STORE_LAST_MEMBER", exit: exitRefused, remedy: []string{"Nothing was changed. A store without members is no store."}}
	case err != nil:
		return failure{err: err, code: "STORE_UNAVAILABLE", exit: exitRefused,
			remedy: []string{"Nothing was changed. The members that are left must be a majority, and answer."}}
	}
	fmt.Fprintf(out, "%s is off the store. Its agent joins again by itself once its store directory is empty.\n", name)
	return nil
}

func newStoreBackup() *cobra.Command {
	var config, file string
	c := &cobra.Command{
		Use:   "backup --to FILE --config FILE",
		Short: "Write a snapshot of the store to a file",
		Long: "The file holds records, journal, policy and roster as one member has them. It is written whole or\n" +
			"not at all, for its owner only, and never over another one.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				return usage(c, errors.New("--to is missing"))
			}
			cfg, err := settings.ReadAgent(config)
			if err != nil {
				return inFile(err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), backupMax)
			defer cancel()
			return backup(ctx, cfg, file, c.OutOrStdout())
		},
	}
	configFlag(c, &config)
	c.Flags().StringVar(&file, "to", "", "the file to write")
	return c
}

// backupMax is for the largest store, 512 MiB, over a slow line.
const backupMax = 10 * time.Minute

func backup(ctx context.Context, cfg settings.Agent, file string, out io.Writer) error {
	client, err := dialStore(cfg, agent.Horizon{}, zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	status, err := client.Health(ctx)
	if err != nil {
		return failure{err: fmt.Errorf("reach the store: %w", err), code: "STORE_UNAVAILABLE", exit: exitFailed,
			remedy: []string{"Nothing was written."}}
	}
	size, err := writeWhole(file, func(w io.Writer) (int64, error) { return client.Backup(ctx, w) })
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d bytes, the store of %s/%s at revision %d or later\n", file, size, cfg.Cluster, cfg.Region, status.Revision)
	return nil
}

// writeWhole gives a file its name only when it is whole and on the disk, and
// leaves one that is there alone.
func writeWhole(file string, write func(io.Writer) (int64, error)) (size int64, err error) {
	if _, err := os.Lstat(file); err == nil {
		return 0, fmt.Errorf("%s is there already; nothing was written", file)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".backup-*")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if size, err = write(f); err != nil {
		return 0, err
	}
	if err = f.Sync(); err != nil {
		return 0, err
	}
	if err = os.Link(f.Name(), file); err != nil { // refuses one that came meanwhile
		return 0, err
	}
	return size, errors.Join(f.Close(), os.Remove(f.Name()))
}
