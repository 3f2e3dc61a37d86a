// SPDX-License-Identifier: Apache-2.0

//go:build real

package e2e

import (
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// order says a word as a person would; what it prints is returned.
func (s *stack) order(node int, args ...string) (string, int) {
	s.t.Helper()
	args = append(args, "--reason", "a drill")
	if args[0] != "pause" && args[0] != "resume" { // which nobody has to confirm
		args = append(args, "--yes")
	}
	return s.ask(node, args...)
}

// obeyed says a word that has to be followed.
func (s *stack) obeyed(node int, args ...string) {
	s.t.Helper()
	if out, code := s.order(node, args...); code != 0 {
		s.t.Fatalf("%v: exit %d: %s", args, code, out)
	}
}

// refused says a word that has to be refused by a rule.
func (s *stack) refused(node int, rule string, args ...string) {
	s.t.Helper()
	out, code := s.order(node, args...)
	if code == 0 || !strings.Contains(out, rule) {
		s.t.Errorf("%v: exit %d, want a refusal by %q: %s", args, code, rule, out)
	}
	s.t.Logf("%v\n%s", args, out)
}

// awaitProxy waits until the proxy says of a server what is wanted.
func (s *stack) awaitProxy(server, state string, limit time.Duration) {
	s.t.Helper()
	s.await("the proxy's state of "+server+" is "+state, limit, func() (bool, string) {
		got := s.proxyState(server)
		return got == state, got
	})
}

// The states of a server in the proxy, as the demo's balancer sets them.
const (
	serverReady = "0"
	serverDrain = "8"
)

// meddle changes a server by hand at the proxy's socket.
func (s *stack) meddle(command string) {
	s.t.Helper()
	c, err := net.DialTimeout("unix", s.HAProxy.StatsSocket, time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte(command + "\n")); err != nil {
		s.t.Fatal(err)
	}
}

// restartProxy ends the proxy and starts it again from its file: it has
// forgotten what was told to it.
func (s *stack) restartProxy() {
	s.t.Helper()
	s.end(s.pid(s.dir+"/haproxy/haproxy.pid"), syscall.SIGTERM)
	if out, err := exec.Command(s.bin, "demo", "proxy-start", "--dir", s.dir).CombinedOutput(); err != nil {
		s.t.Fatalf("start the proxy again: %v: %s", err, out)
	}
}

// A person's fence stands, whatever a hand or a restart does to the proxy, and
// what the node missed behind it is repaired before it is given back.
func fencedByHand(t *testing.T, s *stack) {
	known, process := s.known(n2), s.cassandra(n3)
	s.obeyed(n2, "fence", "n3")
	s.awaitIncident(n2, "n3", known, 30*time.Second, "n3 is held for the person", func(in incident) bool { return in.Phase == "held" })
	s.awaitProxy("n3", serverDrain, 5*time.Second)
	s.await("n3 takes no clients", 10*time.Second, func() (bool, string) {
		c, err := net.DialTimeout("tcp", s.Node[n3].CQL, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err != nil, "it listens for clients"
	})
	s.refused(n1, "rule quorum-survives", "fence", "n2")
	s.refused(n1, "rule one-open-incident", "fence", "n3")
	s.refused(n1, "DATACENTER_UNKNOWN", "pause", "dc9")

	s.meddle("set server cql/n3 state ready")
	s.awaitProxy("n3", serverDrain, 15*time.Second)
	s.restartProxy()
	s.awaitProxy("n3", serverDrain, 15*time.Second)
	s.awaitProxy("n1", serverReady, 5*time.Second)

	s.meddle("set server cql/n2 state drain")
	s.await("what a hand took out is told", 15*time.Second, func() (bool, string) {
		out, _ := s.ask(n1, "finding", "list")
		return strings.Contains(out, "POOL_DRIFT"), out
	})
	s.meddle("set server cql/n2 state ready")

	s.obeyed(n1, "unfence", "n3")
	in := s.awaitIncident(n2, "n3", known, 5*time.Minute, "n3 is repaired and serves", closed)
	story := s.timeline(n2, in.ID)
	for _, want := range []string{"repaired 5/5 segments", "CLOSED"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story lacks %q:\n%s", want, story)
		}
	}
	if got := s.cassandra(n3); got != process {
		t.Errorf("Cassandra of n3 was restarted: %d, was %d", got, process)
	}
}

// Nothing is begun while it is paused, whoever looks on; all of it afterwards.
func paused(t *testing.T, s *stack) {
	known, process := s.known(n2), s.cassandra(n3)
	s.obeyed(n1, "pause", "dc1", "--for", "30m")
	s.refused(n1, "rule paused", "fence", "n2")
	s.signal(process, syscall.SIGKILL)
	in := s.awaitIncident(n2, "n3", known, 15*time.Second, "its end is seen", func(in incident) bool { return in.Phase == "suspected" })
	s.await("the pause is what it waits for", 30*time.Second, func() (bool, string) {
		story := s.timeline(n2, in.ID)
		return strings.Contains(story, "paused"), story
	})
	s.await("HAProxy's own check has noticed", 30*time.Second, func() (bool, string) {
		out, _ := s.ask(n2, "pool", "list")
		return strings.Contains(strings.ToLower(out), "down"), out
	})
	if got := s.proxyState("n3"); got != serverReady {
		t.Errorf("the proxy's state of n3 is %s in a pause, want it as it was", got)
	}
	if got := s.cassandra(n3); got != process {
		t.Errorf("Cassandra of n3 was started in a pause: %d", got)
	}
	s.obeyed(n2, "resume", "dc1")
	s.refused(n2, "rule paused", "resume", "dc1")
	s.awaitIncident(n2, "n3", known, 5*time.Minute, "n3 is back", closed)
}

// Mode assist ends no process before a person has approved that very plan.
func approved(t *testing.T, s *stack) {
	known, process := s.known(n2), s.cassandra(n3)
	s.obeyed(n1, "mode", "dc1", "assist")
	s.signal(process, syscall.SIGSTOP)
	in := s.awaitIncident(n2, "n3", known, time.Minute, "a person is asked", func(in incident) bool { return in.Phase == "held" })
	if out, _ := s.ask(n1, "finding", "list"); !strings.Contains(out, "APPROVAL_WAITING") {
		t.Errorf("no finding tells that an approval is waited for:\n%s", out)
	}
	s.refused(n1, "rule plan", "incident", "approve", in.ID, "--plan", "7f3a91c20b44")
	if !alive(process) {
		t.Error("the process was ended before anybody approved it")
	}
	s.obeyed(n1, "incident", "approve", in.ID)
	s.awaitIncident(n2, "n3", known, 5*time.Minute, "n3 is back", closed)
	if alive(process) {
		t.Error("the process that hung lives on")
	}
	s.obeyed(n1, "mode", "dc1", "auto")
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
