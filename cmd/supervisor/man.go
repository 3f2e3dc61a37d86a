// SPDX-License-Identifier: Apache-2.0

//go:build manpages

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// buildCommands are there only while a package is built: what writes man pages
// is three libraries that a host has no use for.
func buildCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:    "man DIRECTORY",
		Short:  "Write the man pages of every command",
		Args:   oneArg("DIRECTORY"),
		Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("write man pages: %w", err)
			}
			// The date is that of SOURCE_DATE_EPOCH, so that a package can be built twice.
			head := &doc.GenManHeader{Section: "1", Source: "cassandra-supervisor", Manual: "Cassandra supervisor"}
			c.Root().DisableAutoGenTag = true
			if err := doc.GenManTree(c.Root(), head, args[0]); err != nil {
				return fmt.Errorf("write man pages: %w", err)
			}
			return nil
		},
	}}
}
