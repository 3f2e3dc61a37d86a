// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// paper is something that a host says of itself: what to run, and how many of its last
// lines are shown beside the whole that is kept.
type paper struct {
	name  string
	shown int
	argv  []string
}

// papers are what every host of a role says of itself.
func (r Role) papers() []paper {
	all := []paper{
		{"failed.txt", 20, []string{"systemctl", "--no-pager", "--failed"}},
		{"rules.txt", 0, []string{"nft", "list", "ruleset"}},
		{"journal.log", 0, []string{"journalctl", "--no-pager", "--output", "short-iso-precise"}},
	}
	switch r {
	case RoleNode, RoleSpare:
		return append(all,
			paper{"agent.log", 60, []string{"journalctl", "--no-pager", "--unit", agentUnit, "--output", "cat"}},
			paper{"ports.log", 20, []string{"journalctl", "--no-pager", "--unit", portsUnit, "--output", "cat"}},
			paper{"unit.log", 20, []string{"journalctl", "--no-pager", "--unit", cassandraUnit, "--output", "short-iso"}},
			paper{"system.log", 20, []string{"cat", dataDir + "/log/system.log"}},
			paper{"output.log", 10, []string{"cat", dataDir + "/log/output.log"}},
			paper{"mounts.txt", 0, []string{"df", "--all"}})
	case RoleEtcd:
		return append(all, paper{"etcd.log", 20, []string{"journalctl", "--no-pager", "--unit", etcdUnit, "--output", "cat"}})
	case RoleProxy:
		return append(all, paper{"haproxy.log", 20, []string{"journalctl", "--no-pager", "--unit", proxyUnit, "--output", "cat"}})
	}
	return all
}

// collect keeps what every host says of itself, a folder each, in the test's own folder
// of artifacts, and shows the end of it. Hosts that are off or frozen go on for that.
func (c *Cluster) collect(ctx context.Context) {
	dir := c.t.ArtifactDir()
	for _, h := range c.All() {
		_ = h.docker(ctx, "unpause") // one that is frozen says nothing
		_ = h.docker(ctx, "start")   // changes nothing for one that runs
		_ = h.Heal(ctx)
		into := filepath.Join(dir, string(h.Name))
		if err := os.MkdirAll(into, 0o755); err != nil {
			c.t.Logf("collect of %s: %v", h.Name, err)
		}
		for _, p := range h.Role.papers() {
			out, err := h.Run(ctx, p.argv...)
			if bad := os.WriteFile(filepath.Join(into, p.name), []byte(out), 0o644); bad != nil {
				c.t.Logf("collect of %s: %v", h.Name, bad)
			}
			if p.shown > 0 {
				c.t.Logf("%s: %s (%v)\n%s", h.Name, strings.Join(p.argv, " "), err, lastLines(out, p.shown))
			}
		}
	}
	c.t.Logf("the whole of it is below %s, and kept with go test -artifacts", dir)
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
