// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"syscall"

	"supervisor/internal/settings"
	"supervisor/isolate/hook"
)

// hookOf is the site's program that turns hosts off; user is whom it runs as.
func hookOf(p settings.Power, user int) (*hook.Hook, error) {
	return hook.New(hook.Options{Command: p.Command, SHA256: p.SHA256, OptionsFile: p.OptionsFile,
		Plugs: p.Plugs, Timeout: p.Timeout, User: user})
}

// powerOnThisHost says for what the agent would not run the program. It starts
// all the same, and tells.
func powerOnThisHost(a settings.Agent) (lines []string) {
	if a.Power == nil {
		return nil
	}
	h, err := hookOf(*a.Power, userOf(a.StateDir))
	if err == nil {
		err = h.Check()
	}
	if err == nil {
		return nil
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		lines = append(lines, "power."+line)
	}
	return lines
}

// userOf is the user that the agent runs as: its state is its own. Before there is
// any, whoever asks.
func userOf(stateDir string) int {
	info, err := os.Stat(stateDir)
	if err != nil {
		return os.Geteuid()
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return os.Geteuid()
}
