// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
)

func newPolicyAudit() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "audit",
		Short: "Compare the policy that stands with where data is",
		Long: "Compares the policy with the replication of every keyspace, with the datacenters in the ring, and with\n" +
			"what every agent tells of its own Cassandra: bytes on disk, coordinated writes and clients, hints, traces,\n" +
			"the batchlog, snapshots, CDC. It moves and deletes nothing, and reads no row. What could not be read is\n" +
			"listed and never counted as fine.\n" +
			"Exit codes: 0 nothing is forbidden and everything was read, 1 something was not read, 3 something is forbidden,\n" +
			"4 there is no policy, 5 no agent reached.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return audit(c, a) },
	}
	return a.flags(c, false)
}

func audit(c *cobra.Command, a asking) error {
	if !slices.Contains(outputs, a.output) {
		return usage(c, fmt.Errorf("output %q is not known; known: %s", a.output, strings.Join(outputs, ", ")))
	}
	client, err := a.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(c.Context(), answerLimit)
	defer cancel()
	raw, err := client.Get(ctx, "/v1/audit")
	if err != nil {
		return asFailure(err)
	}
	e, err := api.Decode[api.Audit](raw)
	if err != nil {
		return asFailure(err)
	}
	page, _ := pageOf(c.OutOrStdout())
	text, err := drawn(raw, a, page, answer[api.Audit]{draw: render.Audit, names: auditNames})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(c.OutOrStdout(), text); err != nil {
		return err
	}
	return audited(e)
}

// audited is the exit code: the answer itself stands on stdout.
func audited(e api.Envelope[api.Audit]) error {
	switch x := e.Data; {
	case x.Forbidden > 0:
		return failure{err: fmt.Errorf("%d forbidden", x.Forbidden), exit: exitRefused}
	case e.Partial || !x.Whole():
		return failure{err: fmt.Errorf("%d of %s were read, nothing forbidden was seen", x.Read, api.Counted(x.Nodes, "node")), code: "AUDIT_PARTIAL", exit: exitFailed,
			remedy: []string{"what is not read is not fine; a control agent reads all regions: supervisor nodes"}}
	}
	return nil
}

// auditNames are one line for each finding.
func auditNames(a api.Audit) []string {
	out := make([]string, len(a.Findings))
	for i, f := range a.Findings {
		out[i] = f.Code + " " + f.Where
	}
	return out
}
