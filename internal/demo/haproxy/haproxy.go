// SPDX-License-Identifier: Apache-2.0

// Package haproxy runs one HAProxy in front of the demo's nodes: a TCP
// frontend, a backend "cql" with one server a node under the node's own name,
// HAProxy's usual TCP check, and a stats socket that may change server
// states. It only starts the proxy; who changes pools is not its business.
package haproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"supervisor/internal/demo/process"
)

// Backend is the name of the backend that holds all nodes.
const Backend = "cql"

// Server is one line of the backend.
type Server struct {
	Name, Address string // address:port
}

// Proxy is everything that start and files of the proxy depend on.
type Proxy struct {
	Dir      string `json:"dir"`      // absolute
	Frontend string `json:"frontend"` // address:port
	Binary   string `json:"binary"`   // absolute
}

// StatsSocket is the unix socket of the runtime API.
func (p Proxy) StatsSocket() string { return filepath.Join(p.Dir, "admin.sock") }

// PidFile names the proxy's process.
func (p Proxy) PidFile() string { return filepath.Join(p.Dir, "haproxy.pid") }

func (p Proxy) config() string { return filepath.Join(p.Dir, "haproxy.cfg") }

func (p Proxy) log() string { return filepath.Join(p.Dir, "output.log") }

// socketMax is what fits in a unix socket's address (107 bytes) after HAProxy
// has added ".PID.tmp" for the moment of binding.
const socketMax = 107 - len(".4194304.tmp")

// Check returns an error when the folder is too deep for the stats socket.
func (p Proxy) Check() error {
	if n := len(p.StatsSocket()); n > socketMax {
		return fmt.Errorf("the path %s has %d bytes, but a unix socket takes %d: choose a shorter folder", p.StatsSocket(), n, socketMax)
	}
	return nil
}

// Config is the configuration file's text.
func (p Proxy) Config(servers []Server) string {
	return Config(quote(p.StatsSocket())+" mode 600", p.Frontend, servers)
}

// Config is the text of a configuration file: stats is where the runtime interface
// is bound, with its options, and frontend where clients are, as HAProxy writes it.
// The balance is one of the dynamic ones, so that weights can be changed at run time.
func Config(stats, frontend string, servers []Server) string {
	var b strings.Builder
	fmt.Fprintf(&b, `global
    maxconn 2000
    stats socket %s level admin
    stats timeout 1h

defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h

frontend clients
    bind %s
    default_backend %s

backend %s
    balance roundrobin
    option tcp-check
`, stats, frontend, Backend, Backend)
	for _, s := range servers {
		fmt.Fprintf(&b, "    server %s %s check inter 2s fall 3\n", s.Name, s.Address)
	}
	return b.String()
}

// quote keeps blanks and the characters that HAProxy's file reads as its own.
func quote(path string) string { return `'` + strings.ReplaceAll(path, `'`, `'\''`) + `'` }

// Start writes the configuration and starts the proxy in a session of its
// own; it returns when the stats socket answers.
func Start(ctx context.Context, p Proxy, servers []Server) error {
	if err := errors.Join(p.Check(), os.MkdirAll(p.Dir, 0o755)); err != nil {
		return fmt.Errorf("prepare haproxy: %w", err)
	}
	if err := os.WriteFile(p.config(), []byte(p.Config(servers)), 0o644); err != nil {
		return fmt.Errorf("prepare haproxy: %w", err)
	}
	if out, err := exec.CommandContext(ctx, p.Binary, "-c", "-f", p.config()).CombinedOutput(); err != nil {
		return fmt.Errorf("check %s: %w: %s", p.config(), err, strings.TrimSpace(string(out)))
	}
	id, err := process.Start(process.Spec{Argv: []string{p.Binary, "-db", "-f", p.config()},
		Dir: p.Dir, Log: p.log(), PidFile: p.PidFile()})
	if err != nil {
		return err
	}
	return p.await(ctx, id)
}

// startMax is far above the few milliseconds that it takes.
const startMax = 10 * time.Second

func (p Proxy) await(ctx context.Context, id process.ID) error {
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	for {
		if p.answers(ctx) {
			return nil
		}
		if !id.Alive() {
			out, _ := os.ReadFile(p.log())
			return fmt.Errorf("haproxy ended at its start: %s", strings.TrimSpace(string(out)))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", p.StatsSocket(), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers tells whether HAProxy does its work. A connection alone says nothing:
// the stats socket listens a moment before a port that is taken ends the process.
func (p Proxy) answers(ctx context.Context) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", p.StatsSocket())
	if err != nil {
		return false
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write([]byte("show info\n")); err != nil {
		return false
	}
	n, err := conn.Read(make([]byte, 1))
	return err == nil && n == 1
}
