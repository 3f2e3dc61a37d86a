// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"supervisor/cluster"
	"supervisor/internal/settings"
)

// newPolicyCommand holds the verbs about the one policy document.
func newPolicyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "The one document that judging, deciding and the gate go by",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newPolicyInit(), newPolicyCheck(), newPolicyApply(), newPolicyShow(), newPolicyAudit())
	return c
}

func newPolicyInit() *cobra.Command {
	var hostsFile, out string
	var strict bool
	c := &cobra.Command{
		Use:   "init [--hosts FILE] [-o FILE]",
		Short: "Write a first policy with every default spelled out",
		Long: "Writes a first policy in mode assist. One open rule permits every keyspace in every region that\n" +
			"is named; with --strict there is no rule, and no keyspace moves until you write one.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			hosts, err := rosterFile(hostsFile)
			if err != nil {
				return err
			}
			text := settings.InitPolicy(hosts, nil, strict)
			if out == "" {
				_, err := c.OutOrStdout().Write(text)
				return err
			}
			if err := writeNew(out, text, 0o644); err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "%s written; edit it, then: supervisor policy check %s\n", out, out)
			return nil
		},
	}
	c.Flags().BoolVar(&strict, "strict", false, "write no residency rule: what is not named is refused")
	c.Flags().StringVar(&hostsFile, "hosts", "", "roster to take regions and datacenters from")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write; it must not exist (default: standard output)")
	return c
}

// rosterFile reads a roster; without one there are no hosts.
func rosterFile(path string) ([]cluster.Host, error) {
	if path == "" {
		return nil, nil
	}
	hosts, err := settings.ReadHosts(path)
	if err != nil {
		return nil, inFile(err)
	}
	return hosts, nil
}

// writeNew writes a file, and never over another one; half of one does not stay.
func writeNew(path string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, fs.ErrExist) {
		return failure{err: fmt.Errorf("%s exists", path), code: "FILE_EXISTS", exit: exitRefused,
			remedy: []string{"nothing was written; choose another name"}}
	}
	if err != nil {
		return fmt.Errorf("write a new file: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write a new file: %w", err), os.Remove(path))
	}
	return nil
}
