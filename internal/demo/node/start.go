// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"supervisor/internal/demo/process"
)

// Refused says that the gate does not let the node start; Reason is what it
// printed.
type Refused struct {
	Node, Reason string
}

// Error quotes the gate.
func (r Refused) Error() string { return "the gate refuses to start " + r.Node + ": " + r.Reason }

// gateRefuses is the gate's exit code for a refusal; every other code but 0
// means that it could not answer.
const gateRefuses = 3

// Start asks the gate when the node has an agent's configuration, then
// starts Cassandra in a session of its own, writes its pid file and returns
// at once: readiness is somebody else's to wait for. gate is the binary that
// has the verb "gate"; what it prints goes to out too. Errors: Refused,
// process.ErrRunning, or what went wrong; then nothing was started.
func Start(ctx context.Context, n Node, gate string, out io.Writer) (process.ID, error) {
	if old, err := process.Read(n.PidFile()); err == nil && old.Alive() {
		return old, fmt.Errorf("start %s: pid %d: %w", n.Name, old.PID, process.ErrRunning)
	}
	extra, err := ask(ctx, n, gate, out)
	if err != nil {
		return process.ID{}, err
	}
	argv := Argv(n, extra)
	if err := os.WriteFile(n.ArgvFile(), []byte(strings.Join(argv, "\n")+"\n"), 0o644); err != nil {
		return process.ID{}, fmt.Errorf("start %s: %w", n.Name, err)
	}
	return process.Start(process.Spec{Argv: argv, Dir: n.Dir, Log: n.Output(), PidFile: n.PidFile()})
}

// ask returns the JVM options of the gate's answer. Options of an earlier
// answer are removed first: they must not outlive it.
func ask(ctx context.Context, n Node, gate string, out io.Writer) ([]string, error) {
	if err := os.Remove(n.OptionsFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("start %s: %w", n.Name, err)
	}
	if _, err := os.Stat(n.AgentConfig()); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var said strings.Builder
	cmd := exec.CommandContext(ctx, gate, "gate", "--config", n.AgentConfig())
	both := io.MultiWriter(out, &said)
	cmd.Stdout, cmd.Stderr = both, both
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == gateRefuses:
		return nil, Refused{Node: n.Name, Reason: strings.TrimSpace(said.String())}
	case err != nil:
		return nil, fmt.Errorf("ask the gate of %s: %w", n.Name, err)
	}
	return readOptions(n.OptionsFile())
}

// readOptions reads one JVM option a line; no file means no options.
func readOptions(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the gate's options: %w", err)
	}
	var options []string
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case !strings.HasPrefix(line, "-"):
			return nil, fmt.Errorf("%s holds %q, want JVM options, one a line", path, line)
		default:
			options = append(options, line)
		}
	}
	return options, nil
}
