// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"supervisor/cluster"
	"supervisor/internal/api"
	"supervisor/internal/render"
	"supervisor/internal/trace"
)

// replays are the forms of a replay.
var replays = map[string]func(render.Page, trace.Replayed) (string, error){
	"table": func(p render.Page, x trace.Replayed) (string, error) { return render.Replay(p, x), nil },
	"json": func(_ render.Page, x trace.Replayed) (string, error) {
		b, err := json.Marshal(x)
		if err != nil {
			return "", fmt.Errorf("encode the replay: %w", err)
		}
		return asJSON(b, false)
	},
	"lines": func(_ render.Page, x trace.Replayed) (string, error) { return trace.Describe(x), nil },
}

// readRecording judges the recording in a file anew.
func readRecording(path, node string) (trace.Replayed, error) {
	f, err := os.Open(path)
	if err != nil {
		return trace.Replayed{}, fmt.Errorf("read the recording: %w", err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > trace.FileMax {
		return trace.Replayed{}, notReplayed(fmt.Errorf("%s has %d MiB, and no recording more than %d", path, info.Size()>>20, trace.FileMax>>20))
	}
	x, err := trace.Replay(f, cluster.Name(node))
	var unknown trace.UnknownNode
	switch {
	case errors.As(err, &unknown):
		var known []string
		for _, n := range unknown.Known {
			known = append(known, string(n))
		}
		return x, failure{err: fmt.Errorf("%s: %w", path, err), code: string(api.NodeUnknown), exit: exitUnknown, remedy: []string{"it knows " + strings.Join(known, ", ")}}
	case err != nil:
		return x, notReplayed(fmt.Errorf("%s: %w", path, err))
	}
	return x, nil
}

// notReplayed is a file that is no recording, or not a whole one.
func notReplayed(err error) error {
	return failure{err: err, code: "RECORDING_UNREADABLE", exit: exitFailed, remedy: []string{"make one on a control agent: supervisor explain NODE --record FILE"}}
}
