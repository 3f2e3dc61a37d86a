// SPDX-License-Identifier: Apache-2.0

//go:build real

package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo"
	"supervisor/internal/demo/agents"
)

// Byteman puts a delay into a running JVM.
const (
	byteman    = "org.jboss.byteman:byteman:4.0.23"
	bytemanJar = "byteman-4.0.23.jar"
	bytemanSum = "bf8d2b2a2e11b87eaa2da19ac95e85f0fb59712eb3ed2aea3eb1192d9c2c9a60"
)

// delayOnce waits between the first gossip of a node, which has tokens and no
// status, and its hibernation. In a start without it that takes 0.2 s, and a peer
// that gossips meanwhile takes the node for alive for good.
const delayOnce = `RULE hibernation comes late
CLASS org.apache.cassandra.service.StorageService
METHOD initServer
AFTER CALL prepareToJoin
BIND once = new java.io.File("%s")
IF once.delete()
DO delay(6000)
ENDRULE
`

// A hibernation that comes late is none: every peer sees the node UP. Nothing is
// repaired behind it; the process is ended and started again.
func TestADelayedHibernationIsSeenByItsPeers(t *testing.T) {
	base, err := os.MkdirTemp("", "run")
	if err != nil {
		t.Fatal(err)
	}
	dir, once, script := filepath.Join(base, "d"), filepath.Join(base, "once"), filepath.Join(base, "late.btm")
	jar := fetchByteman(t, base)
	t.Cleanup(func() {
		if err := demo.Down(context.WithoutCancel(t.Context()), dir, t.Failed()); err != nil {
			t.Error(err)
		}
		if !t.Failed() {
			_ = os.RemoveAll(base)
		}
	})
	o := Options{Scenario: Crash, Runs: 1, Binary: build(t), Line: func(ev api.Event) string { return ev.Sentence },
		Up: demo.Options{Dir: dir, Net: "127.0.36", Progress: demo.NewProgress(os.Stderr, demo.UpSteps)}}
	o.Up.Attach = agents.Attach(o.Binary, o.members())
	plan, err := demo.Up(t.Context(), o.Up)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStage(o, plan)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := os.WriteFile(script, fmt.Appendf(nil, delayOnce, once), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(once, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	withOptions(t, s, "-javaagent:"+jar+"=script:"+script)
	known, err := s.known(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := signal(syscall.SIGKILL, s.victim.PidFile()); err != nil {
		t.Fatal(err)
	}
	story := closed(t, s, known)
	if _, err := os.Stat(once); err == nil {
		t.Error("the hibernation was not delayed: this proves nothing")
	}
	codes := make([]string, len(story.Events))
	for i, ev := range story.Events {
		codes[i] = ev.Code
		t.Log(ev.TMS, ev.Sentence)
	}
	seen, repaired := slices.Index(codes, "saw_up"), slices.Index(codes, "did_repair")
	if seen < 0 || repaired < seen {
		t.Errorf("event %d says that a peer sees the sleeper UP, event %d is the first repair", seen, repaired)
	}
}

// withOptions has the victim's agent, and with it every Cassandra that it starts,
// run with more JVM options.
func withOptions(t *testing.T, s *stage, options string) {
	t.Helper()
	if err := s.stopAgent(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JAVA_TOOL_OPTIONS", options)
	defer os.Unsetenv("JAVA_TOOL_OPTIONS")
	if err := s.fleet.Start(s.victim); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.await(ctx, s.victim, func(st api.Status) bool { return leader(st) != "" && quiet(st) }); err != nil {
		t.Fatal(err)
	}
}

// closed is the story of the next incident when it is closed.
func closed(t *testing.T, s *stage, known map[string]bool) api.Timeline {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), healMax)
	defer cancel()
	var story api.Timeline
	for {
		if id, err := s.opened(ctx, known); err == nil && id != "" {
			if told, err := s.timeline(ctx, id); err == nil {
				story = told
			}
		}
		if story.Incident.Phase == incident.Closed {
			return story
		}
		if err := pause(ctx, lookEvery); err != nil {
			t.Fatalf("not closed: %s %s", story.Incident.Phase, story.Incident.Held)
		}
	}
}

// fetchByteman has Maven fetch the one archive, which is pinned like Cassandra's.
func fetchByteman(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command("mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy", "-Dartifact="+byteman, "-DoutputDirectory="+dir)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mvn: %v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, bytemanJar))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != bytemanSum {
		t.Fatalf("%s has checksum %x", bytemanJar, sum)
	}
	return filepath.Join(dir, bytemanJar)
}
