// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"supervisor/internal/demo/process"
)

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.9.100:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func start(t *testing.T, dir string) Proxy {
	t.Helper()
	binary, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatal(err)
	}
	p := Proxy{Dir: dir, Frontend: free(t), Binary: binary}
	t.Cleanup(func() {
		if id, err := process.Read(p.PidFile()); err == nil {
			_ = id.Stop(t.Context(), 0)
		}
	})
	return p
}

func TestProxyServesUnderTheNodesNames(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "a b"))
	if err := Start(t.Context(), p, []Server{{"n1", "127.0.9.101:9042"}, {"n2", "127.0.9.102:9042"}}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(p.StatsSocket())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket %v, %v: others may not change pools", info, err)
	}
	for command, want := range map[string]string{
		"show servers state cql":            " n2 127.0.9.102 ",
		"set weight cql/n1 50%":             "\n",
		"set server cql/n1 state drain":     "\n",
		"show servers conn " + "no_such_be": "Can't find backend",
	} {
		if got := say(t, p, command); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q in it", command, got, want)
		}
	}
}

func say(t *testing.T, p Proxy, command string) string {
	t.Helper()
	conn, err := net.Dial("unix", p.StatsSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, command)
	var all strings.Builder
	if _, err := bufio.NewReader(conn).WriteTo(&all); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestTakenFrontendIsAnErrorAndLeavesNothing(t *testing.T) {
	p := start(t, t.TempDir())
	l, err := net.Listen("tcp", p.Frontend)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Start(t.Context(), p, []Server{{"n1", "127.0.9.101:9042"}}); err == nil || !strings.Contains(err.Error(), "cannot bind") {
		t.Errorf("got %v, want HAProxy's own words about the port", err)
	}
	if id, err := process.Read(p.PidFile()); err == nil && id.Alive() {
		t.Error("a process was left behind")
	}
}

func TestTooDeepAFolderIsNamed(t *testing.T) {
	p := Proxy{Dir: "/" + strings.Repeat("deep/", 20)}
	if err := p.Check(); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("got %v, want the limit of a unix socket", err)
	}
}
