// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	var config, environment string
	c := &cobra.Command{
		Use:   "gate --config FILE",
		Short: "Decide how Cassandra may start on this host; runs before it",
		Long: "Writes the JVM options of its answer to gate.options_file, which the start command reads.\n" +
			"Exit 0: start. Exit 3: refused. Any other: the file does not say what the gate needs, the agent's state\n" +
			"may not be read by this user, or there is no place for the options; do not start, the options file is gone.\n" +
			"Works also without agent and store. With --environment it is an ExecStartPre= of Cassandra's unit, whose\n" +
			"EnvironmentFile= reads the answer; a host without FILE then starts as one that no supervisor watches.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if environment != "" {
				return unitGate(c, config, environment)
			}
			cfg, err := gateConfig(config, c.ErrOrStderr())
			if err == nil && cfg.Gate.OptionsFile == "" { // of a host with a unit, whose gate has --environment
				err = settings.ErrNoOptionsFile
			}
			// Before anything else: however this ends, the options of an earlier start
			// must not be those of this one.
			if gone := dropOptions(cfg.Gate.OptionsFile); err == nil && gone != nil {
				return gone
			}
			if err != nil {
				return inFile(err)
			}
			return answerGate(c, cfg, cfg.Gate.OptionsFile, lines)
		},
	}
	c.Flags().StringVar(&config, "config", "/etc/cassandra-supervisor/agent.yaml", "the agent's file")
	c.Flags().StringVar(&environment, "environment", "", "write the options there as a unit's environment, and not to gate.options_file")
	return c
}

// answerGate asks, says the answer aloud and leaves its options in path, as
// spell writes them.
func answerGate(c *cobra.Command, cfg settings.Agent, path string, spell func([]string) string) error {
	ans, err := askGate(c.Context(), cfg, c.ErrOrStderr())
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: %s (%s)\n", ans.Start, ans.Why, ans.Rule)
	if ans.Start == isolate.Refuse {
		return failure{err: errors.New(ans.Why), code: "GATE_REFUSED", exit: exitRefused,
			remedy: []string{"rule " + ans.Rule + ". Nothing was started."}}
	}
	return writeOptions(path, spell(isolate.Options(ans.Start)))
}

// gateConfig reads the agent's file, and of a file with faults what the gate
// needs: what keeps an agent from starting is no reason to keep Cassandra down.
// Beside an error stands what could be read.
func gateConfig(path string, warn io.Writer) (settings.Agent, error) {
	cfg, err := settings.ReadAgent(path)
	if err == nil {
		return cfg, nil
	}
	part, partial := settings.ReadGate(path)
	if errors.Is(partial, settings.ErrNoOptionsFile) {
		return part, noOptionsFile{errors.Join(partial, err), err}
	}
	if partial != nil {
		return part, err // which names what is missing here too
	}
	fmt.Fprintf(warn, "warning: %v\n", err)
	return part, nil
}

// noOptionsFile is a file with faults that says all that the gate needs but for
// where its answer goes.
type noOptionsFile struct {
	error
	faults error // of the file
}

// Unwrap lets the faults be told line by line.
func (e noOptionsFile) Unwrap() error { return e.error }

// gateEvery is how often an agent that says "wait" is asked again.
const gateEvery = 250 * time.Millisecond

// askGate follows the gate's lines: what this host knows by itself, then the
// agent, then the policy for an agent that does not answer. A state directory
// that takes no writes, a full disk perhaps, keeps no Cassandra from starting.
func askGate(ctx context.Context, cfg settings.Agent, warn io.Writer) (isolate.Answer, error) {
	disk, unwritable := agent.NewDisk(cfg.StateDir)
	local, err := disk.Local()
	if err != nil {
		fmt.Fprintf(warn, "warning: %v; the agent is asked\n", err)
	} else if ans, sure := isolate.AtOnce(local, time.Now()); sure {
		return noted(disk, local, ans, nil), nil
	}
	if asked, ok := askAgent(ctx, cfg); ok {
		return asked, nil
	}
	// What stands now, and not what stood before the agent was asked.
	ans, err := disk.Alone(time.Now())
	if err != nil {
		return stateUnread(cfg, err)
	}
	if !ans.Unasked() {
		unwritable = nil // nothing had to be written, or its own error tells
	}
	return noted(disk, local, ans, unwritable), nil
}

// noted leaves word of an answer that this host gave itself.
func noted(disk agent.Disk, local isolate.Local, ans isolate.Answer, unwritable error) isolate.Answer {
	if err := errors.Join(unwritable, disk.NoteAlone(ans, local)); err != nil {
		ans.Why += "; no word of it could be left: " + err.Error()
	}
	return ans
}

// stateUnread is for a local state that cannot be read and an agent that did
// not say how to start. There was a state, and it may be one that keeps the
// node from readers: nothing is started, and a person can. A user who may not
// read it is a fault of the installation and not of the node.
func stateUnread(cfg settings.Agent, err error) (isolate.Answer, error) {
	if errors.Is(err, fs.ErrPermission) {
		return isolate.Answer{}, failure{code: "STATE_UNREADABLE", exit: exitFailed,
			err: fmt.Errorf("the gate runs as uid %d and may not read the agent's state in %s, and no agent said how to start: %w", os.Geteuid(), cfg.StateDir, err),
			remedy: []string{"run the agent and whatever starts Cassandra, this gate with it, as the same user,",
				"and give " + cfg.StateDir + " to that user. Nothing was started."}}
	}
	return isolate.Answer{Start: isolate.Refuse, Rule: "state-unread", Why: fmt.Sprintf("no agent said how to start, and what this host knows of its node cannot be read: %v; "+
		"start the agent, or when you know that the node may be read from move state.json out of %s", err, cfg.StateDir)}, nil
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

// dropOptions takes the options of an earlier answer away.
func dropOptions(path string) error {
	if !filepath.IsAbs(path) {
		return nil // no earlier gate wrote there
	}
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&(fs.ModeDir|fs.ModeDevice|fs.ModeSocket|fs.ModeNamedPipe) != 0 {
		return fmt.Errorf("gate.options_file %s is no file", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take an earlier answer's options away: %w", err)
	}
	return nil
}

// lines is how gate.options_file holds options.
func lines(options []string) string {
	if len(options) == 0 {
		return ""
	}
	return strings.Join(options, "\n") + "\n"
}

// writeOptions puts the options file there as a whole, an empty one for an
// answer without options. The directory may be another user's: no name in it is
// known beforehand, so none can be a link laid there.
func writeOptions(path, text string) error {
	if path == "" {
		return errors.New("write the gate's options: gate.options_file is missing")
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.new")
	if err != nil {
		return fmt.Errorf("write the gate's options: %w", err)
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write the gate's options: %w", err)
	}
	return nil
}
