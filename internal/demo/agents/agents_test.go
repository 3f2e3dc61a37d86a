// SPDX-License-Identifier: Apache-2.0

package agents

import (
	"os"
	"path/filepath"
	"testing"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/demo"
	"supervisor/internal/demo/haproxy"
	"supervisor/internal/demo/node"
	"supervisor/internal/settings"
)

// fleet is a laid out demo of three nodes of which nothing runs.
func fleet(t *testing.T) Fleet {
	t.Helper()
	dir := t.TempDir()
	p := demo.Plan{Dir: dir, Proxy: haproxy.Proxy{Dir: filepath.Join(dir, "haproxy")}}
	for i, name := range []string{"n1", "n2", "n3"} {
		p.Nodes = append(p.Nodes, node.Node{Name: name, Address: "127.0.44." + string(rune('1'+i)), Datacenter: demo.Datacenter,
			Rack: "r" + string(rune('1'+i)), Region: demo.Region, Dir: filepath.Join(dir, name)})
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Fleet{Plan: p, Binary: binary, Members: 1}
}

// What the demo writes must be what an operator's file has to be: the same
// reader takes it, and finds no fault.
func TestFilesAreInOrder(t *testing.T) {
	f := fleet(t)
	if err := f.write(); err != nil {
		t.Fatal(err)
	}
	for i, n := range f.Plan.Nodes {
		c, err := settings.ReadAgent(n.AgentConfig())
		if err != nil {
			t.Fatalf("file of %s: %v", n.Name, err)
		}
		if _, got := c.Member(); got != (i == 0) {
			t.Errorf("%s carries the store: %t", n.Name, got)
		}
		if !c.IsControl() {
			t.Errorf("%s is no control agent", n.Name)
		}
	}
	hosts, err := settings.ReadHosts(f.path("hosts.yaml"))
	if err != nil || len(hosts) != 3 {
		t.Fatalf("roster: %d hosts, %v", len(hosts), err)
	}
}

func TestPolicyIsInOrder(t *testing.T) {
	f := fleet(t)
	text := settings.RenderPolicy(f.Policy(incident.Auto))
	p, err := settings.ParsePolicy("policy.yaml", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.ModeOf(demo.Datacenter); got != incident.Auto {
		t.Errorf("mode %s, want auto", got)
	}
	if got := p.PoolsOf(cluster.Name("n3")); len(got) != 1 {
		t.Errorf("n3 is in %d pools, want 1", len(got))
	}
}
