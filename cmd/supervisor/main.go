// SPDX-License-Identifier: Apache-2.0

// Command supervisor watches Cassandra nodes, takes a failing one out of
// service and brings it back clean. One binary holds all verbs.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"supervisor/internal/api"
)

// Exit codes are a contract with scripts.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3
	exitUnknown = 4
)

// failure is an error as people see it: what happened, its code, and what to
// type next, one line each.
type failure struct {
	err    error
	code   string
	exit   int
	remedy []string
}

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns its exit code. Results go to
// stdout, everything else to stderr.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return 0
	}
	f := failure{code: "FAILED", exit: exitFailed}
	if !errors.As(err, &f) {
		f.err = err
	}
	if f.err != nil && f.code == "" {
		return f.exit // it was said already
	}
	word := "error"
	if f.exit == exitRefused {
		word = "refused"
	}
	code := fmt.Sprintf("%s, exit %d", f.code, f.exit)
	room := lineWidth - len(word) - len(code) - len(":  ")
	fmt.Fprintf(stderr, "%s: %-*s %s\n", word, room, strings.TrimSpace(err.Error()), code)
	for _, line := range f.remedy {
		fmt.Fprintln(stderr, "  "+line)
	}
	return f.exit
}

// lineWidth is the terminal that errors are laid out for.
const lineWidth = 100

// commandKnown refuses words that are no command, with what may be meant.
func commandKnown(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	f := failure{err: fmt.Errorf("unknown command %q", args[0]), code: "USAGE", exit: exitUsage}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		f.remedy = append(f.remedy, "did you mean "+strings.Join(near, ", ")+"?")
	}
	f.remedy = append(f.remedy, "see: "+c.CommandPath()+" --help")
	return f
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "supervisor",
		Short: "Takes a failing Cassandra node out of service and brings it back clean",
		Long: "Takes a failing Cassandra node out of service and brings it back clean.\n" +
			"Exit codes, except of check: 0 done, 1 failed, 2 usage, 3 refused by a guard, 4 not found, 5 no agent reached.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          commandKnown,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, err) })
	root.AddCommand(newVersion(), newDemo(), newAgentCommand(), newGateCommand(), newPortGuardCommand(), newStoreCommand(), newCertsCommand())
	root.AddCommand(newConfigCommand(), newPolicyCommand())
	root.AddCommand(newStatusCommand(), newCheckCommand(), newNodesCommand(), newNodeCommand(), newExplainCommand(),
		newModeCommand(), newPauseCommand(), newResumeCommand(), newFenceCommand(), newUnfenceCommand(), newRepairCommand(),
		newIncidentCommand(), newFindingCommand(), newPoolCommand(), newCompletionCommand())
	root.AddCommand(buildCommands()...)
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = topicKnown
	}
	return root
}

// usage is an error of whoever typed the command. A monitor that asks wrongly
// must not page: for check it is "not to be asked".
func usage(c *cobra.Command, err error) error {
	exit := exitUsage
	if c.CommandPath() == "supervisor check" {
		exit = api.Blind.Exit()
	}
	return failure{err: err, code: "USAGE", exit: exit, remedy: []string{"see: " + c.CommandPath() + " --help"}}
}

// noArgs refuses arguments, with the exit code of a usage error.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(c, fmt.Errorf("unknown argument %q", args[0]))
	}
	return nil
}

// topicKnown refuses help about what is no command.
func topicKnown(c *cobra.Command, args []string) error {
	if _, rest, err := c.Root().Find(args); err != nil || len(rest) > 0 {
		return usage(c.Root(), fmt.Errorf("unknown command %q", strings.Join(args, " ")))
	}
	return nil
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			fmt.Fprintf(c.OutOrStdout(), "supervisor %s, %s, %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// version is the revision the binary was built from, as Go recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, changed := info.Main.Version, ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changes"
		}
	}
	return revision + changed
}
