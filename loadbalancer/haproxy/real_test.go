// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/loadbalancer"
	"supervisor/loadbalancer/haproxy"
)

// bench is a real HAProxy with small TCP servers behind it.
type bench struct {
	admin, user, front string // sockets
	tcp                string // the admin interface once more, as IP:port
	file               string // its configuration
	pid                int
	kill               func() // and wait until it is gone
	nodes              map[string]*node
}

// node is a TCP server that greets each connection with its name and keeps
// it open. It can go and come back on the same port.
type node struct {
	name, address string
	listener      net.Listener
}

const loopback = "127.0.77.1"

func (n *node) start(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", n.address)
	if err != nil {
		t.Fatal(err)
	}
	n.listener, n.address = l, l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(n.name + "\n")) // the peer's trouble, if any
			go func() {
				_, _ = c.Read(make([]byte, 1))
				c.Close()
			}()
		}
	}()
}

func (n *node) stop() { n.listener.Close() }

// start starts HAProxy and three nodes; each server line may be extended, and
// more lines of the backend follow.
func start(t testing.TB, extra map[string]string, lines ...string) *bench {
	t.Helper()
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Fatal("these tests need a real HAProxy 2.6 or later: install the package haproxy")
	}
	dir, err := os.MkdirTemp("", "hap") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bench{admin: dir + "/admin", user: dir + "/user", front: dir + "/front", tcp: free(t), nodes: map[string]*node{}}
	config := fmt.Sprintf(frame, b.admin, b.user, b.tcp, b.front)
	for _, name := range []string{"n1", "n2", "n3"} {
		n := &node{name: name, address: loopback + ":0"}
		n.start(t)
		t.Cleanup(n.stop)
		b.nodes[name] = n
		line, own := extra[name]
		if !own {
			line = "weight 100 check"
		}
		config += fmt.Sprintf("  server %s %s %s\n", name, n.address, line)
	}
	config += strings.Join(lines, "\n") + "\n"
	b.file = filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(b.file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(t)
	return b
}

const frame = `global
  stats socket %s mode 600 level admin
  stats socket %s mode 600 level user
  stats socket ipv4@%s level admin
defaults
  mode tcp
  timeout connect 1s
  timeout client 1m
  timeout server 1m
frontend in
  bind unix@%s
  default_backend cql
backend cql
  balance roundrobin
  default-server inter 20ms fall 2 rise 2
`

func (b *bench) run(t testing.TB) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command("haproxy", "-db", "-f", b.file)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.pid = cmd.Process.Pid
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }() // its exit status is SIGKILL's
	b.kill = func() {
		_ = cmd.Process.Kill() // it may be gone already
		<-exited
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
		if t.Failed() {
			t.Logf("haproxy said:\n%s", &log)
		}
	})
	p := b.proxy(t, b.admin)
	until(t, "haproxy answers", func() bool {
		select {
		case <-exited:
			t.Fatalf("haproxy ended:\n%s", &log)
		default:
		}
		_, err := p.Read(t.Context())
		return err == nil
	})
}

func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (b *bench) proxy(t testing.TB, address string) *haproxy.Proxy {
	t.Helper()
	p, err := haproxy.New(haproxy.Options{Name: "proxy-1", Address: address, Backend: "cql", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// until polls another process, which has no channel to wait on.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s in vain until %s", what)
		}
		<-tick.C
	}
}

func look(t testing.TB, p *haproxy.Proxy, server cluster.Name) loadbalancer.Actual {
	t.Helper()
	all, err := p.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.Server == server {
			return a
		}
	}
	t.Fatalf("no %s in %v", server, all)
	return loadbalancer.Actual{}
}

func to(server cluster.Name, want loadbalancer.Want, weight int) loadbalancer.Change {
	return loadbalancer.Change{Server: server, To: loadbalancer.Wish{Want: want, Weight: weight}}
}

// say is a person at the socket.
func (b *bench) say(t testing.TB, command string) {
	t.Helper()
	c, err := net.Dial("unix", b.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(command + "\n")); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); err != nil || strings.TrimSpace(string(answer)) != "" {
		t.Fatalf("%s: %q, %v", command, answer, err)
	}
}

// client connects through the proxy and returns who answered.
func (b *bench) client(t testing.TB) (net.Conn, string) {
	t.Helper()
	c, err := net.Dial("unix", b.front)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second)) // cannot fail on an open connection
	name := make([]byte, 3)
	if _, err := c.Read(name); err != nil {
		t.Fatalf("no greeting: %v", err)
	}
	return c, strings.TrimSpace(string(name))
}
