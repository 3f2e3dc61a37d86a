// SPDX-License-Identifier: Apache-2.0

//go:build real

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tellAll prints what is to be known of a story that failed, before its cluster is
// ended: logs, the threads of a Cassandra that does not serve, and last what the
// agents say, which a reader needs first.
func (s *stack) tellAll() {
	for _, n := range s.Node {
		s.t.Logf("agent of %s:\n%s", n.Name, lastOf(filepath.Join(s.dir, n.Name, "log", "agent.log"), 40))
		s.t.Logf("Cassandra of %s:\n%s", n.Name, lastOf(filepath.Join(s.dir, n.Name, "log", "system.log"), 20))
	}
	for i, n := range s.Node {
		if c, err := net.DialTimeout("tcp", n.CQL, time.Second); err == nil {
			_ = c.Close()
			continue
		}
		s.t.Logf("threads of %s, which takes no client:\n%s", n.Name, s.threads(i))
	}
	for i, n := range s.Node {
		list, err := s.incidents(i)
		if err != nil {
			s.t.Logf("%s: %v", n.Name, err)
			continue
		}
		for _, in := range list {
			if in.Phase != "closed" {
				out, _ := s.ask(i, "explain", in.Node)
				s.t.Logf("by %s:\n%s\n%s", n.Name, s.timeline(i, in.ID), out)
			}
		}
		return
	}
}

// lastOf is the last lines of a file.
func lastOf(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// threads asks a JVM for its threads by SIGQUIT, as one does without the tools of a
// JDK, and returns those that tell why it does not go on: its main one, and all that
// wait for another one.
func (s *stack) threads(node int) string {
	out := filepath.Join(s.dir, s.Node[node].Name, "log", "output.log")
	before, _ := os.ReadFile(out)
	pid := s.cassandra(node)
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		return fmt.Sprintf("process %d: %v", pid, err)
	}
	var dump string
	for range 50 {
		b, _ := os.ReadFile(out)
		if dump = string(b[min(len(before), len(b)):]); strings.Contains(dump, "JNI global ref") {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	var told []string
	for thread := range strings.SplitSeq(dump, "\n\n") {
		if strings.HasPrefix(thread, `"main"`) || strings.Contains(thread, "BLOCKED") || strings.Contains(thread, "initialization monitor") {
			told = append(told, thread)
		}
	}
	return strings.Join(told, "\n\n")
}
