// SPDX-License-Identifier: Apache-2.0

//go:build real

package e2e

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const n1, n2, n3 = 0, 1, 2

// One cluster serves all stories: each begins and ends with three serving
// nodes and nothing open.
func TestLoop(t *testing.T) {
	s := up(t, "127.0.41")
	s.tells(t, n2, []story{
		{"a restarted agent changes nothing", agentRestarts},
		{"a pause of two seconds costs one drain at the most", pause},
		{"the agents of the node and then of the leader restart in the middle of a return", restartsInReturn},
		{"a proxy that cannot be reached does not keep a node from coming back", proxyGone},
		{"a node that a person starts plainly is repaired before it serves", startedByHand},
		{"a node that went and came back while no agent ran is repaired", unwatched},
		{"a node that a person fenced stays out, whatever is done to the proxy, and comes back clean", fencedByHand},
		{"nothing is begun in a pause", paused},
		{"mode assist ends what hangs when a person has approved it", approved},
	})
}

func agentRestarts(t *testing.T, s *stack) {
	known, process := s.known(n2), s.cassandra(n3)
	s.stopAgent(n3, syscall.SIGTERM)
	if got := s.proxyState("n3"); got != "0" {
		t.Errorf("the proxy's state of n3 is %s after its agent stopped, want 0", got)
	}
	s.startAgent(n3)
	s.awaitServing(n3)
	if got := s.cassandra(n3); got != process {
		t.Errorf("Cassandra of n3 was restarted: %d, was %d", got, process)
	}
	if list, err := s.incidents(n2); err != nil || len(list) != len(known) {
		t.Errorf("an agent's restart opened an incident: %v, %v", list, err)
	}
}

func pause(t *testing.T, s *stack) {
	known, process := s.known(n1), s.cassandra(n2)
	s.signal(process, syscall.SIGSTOP)
	time.Sleep(2 * time.Second) // the pause itself, not a wait for something
	s.signal(process, syscall.SIGCONT)
	s.awaitServing(n1)
	if got := s.cassandra(n2); got != process {
		t.Errorf("Cassandra of n2 was restarted: %d, was %d", got, process)
	}
	list, err := s.incidents(n1)
	if err != nil || len(list) > len(known)+1 {
		t.Fatalf("%d incidents, %d before the pause, want one more at the most: %v", len(list), len(known), err)
	}
	for _, in := range list {
		if known[in.ID] {
			continue
		}
		story := s.timeline(n1, in.ID)
		if n := strings.Count(story, "drain n2"); n > 1 || strings.Contains(story, "start n2") {
			t.Errorf("more than one drain:\n%s", story)
		}
	}
	s.await("n2 is ready in the proxy", 10*time.Second, func() (bool, string) {
		got := s.proxyState("n2")
		return got == "0", got
	})
}

// The leader's agent carries the store in this demo, so its restart is the
// store's restart too: everything waits and then goes on.
func restartsInReturn(t *testing.T, s *stack) {
	known := s.known(n2)
	s.signal(s.cassandra(n3), syscall.SIGKILL)
	s.awaitIncident(n2, "n3", known, 30*time.Second, "n3 is being returned", func(in incident) bool { return in.Phase == "returning" })
	s.stopAgent(n3, syscall.SIGKILL)
	s.startAgent(n3)
	s.awaitIncident(n2, "n3", known, 3*time.Minute, "the return is past its start", func(in incident) bool {
		return in.Phase == "verifying" || in.Step != nil && strings.Contains(in.Step.Name, "repair")
	})
	s.stopAgent(n1, syscall.SIGKILL)
	s.startAgent(n1)
	in := s.awaitIncident(n2, "n3", known, 5*time.Minute, "the return is finished", closed)
	story := s.timeline(n2, in.ID)
	for _, want := range []string{"say DOWN of n3", "left hibernation", "Severity 0", "CLOSED"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story lacks %q:\n%s", want, story)
		}
	}
	s.awaitServing(n1)
}

func proxyGone(t *testing.T, s *stack) {
	known := s.known(n2)
	proxy := s.pid(s.dir + "/haproxy/haproxy.pid")
	s.signal(proxy, syscall.SIGSTOP)
	defer s.signal(proxy, syscall.SIGCONT)
	s.signal(s.cassandra(n3), syscall.SIGKILL)
	s.awaitIncident(n2, "n3", known, 4*time.Minute, "n3 is back and verified as far as it goes without a proxy",
		func(in incident) bool {
			return in.Phase == "verifying" && in.Step != nil && strings.Contains(in.Step.Name, "ramp")
		})
	if out, _ := s.ask(n2, "finding", "list"); !strings.Contains(out, "POOL_UNREACHABLE") {
		t.Errorf("no finding tells that the proxy is silent:\n%s", out)
	}
	s.signal(proxy, syscall.SIGCONT)
	s.awaitIncident(n2, "n3", known, time.Minute, "closed once the proxy answers", closed)
	s.awaitServing(n2)
}

// Nobody answers the gate, so the node starts as it would without us, which is
// a finding. Once its agent is back the node is kept from readers and repaired
// where it stands.
func startedByHand(t *testing.T, s *stack) {
	known := s.known(n2)
	s.stopAgent(n3, syscall.SIGKILL)
	s.signal(s.cassandra(n3), syscall.SIGKILL)
	s.awaitIncident(n2, "n3", known, 30*time.Second, "n3 waits for its agent", func(in incident) bool { return in.Phase == "returning" })
	if out, err := exec.Command(s.bin, "demo", "node-start", "--dir", s.dir, "--node", "n3").CombinedOutput(); err != nil {
		t.Fatalf("start n3 by hand: %v: %s", err, out)
	}
	s.startAgent(n3)
	s.await("the unasked start is a finding", 30*time.Second, func() (bool, string) {
		out, _ := s.ask(n2, "finding", "list")
		return strings.Contains(out, "GATE_UNASKED"), out
	})
	in := s.awaitIncident(n2, "n3", known, 5*time.Minute, "n3 is repaired and serves", closed)
	story := s.timeline(n2, in.ID)
	for _, want := range []string{"repaired 5/5 segments", "compared by another coordinator: in sync"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story lacks %q:\n%s", want, story)
		}
	}
}

// No leader saw it go, and no incident is open: only the gate knows, and leaves
// word of it.
func unwatched(t *testing.T, s *stack) {
	known := s.known(n2)
	for _, n := range []int{n1, n2, n3} {
		s.stopAgent(n, syscall.SIGKILL)
	}
	s.end(s.cassandra(n3), syscall.SIGKILL) // or the start finds it still dying
	if out, err := exec.Command(s.bin, "demo", "node-start", "--dir", s.dir, "--node", "n3").CombinedOutput(); err != nil {
		t.Fatalf("start n3 by hand: %v: %s", err, out)
	}
	for _, n := range []int{n1, n2, n3} {
		s.startAgent(n)
	}
	in := s.awaitIncident(n2, "n3", known, 6*time.Minute, "n3 is repaired and serves", closed)
	story := s.timeline(n2, in.ID)
	for _, want := range []string{"its gate started it unasked", "repaired 5/5 segments"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story lacks %q:\n%s", want, story)
		}
	}
	s.awaitServing(n2)
}
