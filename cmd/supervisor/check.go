// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
)

func newCheckCommand() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "check",
		Short: "One line and an exit code, for monitors",
		Long: "Exit codes: 0 healthy, 1 degraded, 2 needs you, 3 blind, or no agent could be asked that knows.\n" +
			"An agent that does not judge sees open incidents and no nodes: where it knows of nothing, ask a control agent.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return check(c, a) },
	}
	return a.socketFlag(c)
}

// check prints its line on stdout whatever it finds: monitors read only that.
func check(c *cobra.Command, a asking) error {
	state, line := checked(c, a)
	fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", render.StateWord(state), line)
	if state.Exit() == 0 {
		return nil
	}
	return failure{err: errors.New(line), exit: state.Exit()} // without a code: it is said already
}

func checked(c *cobra.Command, a asking) (api.State, string) {
	ctx, cancel := context.WithTimeout(c.Context(), answerLimit)
	defer cancel()
	client, err := a.client(c)
	if err != nil {
		return api.Blind, err.Error()
	}
	defer client.Close()
	raw, err := client.Get(ctx, "/v1/status")
	if err != nil {
		return api.Blind, err.Error()
	}
	e, err := api.Decode[api.Status](raw)
	if err != nil {
		return api.Blind, err.Error()
	}
	line := byTheClock().Times(api.Check(e.Data))
	for _, m := range e.Missing {
		line += " · missing " + m
	}
	return api.CheckState(e), line
}
