// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"supervisor/internal/demo"
	"supervisor/internal/demo/agents"
	"supervisor/internal/demo/jars"
	"supervisor/internal/demo/node"
	"supervisor/internal/demo/process"
)

func newDemo() *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "A small real cluster on this machine, to break and to measure",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newDemoRun(), newDemoRepair(), newDemoDetect(), newDemoUp(), newDemoDown(), newDemoNodeStart(), newDemoProxyStart(), newDemoAgentStart(), newDemoLAN())
	return c
}

func newDemoUp() *cobra.Command {
	var (
		o       demo.Options
		members int
	)
	c := &cobra.Command{
		Use:   "up --dir D",
		Short: "Start three nodes and a proxy, describe them in D/demo.json, and return",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			if members != 1 && members != 3 {
				return usage(c, fmt.Errorf("--store-members %d: 1, or 3 for a store that outlives one of them", members))
			}
			o.Progress = demo.NewProgress(c.ErrOrStderr(), demo.UpSteps)
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			o.Attach = agents.Attach(self, members)
			p, err := demo.Up(ctx, o)
			o.Progress.End()
			if err != nil {
				return upFailure(ctx, o, err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s/demo.json\n", p.Dir)
			fmt.Fprintf(c.ErrOrStderr(), "to ask its agents:  export SUPERVISOR_SOCKET=%s\nto end it:          supervisor demo down --dir %s\n",
				agents.Socket(p.Nodes[0]), p.Dir)
			return nil
		},
	}
	c.Flags().StringVar(&o.Dir, "dir", "", "folder that gets all files; empty or absent")
	c.Flags().IntVar(&members, "store-members", 1, "agents that run a member of the store: 1 or 3")
	c.Flags().StringVar(&o.Net, "net", "127.0.0", "loopback network whose addresses .1 to .3 the nodes take")
	return requireFlag(c, "dir")
}

// upFailure says what to type next.
func upFailure(ctx context.Context, o demo.Options, err error) error {
	f := failure{err: err, code: "DEMO_FAILED", exit: exitFailed}
	var (
		missing demo.Missing
		taken   demo.Taken
		damaged jars.Damaged
		failed  demo.Failed
	)
	down := fmt.Sprintf("end and remove it: supervisor demo down --dir %s", o.Dir)
	switch {
	case ctx.Err() != nil:
		f.err, f.code, f.remedy = errors.New("interrupted"), "INTERRUPTED", []string{"all processes were ended, all files removed"}
	case errors.As(err, &missing):
		f.code, f.remedy = "TOOL_MISSING", []string{missing.Remedy()}
	case errors.As(err, &taken):
		f.code, f.remedy = "PORT_TAKEN", []string{"choose other addresses: --net 127.0.7"}
	case errors.Is(err, demo.ErrNetwork):
		f.code, f.exit = "USAGE", exitUsage
	case errors.As(err, &damaged):
		f.code = "JAR_DAMAGED"
	case errors.Is(err, demo.ErrNotOurs):
		f.code, f.exit, f.remedy = "FOLDER_NOT_EMPTY", exitRefused, []string{"nothing was touched; choose another folder"}
	case errors.Is(err, demo.ErrInUse):
		f.code, f.exit, f.remedy = "DEMO_EXISTS", exitRefused, []string{"nothing was touched", down}
	case errors.As(err, &failed):
		f.code, f.remedy = "NODE_FAILED", []string{"all processes were ended; why: " + failed.Log, down}
	default:
		f.remedy = []string{"no process was left behind"}
	}
	return f
}

func newDemoDown() *cobra.Command {
	var dir string
	var keep bool
	c := &cobra.Command{
		Use:   "down --dir D",
		Short: "End all processes of the demo in D and remove what it made",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			err := demo.Down(context.WithoutCancel(c.Context()), dir, keep)
			if errors.Is(err, demo.ErrNoDemo) {
				return failure{err: err, code: "NO_DEMO", exit: exitRefused, remedy: []string{"nothing was touched"}}
			}
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the demo")
	c.Flags().BoolVar(&keep, "keep", false, "keep the files, for reading logs")
	return requireFlag(c, "dir")
}

// newDemoNodeStart is the command by which agents start a node of a demo. Its
// exit codes: 0 started, 3 the gate refused, 1 anything else; then nothing
// was started.
func newDemoNodeStart() *cobra.Command {
	var dir, name string
	c := &cobra.Command{
		Use:    "node-start --dir D --node NAME",
		Short:  "Ask the gate, start one node of a demo, write its pid file, and return",
		Hidden: true,
		Args:   noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, n, self, err := demoNode(c, dir, name)
			if err != nil {
				return err
			}
			id, err := node.Start(c.Context(), n, self, c.ErrOrStderr())
			var refused node.Refused
			switch {
			case errors.As(err, &refused):
				return failure{err: err, code: "GATE_REFUSED", exit: exitRefused}
			case errors.Is(err, process.ErrRunning):
				return failure{err: err, code: "NODE_RUNNING", exit: exitFailed}
			case err != nil:
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s started, pid %d\n", n.Name, id.PID)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the demo")
	c.Flags().StringVar(&name, "node", "", "the node's name")
	return requireFlag(c, "dir", "node")
}

// newDemoProxyStart starts the proxy after somebody ended it, as its unit would.
func newDemoProxyStart() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:    "proxy-start --dir D",
		Short:  "Start the proxy of a demo again; it knows nothing then but its file",
		Hidden: true,
		Args:   noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := demo.Load(dir)
			if err != nil {
				return err
			}
			return p.StartProxy(c.Context())
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the demo")
	return requireFlag(c, "dir")
}

// demoNode finds a node of the demo in dir, and the path of this program.
func demoNode(c *cobra.Command, dir, name string) (p demo.Plan, n node.Node, self string, err error) {
	if p, err = demo.Load(dir); err != nil {
		return p, n, "", err
	}
	if n, err = p.Node(name); err != nil {
		return p, n, "", usage(c, err)
	}
	if self, err = os.Executable(); err != nil {
		return p, n, "", fmt.Errorf("find this program: %w", err)
	}
	return p, n, self, nil
}

// requireFlag makes flags obligatory, with the exit code of a usage error.
func requireFlag(c *cobra.Command, names ...string) *cobra.Command {
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		for _, name := range names {
			if c.Flag(name).Value.String() == "" {
				return usage(c, fmt.Errorf("--%s is missing", name))
			}
		}
		return nil
	}
	return c
}
