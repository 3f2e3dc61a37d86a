// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/trace"
	"supervisor/membership"
)

var record = flag.String("record", "", "write the recording of TestARecordingOfAnAgentReplays to this file: an example for internal/trace/testdata")

func (h *run) recording() (trace.Recording, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return h.agent.Recording(ctx)
}

// What an agent's judge said of a crash and of its end, it says again of the
// recording.
func TestARecordingOfAnAgentReplays(t *testing.T) {
	inRegion(t, incident.Observe, func(r *region) {
		r.crash("n3")
		r.wait("an incident", 10*time.Second, func() bool { _, open := r.open(); return open })
		time.Sleep(16 * time.Second) // of the bubble: the evidence becomes old enough for a fence
		x, err := r.host("n1").recording()
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if _, err := x.WriteTo(&file); err != nil {
			t.Fatal(err)
		}
		if *record != "" {
			if err := os.WriteFile(*record, file.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if whole, err := trace.Open(bytes.NewReader(file.Bytes())); err != nil || whole.Start.Began != 0 {
			t.Errorf("it begins with a judge of %+v, not with one that knows nothing: %v", whole.Start, err)
		}
		got, err := trace.Replay(bytes.NewReader(file.Bytes()), "n3")
		if err != nil {
			t.Fatal(err)
		}
		if got.Agent != "n1" || got.Version != "test" || len(got.Differ) > 0 || !slices.Equal(got.Nodes, names) {
			t.Errorf("%+v", got)
		}
		if apart := got.Until.Sub(time.Now()).Abs(); apart > 2*time.Second {
			t.Errorf("the last turn is said to be of %v", got.Until)
		}
		now, said := r.host("n1").snapshot().World.View.Verdicts["n3"], got.Events[len(got.Events)-1]
		if said.Standing != trace.StandingOf(now) || now.Answer != membership.Gone || !said.Drain {
			t.Errorf("replayed %s\njudged %+v", said, now)
		}
	})
}

func TestAnAgentThatDoesNotJudgeRecordsNothing(t *testing.T) {
	inRegion(t, incident.Observe, func(r *region) {
		r.halt("n3", true)
		h := r.start("n3", func(o *Options) { o.Control = []cluster.Name{"n1", "n2"} })
		if _, err := h.recording(); !errors.Is(err, api.ErrNoRecording) {
			t.Errorf("got %v", err)
		}
	})
}
