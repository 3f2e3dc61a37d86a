// SPDX-License-Identifier: Apache-2.0

//go:build netns

package nft

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// supervisor is the program as it is built.
const supervisor = "../../bin/supervisor"

// stranger is a user of every host who is neither root nor the agent's.
const stranger, agents = 65534, 4711

// unit runs the guard as its unit does: root with one capability, told by a
// socket when it is ready.
type unit struct {
	t       *testing.T
	h       *host
	dir     string
	program string
	client  Client
	cmd     *exec.Cmd
	mu      sync.Mutex
	journal strings.Builder
}

func newUnit(t *testing.T, h *host) *unit {
	t.Helper()
	dir := t.TempDir()
	// Another user passes through.
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o711), os.Chmod(dir, 0o711)); err != nil {
		t.Fatal(err)
	}
	u := &unit{t: t, h: h, dir: dir, program: dir + "/supervisor", client: NewClient(dir + "/socket")}
	u.copy()
	t.Cleanup(func() {
		u.kill()
		if t.Failed() {
			t.Log(u.said())
		}
	})
	return u
}

func (u *unit) copy() {
	u.t.Helper()
	from, err := os.Open(supervisor)
	if err != nil {
		u.t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(u.program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		u.t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		u.t.Fatal(err)
	}
}

func (u *unit) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.journal.Write(p)
}

func (u *unit) said() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.journal.String()
}

// start returns when the guard says that it is ready.
func (u *unit) start(more ...string) {
	u.t.Helper()
	_ = os.Remove(u.dir + "/notify")
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: u.dir + "/notify", Net: "unixgram"})
	if err != nil {
		u.t.Fatal(err)
	}
	defer ready.Close()
	u.cmd = exec.Command("setpriv", append([]string{"--bounding-set", "-all,+net_admin", "--no-new-privs", u.program, "port-guard", "--user", "4711",
		"--socket", u.client.Socket, "--file", u.dir + "/wanted.json", "--storage-port", "7000,7001"}, more...)...)
	u.cmd.Env, u.cmd.Stdout, u.cmd.Stderr = append(os.Environ(), "NOTIFY_SOCKET="+u.dir+"/notify"), u, u
	u.h.in(func() { err = u.cmd.Start() })
	if err != nil {
		u.t.Fatal(err)
	}
	_ = ready.SetReadDeadline(time.Now().Add(4 * answerMax))
	word := make([]byte, 100)
	n, err := ready.Read(word)
	if err != nil || !strings.HasPrefix(string(word[:n]), "READY=1") {
		u.t.Fatalf("the guard says %q (%v): %s", word[:n], err, u.said())
	}
}

func (u *unit) kill() {
	if u.cmd != nil && u.cmd.ProcessState == nil {
		_ = u.cmd.Process.Kill()
		_ = u.cmd.Wait()
	}
}

func (u *unit) apply(s State) {
	u.t.Helper()
	if _, err := u.client.Apply(context.Background(), s, "a test"); err != nil {
		u.t.Fatal(err)
	}
}

