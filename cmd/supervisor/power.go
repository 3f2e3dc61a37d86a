// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"

	"supervisor/cluster"
	"supervisor/internal/agent"
	"supervisor/internal/settings"
	"supervisor/isolate/hook"
)

// power is the site's hook as the agent asks it.
type power struct{ *hook.Hook }

// powerOf is the hook that the agent's file names; nil: none.
func powerOf(p *settings.Power) (agent.Power, error) {
	if p == nil {
		return nil, nil
	}
	h, err := hookOf(*p, os.Geteuid())
	if err != nil {
		return nil, err
	}
	return power{h}, nil
}

func (p power) Off(ctx context.Context, n cluster.Name) error { return ofHook(p.Hook.Off(ctx, n)) }

func (p power) Status(ctx context.Context, n cluster.Name) (off bool, err error) {
	s, err := p.Hook.Status(ctx, n)
	return s == hook.Off, ofHook(err)
}

// ofHook tells the agent which errors mean that nothing was begun.
func ofHook(err error) error {
	if errors.Is(err, hook.ErrRefused) {
		return notRun{err}
	}
	return err
}

type notRun struct{ error }

func (notRun) Is(target error) bool { return target == agent.ErrNotRun }

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
