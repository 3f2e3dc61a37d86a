// SPDX-License-Identifier: Apache-2.0

//go:build real

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is the built program; `make test` builds it before it runs the tests.
func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../bin/supervisor")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no binary: %v; make build makes it", err)
	}
	return path
}

// stack is a demo that serves, with its agents.
type stack struct {
	t    *testing.T
	bin  string
	dir  string
	Node []struct {
		Name    string `json:"name"`
		CQL     string `json:"cql"`
		Jolokia string `json:"jolokia"`
		PidFile string `json:"pid_file"`
		API     string `json:"api"`
	} `json:"nodes"`
	HAProxy struct {
		StatsSocket string `json:"stats_socket"`
	} `json:"haproxy"`
}

// up brings a demo up, with more flags where a story needs them, and ends it with
// the test.
func up(t *testing.T, network string, flags ...string) *stack {
	t.Helper()
	base, err := os.MkdirTemp("", "e2e") // short: sockets are in there
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, bin: binary(t), dir: filepath.Join(base, "d")}
	t.Cleanup(func() {
		out, err := exec.Command(s.bin, "demo", "down", "--dir", s.dir).CombinedOutput()
		if err != nil {
			t.Errorf("end the demo: %v: %s", err, out)
		}
		_ = os.RemoveAll(base)
	})
	t.Cleanup(func() { // runs first, and may give up without keeping the demo from its end
		if t.Failed() {
			s.tellAll()
		}
	})
	args := append([]string{"demo", "up", "--dir", s.dir, "--net", network}, flags...)
	if out, err := exec.Command(s.bin, args...).CombinedOutput(); err != nil {
		t.Fatalf("demo up: %v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, s); err != nil {
		t.Fatalf("demo.json: %v", err)
	}
	return s
}

// ask runs a read command against the agent of a node; the exit code is the
// command's.
func (s *stack) ask(node int, args ...string) (out string, code int) {
	s.t.Helper()
	c := exec.Command(s.bin, append(args, "--socket", s.Node[node].API)...)
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return b.String(), exit.ExitCode()
	case err != nil:
		s.t.Fatalf("%v: %v", args, err)
	}
	return b.String(), 0
}

// incident is what `incident list` says of one.
type incident struct {
	ID    string `json:"id"`
	Node  string `json:"node"`
	Cause string `json:"cause"`
	Phase string `json:"phase"`
	Held  string `json:"held"`
	Step  *struct {
		Name string `json:"name"`
	} `json:"step"`
}

func (s *stack) incidents(node int) ([]incident, error) {
	out, code := s.ask(node, "incident", "list", "-o", "json")
	if code != 0 {
		return nil, fmt.Errorf("incident list: exit %d: %s", code, out)
	}
	var env struct {
		Data []incident `json:"data"`
	}
	if err := json.Unmarshal([]byte(out), &env); err != nil {
		return nil, fmt.Errorf("incident list: %w: %s", err, out)
	}
	return env.Data, nil
}

// await waits until holds is true, or fails the test with what was last seen.
func (s *stack) await(what string, limit time.Duration, holds func() (bool, string)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	last := ""
	for {
		ok, seen := holds()
		if ok {
			return
		}
		last = seen
		select {
		case <-ctx.Done():
			s.t.Fatalf("%s: not within %s; last seen: %s", what, limit, last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// awaitIncident waits until the newest incident about a node that is not among
// the known ones satisfies fits, asked at one agent.
func (s *stack) awaitIncident(at int, node string, known map[string]bool, limit time.Duration, what string, fits func(incident) bool) incident {
	s.t.Helper()
	var found incident
	s.await(what, limit, func() (bool, string) {
		list, err := s.incidents(at)
		if err != nil {
			return false, err.Error()
		}
		for _, in := range list {
			if in.Node == node && !known[in.ID] {
				found = in
				return fits(in), fmt.Sprintf("%+v", in)
			}
		}
		return false, fmt.Sprintf("no new incident about %s", node)
	})
	return found
}

func (s *stack) known(at int) map[string]bool {
	list, err := s.incidents(at)
	if err != nil {
		s.t.Fatal(err)
	}
	known := map[string]bool{}
	for _, in := range list {
		known[in.ID] = true
	}
	return known
}

func closed(in incident) bool { return in.Phase == "closed" }

// timeline is the story of an incident as people read it.
func (s *stack) timeline(at int, id string) string {
	out, _ := s.ask(at, "incident", "show", id, "--timeline")
	return out
}

// story is told to a cluster that serves, and leaves it so.
type story struct {
	name string
	tell func(*testing.T, *stack)
}

// tells tells stories one after the other, each when an agent says that all
// nodes serve; after one that failed no other would tell of anything new.
func (s *stack) tells(t *testing.T, at int, stories []story) {
	for _, story := range stories {
		ok := t.Run(story.name, func(t *testing.T) {
			s.t = t
			s.awaitServing(at)
			story.tell(t, s)
		})
		if !ok {
			break
		}
	}
	s.t = t
}

// pid is the process of a pid file.
func (s *stack) pid(file string) int {
	s.t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		s.t.Fatalf("%s: %v", file, err)
	}
	return pid
}

func (s *stack) cassandra(node int) int { return s.pid(s.Node[node].PidFile) }
func (s *stack) agentPid(node int) int {
	return s.pid(filepath.Join(s.dir, s.Node[node].Name, "agent.pid"))
}

func (s *stack) signal(pid int, sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		s.t.Fatalf("signal %d to %d: %v", sig, pid, err)
	}
}

// stopAgent ends an agent and waits until it is gone.
func (s *stack) stopAgent(node int, sig syscall.Signal) {
	s.t.Helper()
	s.end(s.agentPid(node), sig)
}

// end ends a process and waits until it is gone.
func (s *stack) end(pid int, sig syscall.Signal) {
	s.t.Helper()
	s.signal(pid, sig)
	s.await("the process ends", 15*time.Second, func() (bool, string) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(b), ") Z "), "it still runs"
	})
}

// startAgent starts an agent again as a service manager would.
func (s *stack) startAgent(node int) {
	s.t.Helper()
	n := s.Node[node]
	out, err := exec.Command(s.bin, "demo", "agent-start", "--dir", s.dir, "--node", n.Name).CombinedOutput()
	if err != nil {
		s.t.Fatalf("start the agent of %s: %v: %s", n.Name, err, out)
	}
}

// awaitServing waits until an agent says that all nodes serve and nothing is
// open.
func (s *stack) awaitServing(at int) {
	s.t.Helper()
	s.await("all nodes serve and nothing is open", 90*time.Second, func() (bool, string) {
		out, _ := s.ask(at, "status", "-o", "json")
		var env struct {
			Data struct {
				Nodes     struct{ Serving, Total int }
				Incidents []incident
			}
		}
		if err := json.Unmarshal([]byte(out), &env); err != nil {
			return false, out
		}
		d := env.Data
		return d.Nodes.Total == 3 && d.Nodes.Serving == 3 && len(d.Incidents) == 0, out
	})
}

// proxyState is the administrative state of a server, read from HAProxy.
func (s *stack) proxyState(server string) string {
	c, err := net.DialTimeout("unix", s.HAProxy.StatsSocket, time.Second)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte("show servers state cql\n"))
	var b bytes.Buffer
	_, _ = b.ReadFrom(c)
	for line := range strings.Lines(b.String()) {
		f := strings.Fields(line)
		if len(f) > 6 && f[3] == server {
			return f[6] // srv_admin_state: 0 is ready, 8 is drain
		}
	}
	return "unknown"
}