// run is a command of port-guard as a user; it returns how that ends.
func (u *unit) run(uid uint32, words ...string) (said string, exit int) {
	u.t.Helper()
	cmd := exec.Command(u.program, append([]string{"port-guard"}, words...)...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	var out []byte
	var err error
	u.h.in(func() { out, err = cmd.CombinedOutput() })
	if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
		u.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// What was wanted stands over the end of the guard, and after a boot before the
// unit is ready.
func TestTheGuardOfAHost(t *testing.T) {
	node, other := pair(t)
	node.listen(cqlPort)
	u := newUnit(t, node)
	u.start()
	want(t, "at first", other.answers(otherIP, nodeIP, cqlPort), "answers")
	fence := State{Clients: &Clients{Ports: []uint16{cqlPort}}}
	u.apply(fence)
	want(t, "fenced", other.answers(otherIP, nodeIP, cqlPort), "refused")
	whole := node.run("nft", "-a", "list", "ruleset")
	u.kill()
	want(t, "the guard was killed", other.answers(otherIP, nodeIP, cqlPort), "refused")
	u.start()
	want(t, "another guard finds what stands", node.run("nft", "-a", "list", "ruleset"), whole)
	u.kill()
	node.run("nft", "delete table inet "+TableName)
	want(t, "the host has started, its guard has not", other.answers(otherIP, nodeIP, cqlPort), "answers")
	u.start()
	want(t, "the unit is ready", other.answers(otherIP, nodeIP, cqlPort), "refused")

	node.run("nft", "flush ruleset")
	deadline := time.Now().Add(answerMax)
	for other.answers(otherIP, nodeIP, cqlPort) != "refused" && time.Now().Before(deadline) {
		time.Sleep(lookEvery / 10)
	}
	want(t, "somebody flushed all rules", other.answers(otherIP, nodeIP, cqlPort), "refused")
	if !strings.Contains(u.said(), "put right: there is no table") {
		t.Errorf("the journal says nothing about it: %s", u.said())
	}
	u.apply(State{})
	want(t, "lifted", other.answers(otherIP, nodeIP, cqlPort), "answers")
	u.kill()
	u.start()
	want(t, "lifted, and another guard", other.answers(otherIP, nodeIP, cqlPort), "answers")
}

// The kernel says who asks: the agent's user and root are heard, nobody else.
func TestWhoIsHeard(t *testing.T) {
	node, _ := pair(t)
	u := newUnit(t, node)
	u.start()
	u.apply(both())
	socket := []string{"--socket", u.client.Socket}
	for _, words := range [][]string{{"show"}, {"lift", "--reason", "let me in"}} {
		said, exit := u.run(stranger, append(words, socket...)...)
		if exit != 3 || !strings.Contains(said, "neither root nor the agent's user") || strings.Contains(said, otherIP) {
			t.Errorf("a stranger's %s ends with %d: %s", words[0], exit, said)
		}
	}
	if st := node.standing(); !st.Is(both()) {
		t.Errorf("after a stranger: %+v", st)
	}
	if said, exit := u.run(agents, append([]string{"show"}, socket...)...); exit != 0 || !strings.Contains(said, "ring cut on port 7000, 7001 from "+otherIP) {
		t.Errorf("the agent's user looks, and it ends with %d: %s", exit, said)
	}
	node.run("nft", "insert rule inet "+TableName+" incoming accept")
	if said, exit := u.run(0, append([]string{"show"}, socket...)...); exit != 0 && (exit != 1 || !strings.Contains(said, "not ours accept")) {
		t.Errorf("root looks at a hole, and it ends with %d: %s", exit, said)
	}
	if said, exit := u.run(agents, append([]string{"lift", "--reason", "it is repaired"}, socket...)...); exit != 0 || !strings.Contains(said, "stands: nothing") {
		t.Errorf("the agent's user lifts, and it ends with %d: %s", exit, said)
	}
	if st := node.standing(); !st.Is(State{}) {
		t.Errorf("lifted: %+v", st)
	}
	if !strings.Contains(u.said(), "uid 4711") || !strings.Contains(u.said(), "it is repaired") {
		t.Errorf("the journal does not say who lifted, and why: %s", u.said())
	}
	u.kill()
	if said, exit := u.run(0, append([]string{"show"}, socket...)...); exit != 5 || !strings.Contains(said, "cassandra-supervisor-ports.service") {
		t.Errorf("nobody listens, and it ends with %d: %s", exit, said)
	}
}

// A package that goes takes nothing away that somebody wanted.
func TestForgetOnAHost(t *testing.T) {
	node, _ := pair(t)
	u := newUnit(t, node)
	u.start()
	u.apply(both())
	u.kill()
	whole := node.run("nft", "-a", "list", "ruleset")
	if said, exit := u.run(0, "forget", "--file", u.dir+"/wanted.json"); exit != 3 || !strings.Contains(said, "nft delete table inet "+TableName) {
		t.Errorf("a fence stands, and it ends with %d: %s", exit, said)
	}
	want(t, "all rules", node.run("nft", "-a", "list", "ruleset"), whole)
	// The lift is on the disk, and the host lost its power before the rules were.
	if err := writeKept(u.dir+"/wanted.json", State{}); err != nil {
		t.Fatal(err)
	}
	if said, exit := u.run(0, "forget", "--file", u.dir+"/wanted.json"); exit != 0 || said != "" {
		t.Errorf("nothing is wanted, and it ends with %d: %s", exit, said)
	}
	if st := node.standing(); !st.Is(State{}) || st.there {
		t.Errorf("there stands %+v", st)
	}
}
