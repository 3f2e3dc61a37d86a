// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"supervisor/internal/agent"
	"supervisor/internal/api"
	"supervisor/internal/settings"
	"supervisor/isolate"
)

func newGateCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:   "gate --config FILE",
		Short: "Decide how Cassandra may start on this host; runs before it",
		Long: "Writes the JVM options of its answer to gate.options_file, which the start command reads.\n" +
			"Exit 0: start. Exit 3: refused. Any other: the file does not say what the gate needs, or there is no place\n" +
			"for the options; do not start.\n" +
			"Works also without agent and store.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := gateConfig(config, c.ErrOrStderr())
			if err != nil {
				return inFile(err)
			}
			ans := askGate(c.Context(), cfg)
			fmt.Fprintf(c.OutOrStdout(), "%s: %s (%s)\n", ans.Start, ans.Why, ans.Rule)
			if ans.Start == isolate.Refuse {
				_ = writeOptions(cfg.Gate.OptionsFile, ans.Start) // those of an earlier start must not stay
				return failure{err: errors.New(ans.Why), code: "GATE_REFUSED", exit: exitRefused,
					remedy: []string{"rule " + ans.Rule + ". Nothing was started."}}
			}
			return writeOptions(cfg.Gate.OptionsFile, ans.Start)
		},
	}
	c.Flags().StringVar(&config, "config", "/etc/cassandra-supervisor/agent.yaml", "the agent's file")
	return c
}

// gateConfig reads the agent's file, and of a file with faults what the gate
// needs: what keeps an agent from starting is no reason to keep Cassandra down.
func gateConfig(path string, warn io.Writer) (settings.Agent, error) {
	cfg, err := settings.ReadAgent(path)
	if err == nil {
		return cfg, nil
	}
	part, partial := settings.ReadGate(path)
	if partial != nil {
		return settings.Agent{}, err
	}
	fmt.Fprintf(warn, "warning: %v\n", err)
	return part, nil
}

// gateEvery is how often an agent that says "wait" is asked again.
const gateEvery = 250 * time.Millisecond

// askGate follows the gate's lines: what this host knows by itself, then the
// agent, then the policy for an agent that does not answer. A state directory
// that takes no writes, a full disk perhaps, keeps no Cassandra from starting.
func askGate(ctx context.Context, cfg settings.Agent) isolate.Answer {
	disk, unwritable := agent.NewDisk(cfg.StateDir)
	local, err := disk.Local()
	if err != nil {
		// A local state that cannot be read may be one that says Hibernate.
		return isolate.Answer{Start: isolate.Hibernate, Rule: "returning", Why: "the local state cannot be read: " + err.Error()}
	}
	ans, alone := isolate.BeforeAsking(local, time.Now())
	if alone && ans.Rule != "clean-drain" {
		return ans
	}
	if asked, ok := askAgent(ctx, cfg); ok {
		return asked
	}
	if alone {
		local.Clean = false // consumed: the next stop must earn its own
		if disk.SaveLocal(local) == nil {
			return ans // a marker that cannot be used up is none
		}
	}
	unasked := isolate.Unasked(local.Unasked)
	if err := errors.Join(unwritable, disk.NoteUnasked(unasked.Why)); err != nil {
		unasked.Why += "; no word of it could be left: " + err.Error()
	}
	return unasked
}

// askAgent asks until the agent says how to start, or the gate's time is over.
func askAgent(ctx context.Context, cfg settings.Agent) (isolate.Answer, bool) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Gate.Timeout)
	defer cancel()
	client := api.NewClient(cfg.API.Socket)
	began := time.Now()
	for ctx.Err() == nil {
		ans, err := client.Gate(ctx, api.GateQuestion{Node: cfg.Host.Name, Waited: time.Since(began)})
		if err == nil && ans.Start != isolate.Wait && ans.Start != isolate.StartUnknown {
			return ans, true
		}
		select {
		case <-ctx.Done():
		case <-time.After(gateEvery):
		}
	}
	return isolate.Answer{}, false
}

// writeOptions replaces the options file as a whole. An empty answer writes an
// empty file: options of an earlier start must never be read again.
func writeOptions(path string, s isolate.Start) error {
	if path == "" {
		return nil
	}
	text := strings.Join(isolate.Options(s), "\n")
	if text != "" {
		text += "\n"
	}
	fresh := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(fresh, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the gate's options: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("write the gate's options: %w", err)
	}
	return nil
}
