// SPDX-License-Identifier: Apache-2.0

//go:build real

package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quorumFor is how long the store has no majority while nobody does anything.
var quorumFor = flag.Duration("quorum.for", 20*time.Second, "how long etcd's majority stays away in TestMajorityGone")

// Two of three control agents, each with its member of etcd, are killed, so
// that nothing can be written down; then a Cassandra is killed whose own agent
// lives. The stories rely on the demo's policy: mode auto, and gate.unasked
// normal, which lets a person start a node while nobody can say how.
func TestMajorityGone(t *testing.T) {
	s := up(t, "127.0.63", "--store-members", "3")
	s.tells(t, n3, []story{
		{"a node that dies while etcd has no majority is left as it is, and returned once when it has one", majorityGone},
		{"a person may start it meanwhile, through the gate's last line, and it is repaired where it stands", startedWithoutStore},
	})
}

func majorityGone(t *testing.T, s *stack) {
	known := s.known(n3)
	s.loseMajority()
	away := time.Now()
	dead := s.cassandra(n3)
	s.signal(dead, syscall.SIGKILL)
	s.awaitBlind()
	starts := s.startLog(n3)
	for time.Since(away) < *quorumFor { // the outage itself, not a wait for something
		if why := s.touched(dead, starts); why != "" {
			t.Fatalf("%.0f s without a majority: %s", time.Since(away).Seconds(), why)
		}
		time.Sleep(200 * time.Millisecond)
	}
	s.awaitBlind()
	s.startAgent(n1)
	s.startAgent(n2)
	back := time.Now()
	in := s.awaitIncident(n2, "n3", known, 5*time.Minute, "n3 is returned", closed)
	s.awaitServing(n1)
	t.Logf("closed and serving %.1f s after the majority was started again", time.Since(back).Seconds())
	s.noBurst(t, known, in.ID, 1)
}

// The agent of n3 says wait, because the store does not answer, until the
// gate's own time is over; then the policy for a gate that nobody answers
// counts. What the node missed is found out later, by the word that the gate
// left.
func startedWithoutStore(t *testing.T, s *stack) {
	known := s.known(n3)
	s.loseMajority()
	s.signal(s.cassandra(n3), syscall.SIGKILL)
	s.awaitBlind()
	asked := time.Now()
	out, err := exec.Command(s.bin, "demo", "node-start", "--dir", s.dir, "--node", "n3").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "gate-unasked") {
		t.Fatalf("the gate's last line starts it plainly: %v: %s", err, out)
	}
	if took := time.Since(asked); took < 10*time.Second {
		t.Errorf("the gate gave up after %s, before its agent had the time to hear of a store", took)
	}
	argv, err := os.ReadFile(filepath.Join(s.dir, "n3", "java.argv"))
	if err != nil || strings.Contains(string(argv), "join_ring=false") {
		t.Errorf("it was not started plainly: %v", err)
	}
	s.startAgent(n1)
	s.startAgent(n2)
	in := s.awaitIncident(n2, "n3", known, 6*time.Minute, "n3 is repaired and serves", closed)
	story := s.timeline(n2, in.ID)
	for _, want := range []string{"its gate started it unasked", "repaired 5/5 segments"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story lacks %q:\n%s", want, story)
		}
	}
	s.awaitServing(n1)
	s.noBurst(t, known, in.ID, 0)
}

// loseMajority kills the agents of n1 and n2, and waits until nobody else can
// think that they live.
func (s *stack) loseMajority() {
	s.t.Helper()
	s.stopAgent(n1, syscall.SIGKILL)
	s.stopAgent(n2, syscall.SIGKILL)
}

// awaitBlind waits until the agent that is left says that it has no store.
func (s *stack) awaitBlind() {
	s.t.Helper()
	s.await("the agent that is left says that it is blind", 30*time.Second, func() (bool, string) {
		out, code := s.ask(n3, "status")
		line, exit := s.ask(n3, "check")
		return code == 0 && strings.HasPrefix(out, "BLIND") && strings.Contains(out, "STORE_NO_QUORUM") && exit == 3,
			fmt.Sprintf("status %d: %s\ncheck %d: %s", code, out, exit, line)
	})
}

// startLog is what the command by which an agent starts a node has written.
func (s *stack) startLog(node int) string {
	b, err := os.ReadFile(filepath.Join(s.dir, s.Node[node].Name, "log", "start.log"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return string(b)
}

// touched tells what was done to the cluster, which must be nothing: no
// process started or ended, no server of the proxy drained.
func (s *stack) touched(dead int, starts string) string {
	if got := s.cassandra(n3); got != dead {
		return fmt.Sprintf("n3 was started, pid %d", got)
	}
	if got := s.startLog(n3); got != starts {
		return "a start of n3 was tried: " + got
	}
	for _, n := range []int{n1, n2} {
		if err := syscall.Kill(s.cassandra(n), 0); err != nil {
			return fmt.Sprintf("Cassandra of %s: %v", s.Node[n].Name, err)
		}
	}
	for _, n := range s.Node {
		if got := s.proxyState(n.Name); got != "0" {
			return fmt.Sprintf("the proxy's state of %s is %s, want 0", n.Name, got)
		}
	}
	return ""
}

// noBurst tells that what waited was done once: one incident, at most one drain
// (a node that answers by then is kept from readers without a word of it), and
// as many starts as there have to be, besides one for each that a peer saw.
func (s *stack) noBurst(t *testing.T, known map[string]bool, id string, starts int) {
	t.Helper()
	list, err := s.incidents(n2)
	if err != nil || len(list) != len(known)+1 {
		t.Errorf("%d incidents, %d before: want one more: %v, %v", len(list), len(known), list, err)
	}
	out, code := s.ask(n2, "incident", "show", id, "--timeline", "-o", "json")
	var env struct {
		Data struct {
			Events []struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(out), &env); err != nil || code != 0 {
		t.Fatalf("timeline: exit %d, %v: %s", code, err, out)
	}
	count := map[string]int{}
	for _, ev := range env.Data.Events {
		count[ev.Code]++
	}
	if want := starts + count["return_killed"]; count["decided_drain"] > 1 || count["did_start"] != want {
		t.Errorf("%d drains and %d starts, want one at the most and %d:\n%s", count["decided_drain"], count["did_start"], want, s.timeline(n2, id))
	}
}
