// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"supervisor/internal/demo/process"
)

var noTools = tools{java: "/bin/true", haproxy: "/bin/true", jars: "/jars"}

func TestPlanNamesWhatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.19.2:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = newPlan(shortDir(t), "127.0.19", noTools)
	var taken Taken
	if !errors.As(err, &taken) || len(taken.Addresses) != 1 || taken.Addresses[0] != "127.0.19.2:7000" {
		t.Errorf("got %v, want exactly the taken address", err)
	}
}

func TestPlanGivesEveryNodeItsOwn(t *testing.T) {
	p, err := newPlan(shortDir(t), "127.0.20", noTools)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[any]string)
	for _, n := range p.Nodes {
		for _, own := range []any{n.CQL(), n.JMXPort, n.Rack, n.DataDir(), n.Tokens[0]} {
			if other := seen[own]; other != "" {
				t.Errorf("%s and %s share %v", other, n.Name, own)
			}
			seen[own] = n.Name
		}
	}
}

func TestNetworkMustBeLoopback(t *testing.T) {
	for network, good := range map[string]bool{
		"127.0.0": true, "127.9.200": true, "10.0.0": false, "127.0": false, "": false, "127.0.0.1": false, "127.0.300": false,
	} {
		if _, err := parseNet(network); (err == nil) != good {
			t.Errorf("%q: got %v, want it accepted: %v", network, err, good)
		}
	}
}

func TestClaim(t *testing.T) {
	for _, tt := range []struct {
		why  string
		have string // a file in the folder
		want error
	}{
		{"an empty folder may be taken", "", nil},
		{"what others have there is left alone", "letter.txt", ErrNotOurs},
		{"a demo is not started over another one", planFile, ErrInUse},
	} {
		t.Run(tt.why, func(t *testing.T) {
			dir := t.TempDir()
			if tt.have != "" {
				if err := os.WriteFile(filepath.Join(dir, tt.have), []byte("{}"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p := Plan{Format: planFormat, Dir: dir}
			if err := p.claim(); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// shortDir is a folder for a demo whose sockets' paths fit, whatever TMPDIR and
// the test are called.
func shortDir(t *testing.T) string {
	t.Helper()
	base, err := os.MkdirTemp("/tmp", "demo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	return filepath.Join(base, "d")
}

// sleeping puts a process that only sleeps under a pid file.
func sleeping(t *testing.T, pidFile string) process.ID {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(pidFile), 0o755); err != nil {
		t.Fatal(err)
	}
	id, err := process.Start(process.Spec{Argv: []string{"/bin/sleep", "60"}, Dir: "/", Log: os.DevNull, PidFile: pidFile})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = id.Stop(t.Context(), 0) })
	return id
}

func TestDownEndsWhatWasRecordedAndRemovesWhatWasMade(t *testing.T) {
	dir := shortDir(t)
	p, err := newPlan(dir, "127.0.21", noTools)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.claim(); err != nil {
		t.Fatal(err)
	}
	first, agent := sleeping(t, p.Nodes[0].PidFile()), sleeping(t, p.Nodes[0].AgentPidFile())
	proxy, stranger := sleeping(t, p.Proxy.PidFile()), sleeping(t, p.Nodes[1].PidFile())
	if err := os.WriteFile(p.Nodes[1].PidFile()+".start", []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	letter := filepath.Join(dir, "letter.txt")
	if err := os.WriteFile(letter, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), dir, false); err != nil {
		t.Fatal(err)
	}
	if first.Alive() || agent.Alive() || proxy.Alive() {
		t.Error("a recorded process is still there")
	}
	if !stranger.Alive() {
		t.Error("a process that only has an old one's number was ended")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 || left[0].Name() != "letter.txt" {
		t.Errorf("left in the folder: %v, want only what is not ours", left)
	}
	if err := Down(t.Context(), dir, false); !errors.Is(err, ErrNoDemo) {
		t.Errorf("down again: %v, want ErrNoDemo", err)
	}
}

func TestProgressOffATerminalPrintsChanges(t *testing.T) {
	var b strings.Builder
	p := NewProgress(&b, 2)
	p.Step("cluster")
	p.Show("n1 joining", "n1 joining, 1 s")
	p.Show("n1 joining", "n1 joining, 2 s")
	p.Show("n1 up", "n1 up 3 s")
	p.Step("ready")
	p.Done("good")
	want := "[1/2] cluster    n1 joining, 1 s\n[1/2] cluster    n1 up 3 s\n[2/2] ready      good\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestManifestSaysNullForWhatIsNotThere(t *testing.T) {
	p, err := newPlan(shortDir(t), "127.0.26", noTools)
	if err != nil {
		t.Fatal(err)
	}
	agent := sleeping(t, p.Nodes[1].AgentPidFile())
	m := manifest(p, Attached{})
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for why, want := range map[string]string{
		"a cluster without agents has no API":     `"api":null}`,
		"a node that does not run has no pid":     `"pid":null`,
		"lists are empty and never null":          `"spares":[]`,
		"no agents, no store":                     `"etcd":[]`,
		"where an agent runs, its number is told": fmt.Sprintf(`"agent_pid":%d`, agent.PID),
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s: no %s in %s", why, want, b)
		}
	}
	m = manifest(p, Attached{API: map[string]string{"n2": "/run/n2.sock"}, Etcd: []string{"http://127.0.26.1:2379"}})
	if m.API == nil || *m.API != "/run/n2.sock" || m.Nodes[1].API == nil || m.Nodes[0].API != nil || len(m.Etcd) != 1 {
		t.Errorf("attached agents are not told: %+v", m)
	}
}
