// SPDX-License-Identifier: Apache-2.0

//go:build real

package run

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supervisor/internal/api"
	"supervisor/internal/demo"
)

// build makes the program that a demo runs.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "supervisor")
	cmd := exec.Command("go", "build", "-tags", "grpcnotrace", "-o", binary, "supervisor/cmd/supervisor")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// The demo on real processes, each scenario; the hang with a leader's agent that
// is killed in the middle. Numbers are checked for sense
// and not for speed: what else runs on the machine is not known here.
func TestNodeComesBackClean(t *testing.T) {
	binary := build(t)
	for scenario, network := range map[Scenario]string{Crash: "127.0.32", Outage: "127.0.33", Hang: "127.0.35"} {
		t.Run(string(scenario), func(t *testing.T) {
			base, err := os.MkdirTemp("", "run") // short: sockets are in there
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(base, "d")
			t.Cleanup(func() {
				if err := demo.Down(context.WithoutCancel(t.Context()), dir, t.Failed()); err != nil {
					t.Error(err)
				}
				if left := leftovers(t, dir); len(left) > 0 {
					t.Errorf("processes left behind: %v", left)
				}
				_ = os.Remove(base)
			})
			o := Options{Scenario: scenario, Runs: 1, Binary: binary, KillLeader: scenario == Hang,
				Line: func(ev api.Event) string { return ev.At + " " + string(ev.Kind) + " " + ev.Sentence + "\n" },
				Up:   demo.Options{Dir: dir, Net: network, Progress: demo.NewProgress(os.Stderr, Steps(1))}}
			var results []Result
			if err := Run(t.Context(), o, func(r Result) { results = append(results, r) }); err != nil {
				t.Fatal(err)
			}
			if len(results) != 1 {
				t.Fatalf("%d results, want one", len(results))
			}
			t.Log("\n" + results[0].Table())
			sane(t, results[0])
		})
	}
}

// sane checks what has to hold on any machine.
func sane(t *testing.T, r Result) {
	t.Helper()
	for _, fault := range r.Faults() {
		t.Error(fault)
	}
	d := r.Document()
	order := []struct {
		name string
		ms   *int64
	}{{"verdict", d.VerdictMS}, {"drained", d.DrainedMS}, {"returned", d.ReturnedMS}, {"serving", d.ServingMS}, {"closed", d.ClosedMS}}
	last := int64(0)
	for _, stage := range order {
		if stage.ms == nil {
			t.Errorf("%s did not happen", stage.name)
			continue
		}
		// The order of stages is told by two observers, whose looks lie apart.
		if slack := int64(1000); *stage.ms < last-slack || *stage.ms > healMax.Milliseconds() {
			t.Errorf("%s at %d ms, after what came before it at %d ms", stage.name, *stage.ms, last)
		}
		last = *stage.ms
	}
	hangs := r.Scenario == Hang
	if (d.FencedMS != nil) != hangs || hangs && (*d.FencedMS < 15_000 || *d.FencedMS > 60_000) {
		t.Errorf("fenced: %v; what hangs is, when it has hung for 15 s, and nothing else is", d.FencedMS)
	}
	if d.CassandraDownMS != nil && *d.CassandraDownMS < 1000 {
		t.Errorf("Cassandra's own detector after %d ms: the fault was given before the measuring began", *d.CassandraDownMS)
	}
	if d.HAProxyDownMS == nil && !hangs {
		t.Error("HAProxy's own check never noticed a killed process")
	}
	if d.WritesAcked < 1000 || d.Reads < 1000 || *d.AuditRows < 500 {
		t.Errorf("%d writes, %d reads, %d row reads: too few to prove anything", d.WritesAcked, d.Reads, *d.AuditRows)
	}
	if r.Alone.Away < r.Healed.Away {
		t.Errorf("away for %s without us and %s with us: the first half was the easier one", r.Alone.Away, r.Healed.Away)
	}
	if hangs {
		return // every agent carries a member of the store: none is measured
	}
	if d.AgentRSSBytes == nil || *d.AgentRSSBytes < 1<<20 || *d.AgentRSSBytes > 1<<30 || r.Alone.Rest.Anonymous > r.Alone.Rest.Resident {
		t.Errorf("an agent of %v bytes, %d of them anonymous", d.AgentRSSBytes, r.Alone.Rest.Anonymous)
	}
}

// An interruption in the middle of the first half ends the run at once; who
// called ends the cluster.
func TestInterruptedRunLeavesNothing(t *testing.T) {
	binary := build(t)
	base, err := os.MkdirTemp("", "run")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "d")
	cmd := exec.Command(binary, "demo", "run", "--scenario", "crash", "--dir", dir, "--net", "127.0.34")
	words, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() }) // bounds what is read below
	defer over.Stop()
	reader := bufio.NewScanner(words)
	for reader.Scan() && !strings.Contains(reader.Text(), "measuring the agents") {
		t.Log(reader.Text())
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for reader.Scan() {
		t.Log(reader.Text())
	}
	_ = cmd.Wait() // its exit code is looked at
	if got := cmd.ProcessState.ExitCode(); got != 1 {
		t.Errorf("exit %d, want 1", got)
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("processes left behind: %v", left)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("files were left behind")
	}
	_ = os.Remove(base)
}

// leftovers are the processes whose command line names dir.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		b, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if line := string(b); strings.Contains(line, dir) {
			left = append(left, e.Name()+": "+strings.ReplaceAll(line[:min(len(line), 80)], "\x00", " "))
		}
	}
	return left
}
