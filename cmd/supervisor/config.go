// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/internal/settings"
)

func newConfigCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "The agent's file on this host",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newConfigCheck())
	return c
}

func newConfigCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong in an agent's file, everything at once",
		Long: "Reads the file of `supervisor agent` and says every fault with its place and what would be right.\n" +
			"The files that it names are looked at too, and systemd is asked about cassandra.unit, so run it on the\n" +
			"host it is for. It changes nothing.",
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			a, err := settings.ReadAgent(args[0])
			if err != nil {
				return inFile(err)
			}
			if lines := onThisHost(c.Context(), a); len(lines) > 0 {
				return unfit(args[0], lines)
			}
			role, store := "observes and obeys", "external store"
			if a.IsControl() {
				role = "control agent"
			}
			if _, runs := a.Member(); runs {
				store = "member of the embedded store"
			} else if a.Store.Embedded != nil {
				store = "embedded store elsewhere"
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is in order: host %s of cluster %s in %s/%s/%s · %s · %s\n",
				args[0], a.Host.Name, a.Cluster, a.Region, a.Host.Datacenter, a.Host.Rack, role, store)
			var found []incident.Trouble
			if k := keeper(a); k != nil {
				found = certTroubles(k.State())
			}
			for _, k := range besides(a) {
				found = withMore(found, k.State())
			}
			for _, t := range found {
				t.Args["node"] = string(a.Host.Name)
				fmt.Fprintf(c.OutOrStdout(), "warning: %s (%s)\n", incident.Sentence(t.Code, t.Args), t.Code)
			}
			if a.Cassandra.Unit != "" {
				fmt.Fprintf(c.OutOrStdout(), "%s is loaded and the gate stands in front of it; whether polkit lets the agent's user start it cannot be asked, and shows with the first start\n", a.Cassandra.Unit)
			}
			return nil
		},
	}
}

// onThisHost says what the agent would end on when it starts, or could do nothing
// with. The gate does not need it: a wrong password file keeps no Cassandra from
// starting.
func onThisHost(ctx context.Context, a settings.Agent) (lines []string) {
	now := time.Now()
	lines = append(certLines("store.tls", a.Store.TLS, checkCertificates(a, now)), certLinesAbroad(a, now)...)
	lines = append(lines, doorLines(a, now)...)
	if a.Cassandra.Unit != "" {
		if err := checkUnit(ctx, a.Cassandra); err != nil {
			lines = append(lines, "cassandra.unit: "+err.Error())
		}
	}
	if file := a.Cassandra.CredentialsFile; file != "" {
		if _, err := cassandra.ReadCredentials(file); err != nil {
			lines = append(lines, "cassandra.credentials_file: "+err.Error())
		}
	}
	if a.API.Group != "" {
		_, notNumber := strconv.Atoi(a.API.Group)
		if _, err := user.LookupGroup(a.API.Group); err != nil && notNumber != nil {
			lines = append(lines, fmt.Sprintf("api.group: there is no group %q on this host", a.API.Group))
		}
	}
	return append(lines, powerOnThisHost(a)...)
}

// unfit is a file that is in order by itself and not on this host.
func unfit(file string, lines []string) error {
	return failure{err: fmt.Errorf("%s does not fit this host; nothing was started", file), code: "CONFIG_INVALID", exit: exitUsage, remedy: lines}
}

// checkUnit asks systemd about the unit.
func checkUnit(ctx context.Context, c settings.Cassandra) error {
	u, err := systemdUnit(c)
	if err != nil {
		return err
	}
	defer u.Close()
	return u.Check(ctx)
}

// oneFile demands exactly one argument.
func oneFile(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(c, fmt.Errorf("one FILE is wanted, %d given", len(args)))
	}
	return nil
}

// inFile is an error of whoever wrote a document: each fault is one line.
func inFile(err error) error {
	f := failure{err: err, code: "CONFIG_UNREADABLE", exit: exitUsage}
	var faults settings.Faults
	if errors.As(err, &faults) {
		f.err, f.code, f.remedy = errors.New(faults.Headline()), "CONFIG_INVALID", faults.Lines()
	}
	return f
}
