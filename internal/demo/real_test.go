// SPDX-License-Identifier: Apache-2.0

//go:build real

package demo

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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

func options(t *testing.T, network string) Options {
	t.Helper()
	base, err := os.MkdirTemp("", "demo") // short: the proxy's socket is in there
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: filepath.Join(base, "d"), Net: network, Progress: NewProgress(os.Stderr, UpSteps)}
	t.Cleanup(func() {
		_ = Down(context.WithoutCancel(t.Context()), o.Dir, false)
		_ = os.Remove(base)
	})
	return o
}

func TestInterruptedUpLeavesNothing(t *testing.T) {
	o := options(t, "127.0.22")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // the JVMs run, nothing serves yet
	defer cancel()
	if _, err := Up(ctx, o); err == nil {
		t.Fatal("up in 5 s: the interruption came too late to prove anything")
	}
	if left := leftovers(t, o.Dir); len(left) > 0 {
		t.Errorf("processes left behind: %v", left)
	}
	if _, err := os.Stat(o.Dir); err == nil {
		t.Error("files were left behind")
	}
}

func TestUpAndDown(t *testing.T) {
	o := options(t, "127.0.23")
	p, err := Up(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(p.Dir, manifestFile))
	if err != nil {
		t.Fatal(err)
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Nodes {
		if n.PID == nil || n.AgentPID != nil {
			t.Errorf("%s: pid %v, agent pid %v; want a node and no agent yet", n.Name, n.PID, n.AgentPID)
		}
	}
	if len(m.Nodes) != 3 || !answers(t.Context(), m.HAProxy.Frontend) {
		t.Errorf("%d nodes; the proxy answers: %v", len(m.Nodes), answers(t.Context(), m.HAProxy.Frontend))
	}
	if conn, err := net.Dial("unix", m.HAProxy.StatsSocket); err != nil || conn.Close() != nil {
		t.Errorf("stats socket: %v", err)
	}
	if err := Down(t.Context(), p.Dir, false); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, o.Dir); len(left) > 0 {
		t.Errorf("processes left behind: %v", left)
	}
}

func TestNodeThatDiesAtItsStartEndsAll(t *testing.T) {
	o := options(t, "127.0.24")
	go func() { // something else takes n2's port between the look and the use
		for t.Context().Err() == nil {
			if _, err := os.Stat(filepath.Join(o.Dir, "n2", "cassandra.pid")); err == nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if l, err := net.Listen("tcp", "127.0.24.2:7000"); err == nil {
			<-t.Context().Done()
			_ = l.Close()
		}
	}()
	_, err := Up(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "n2 ended at its start") || !strings.Contains(err.Error(), "7000") {
		t.Errorf("got %v, want n2 and its taken port", err)
	}
	if left := leftovers(t, o.Dir); len(left) > 0 {
		t.Errorf("processes left behind: %v", left)
	}
}
