// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"supervisor/internal/api"
	"supervisor/internal/render"
	"supervisor/internal/trace"
)

// explaining is what explain is asked for.
type explaining struct {
	asking
	record string // the file that the recording is written to
	replay string // the file that is judged anew
}

func newExplainCommand() *cobra.Command {
	var x explaining
	c := &cobra.Command{
		Use:   "explain NODE|INCIDENT",
		Short: "Say why something is done or not done, and what would change it",
		Long: "Say why something is done or not done, and what would change it.\n" +
			"With --record FILE also write what the agent's judge was told in the last hour, of all nodes.\n" +
			"With --replay FILE judge such a file anew, without any agent, and tell every change of a verdict: of NODE, or of all.",
		RunE: func(c *cobra.Command, args []string) error { return x.run(c, args) },
	}
	c.ValidArgsFunction = completing(&x.asking, "/v1/nodes", nodeNames)
	x.flags(c, true)
	c.Flags().StringVar(&x.record, "record", "", "write the judge's recording to this new file, for --replay")
	c.Flags().StringVar(&x.replay, "replay", "", "judge this recording anew; -o table, json, lines (one a change)")
	return c
}

func (x explaining) run(c *cobra.Command, args []string) error {
	if x.replay != "" {
		return x.judgeAnew(c, args)
	}
	if err := oneArg("NODE or INCIDENT")(c, args); err != nil {
		return err
	}
	if x.record != "" && x.watch {
		return usage(c, errors.New("--record writes one file, and does not go with --watch"))
	}
	err := show(c, x.asking, api.Path("v1", "explain", args[0]),
		answer[api.Explanation]{draw: render.Explain, names: func(x api.Explanation) []string { return []string{string(x.Node)} }})
	if err != nil || x.record == "" {
		return err
	}
	return x.write(c)
}

// write puts the recording into a new file for its owner alone. The agent gives
// the bytes and is told no path.
func (x explaining) write(c *cobra.Command) error {
	ctx, cancel := context.WithTimeout(c.Context(), answerLimit)
	defer cancel()
	client, err := x.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	raw, err := client.Recording(ctx)
	if err != nil {
		return asFailure(err)
	}
	file, err := trace.Open(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("what the agent on %s gave is no recording of this version: %w", x.socket, err)
	}
	if err := writeNew(x.record, raw, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "recorded: %s of %s's judge, %d KiB; see: supervisor explain --replay %s\n",
		api.Counted(file.Header.Turns, "turn"), file.Header.Agent, (len(raw)+1023)>>10, x.record)
	return nil
}

// judgeAnew replays a recording.
func (x explaining) judgeAnew(c *cobra.Command, args []string) error {
	switch {
	case len(args) > 1:
		return usage(c, fmt.Errorf("one NODE at most is wanted with --replay, %d given", len(args)))
	case x.record != "" || x.watch:
		return usage(c, errors.New("--replay asks no agent, and goes with neither --record nor --watch"))
	}
	draw, known := replays[x.output]
	if !known {
		return usage(c, fmt.Errorf("output %q is not known of a replay; known: table, json, lines", x.output))
	}
	replayed, err := readRecording(x.replay, append(args, "")[0])
	if err != nil {
		return err
	}
	page, _ := pageOf(c.OutOrStdout())
	text, err := draw(page, replayed)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(c.OutOrStdout(), text)
	return err
}
