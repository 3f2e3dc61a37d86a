// SPDX-License-Identifier: Apache-2.0

//go:build !manpages

package main

import "github.com/spf13/cobra"

// buildCommands are those of a package's build; a host has none of them.
func buildCommands() []*cobra.Command { return nil }
