// SPDX-License-Identifier: Apache-2.0

//go:build cassandra

package probe

import (
	"context"
	"encoding/json"
	"os"
	"sync"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/membership"
)

// These tests run against the cluster that SUPERVISOR_DEMO_JSON describes:
// three healthy nodes. They leave it as it was.

type realNode struct {
	Name, CQL, Storage, Jolokia string
	DataDir                     string `json:"data_dir"`
}

func realNodes(t *testing.T) []realNode {
	t.Helper()
	path := os.Getenv("SUPERVISOR_DEMO_JSON")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("SUPERVISOR_DEMO_JSON must name the demo.json of a running cluster: %v", err)
	}
	var d struct{ Nodes []realNode }
	if err := json.Unmarshal(text, &d); err != nil || len(d.Nodes) != 3 {
		t.Fatalf("%s: %d nodes, %v; want three", path, len(d.Nodes), err)
	}
	return d.Nodes
}

func target(n realNode) Target { return Target{cluster.Name(n.Name), n.CQL, n.Storage} }

func TestRealProbeOfThreeNodes(t *testing.T) {
	nodes := realNodes(t)
	admin := cassandra.NewAdmin(nodes[0].Jolokia, cassandra.DefaultAdminOptions())
	t.Cleanup(admin.Close)
	own := &process{}
	own.start("one")
	p, err := New(Options{Own: target(nodes[0]), Peers: []Target{target(nodes[1]), target(nodes[2])}, Process: own, Admin: admin,
		DataDir: nodes[0].DataDir, Now: bootClock, Pace: DefaultPace(), Looked: func(membership.Path, membership.Outcome) {}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { p.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	h := &house{Probe: p, t: t}
	for _, path := range []membership.Path{membership.CQL, membership.Admin, membership.Disk} {
		h.see(p.o.Own.Name, path, membership.Good)
	}
	for _, n := range nodes[1:] {
		for _, path := range []membership.Path{membership.CQL, membership.Storage, membership.Phi} {
			h.see(cluster.Name(n.Name), path, membership.Good)
		}
	}
	if s, _, ok := h.State(); !ok || len(s.Peers) != 2 {
		t.Errorf("state %+v", s)
	}

	peer := cassandra.NewAdmin(nodes[2].Jolokia, cassandra.DefaultAdminOptions())
	defer peer.Close()
	if err := peer.StopNativeTransport(ctx); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	defer func() {
		if err := peer.StartNativeTransport(context.Background()); err != nil {
			t.Error(err)
		}
		h.see(cluster.Name(nodes[2].Name), membership.CQL, membership.Good)
	}()
	h.see(cluster.Name(nodes[2].Name), membership.CQL, membership.Refused)
	t.Logf("a closed CQL port was seen after %v", time.Since(began).Round(time.Millisecond))
	if l := h.look(cluster.Name(nodes[2].Name), membership.Storage); l.Outcome != membership.Good {
		t.Errorf("its storage port: %+v", l)
	}
}
