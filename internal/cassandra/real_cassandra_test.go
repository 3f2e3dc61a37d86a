// SPDX-License-Identifier: Apache-2.0

//go:build cassandra

package cassandra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"supervisor/cluster"
)

// These tests run against the cluster that SUPERVISOR_DEMO_JSON describes:
// three healthy nodes in one datacenter, no load needed. They leave it as it was.

type realNode struct{ Name, CQL, Storage, Jolokia, Datacenter string }

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

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func adminOf(t *testing.T, n realNode) *Admin {
	t.Helper()
	a := NewAdmin(n.Jolokia, DefaultAdminOptions())
	t.Cleanup(a.Close)
	return a
}

func sessionOf(t *testing.T, n realNode, c Consistency) *Session {
	t.Helper()
	s, err := OpenSession(within(t, time.Minute), n.CQL, SessionOptions{Timeout: 15 * time.Second, Consistency: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// eventually waits until holds returns no error.
func eventually(t *testing.T, limit time.Duration, holds func() error) {
	t.Helper()
	var err error
	for until := time.Now().Add(limit); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if err = holds(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

func TestRealStateAndSchemaAgree(t *testing.T) {
	nodes := realNodes(t)
	names := map[string]cluster.Name{}
	for _, n := range nodes {
		names[n.Storage] = cluster.Name(n.Name)
	}
	for i, n := range nodes {
		s, err := adminOf(t, n).State(within(t, 10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if s.Address != n.Storage || s.OperationMode != "NORMAL" || !s.CQL || !s.Gossip || !s.DynamicSnitch || s.Self.Status != StatusNormal ||
			len(s.Peers) != 2 || s.ClusterName == "" || len(s.Moving) != 0 {
			t.Errorf("%s: %+v", n.Name, s)
		}
		schema, err := sessionOf(t, n, One).Schema(within(t, 20*time.Second), names)
		if err != nil {
			t.Fatal(err)
		}
		m := schema.Members[i]
		if len(schema.Members) != 3 || m.Name != cluster.Name(n.Name) || m.HostID != s.HostID || len(m.Tokens) != s.Tokens ||
			string(m.Datacenter) != n.Datacenter {
			t.Errorf("%s: %+v against %+v", n.Name, schema.Members, s)
		}
		byName := map[string]cluster.Keyspace{}
		for _, k := range schema.Keyspaces {
			byName[k.Name] = k
		}
		if byName["system"].Replication.Strategy != cluster.Local || byName["system_distributed"].Replication.Strategy != cluster.Simple ||
			len(byName["system_auth"].Tables) == 0 || byName["system_auth"].Tables[0].GCGrace != 90*24*time.Hour {
			t.Errorf("%s: keyspaces %+v", n.Name, byName)
		}
		if _, there := byName["system_views"]; there || schema.Version != s.Schema {
			t.Errorf("%s: a virtual keyspace, or schema %s against %s", n.Name, schema.Version, s.Schema)
		}
	}
}

func TestRealSeverityReachesEveryPeer(t *testing.T) {
	nodes := realNodes(t)
	a := adminOf(t, nodes[0])
	defer func() {
		if err := a.SetSeverity(context.Background(), 0); err != nil {
			t.Error(err)
		}
	}()
	for _, want := range []float64{50, 0} {
		if err := a.SetSeverity(within(t, 5*time.Second), want); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Severity(within(t, 5*time.Second)); err != nil || got != want {
			t.Fatalf("got %v, %v", got, err)
		}
		for _, n := range nodes[1:] {
			eventually(t, 15*time.Second, func() error {
				s, err := adminOf(t, n).State(within(t, 5*time.Second))
				if p := s.Peers[nodes[0].Storage]; err != nil || p.Severity != want || !p.SeveritySeen {
					return fmt.Errorf("%s sees %+v, %w", n.Name, p, err)
				}
				return nil
			})
		}
	}
}

func TestRealNativeTransportAndItsProber(t *testing.T) {
	n := realNodes(t)[2]
	a := adminOf(t, n)
	p := NewProber(n.CQL, 2*time.Second)
	defer p.Close()
	for range 3 {
		if err := p.Ask(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.StopNativeTransport(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.StartNativeTransport(context.Background()); err != nil {
			t.Error(err)
		}
		eventually(t, 10*time.Second, func() error { return p.Ask(within(t, 5*time.Second)) })
	}()
	if err := p.Ask(within(t, 5*time.Second)); err != nil {
		t.Errorf("a connection that exists is served on; if this release ends it, say so where it is relied on: %v", err)
	}
	if err := p.Dial(within(t, 5*time.Second)); !errors.Is(err, ErrRefused) {
		t.Errorf("a new connection: %v", err)
	}
	if s, err := a.State(within(t, 5*time.Second)); err != nil || s.CQL {
		t.Errorf("its own word: CQL %v, %v", s.CQL, err)
	}
}

func TestRealReplicasAndCounters(t *testing.T) {
	nodes := realNodes(t)
	a := adminOf(t, nodes[0])
	ctx := within(t, time.Minute)
	if sets, err := a.NaturalEndpointsOf(ctx, "system_auth", "roles", []string{"a", "b", "c"}); err != nil || len(sets) != 3 || len(sets[0]) == 0 {
		t.Errorf("replicas: %v, %v", sets, err)
	}
	if down, err := a.UnreachableNodes(ctx); err != nil || len(down) != 0 {
		t.Errorf("unreachable: %v, %v", down, err)
	}
	host, _, err := net.SplitHostPort(nodes[1].Storage)
	if err != nil {
		t.Fatal(err)
	}
	if down, err := a.EndpointDowntime(ctx, host); err != nil || down != 0 {
		t.Errorf("downtime of a living peer: %s, %v", down, err)
	}
	if _, err := a.NaturalEndpoints(ctx, "no_such_keyspace", "t", "k"); err == nil {
		t.Error("replicas in a keyspace nobody has: want an error")
	}
}

// do runs one statement of schema or data.
func do(t *testing.T, s *Session, statement string, args ...any) {
	t.Helper()
	if err := s.s.Query(statement, args...).WithContext(within(t, time.Minute)).Exec(); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// TestRealOldRowsArePreviewedRepairedAndGone makes a second replica old
// without hurting a node: rows are written to two replicas, the keyspace is
// narrowed to one, the rows are rewritten and more are added, and the
// keyspace is widened again.
func TestRealOldRowsArePreviewedRepairedAndGone(t *testing.T) {
	nodes := realNodes(t)
	quorum := sessionOf(t, nodes[0], Quorum)
	const rows = 60
	factor := func(verb string, n int) {
		do(t, quorum, fmt.Sprintf(`%s KEYSPACE "probe_Rows" WITH replication = {'class': 'NetworkTopologyStrategy', '%s': %d}`, verb, nodes[0].Datacenter, n))
	}
	write := func(from, to int) {
		for i := from; i < to; i++ {
			do(t, quorum, `INSERT INTO "probe_Rows"."T" ("K", c, tags, v) VALUES (?, ?, {'x'}, ?)`, fmt.Sprint(i), i%3, "v")
		}
	}
	do(t, quorum, `DROP KEYSPACE IF EXISTS "probe_Rows"`)
	factor("CREATE", 2)
	defer do(t, quorum, `DROP KEYSPACE "probe_Rows"`)
	do(t, quorum, `CREATE TABLE "probe_Rows"."T" ("K" text, c int, tags set<text>, v text, PRIMARY KEY ("K", c)) WITH read_repair = 'NONE'`)
	write(0, rows/2)
	factor("ALTER", 1)
	write(0, rows)
	factor("ALTER", 2)

	sample, err := quorum.Sample(within(t, time.Minute), "probe_Rows", "T", 1000)
	if err != nil || sample.Len() != rows {
		t.Fatalf("sample of %d, %v, want %d", sample.Len(), err, rows)
	}
	if few, err := quorum.Sample(within(t, time.Minute), "probe_Rows", "T", 10); err != nil || few.Len() != 10 {
		t.Errorf("a small sample: %d, %v", few.Len(), err)
	}
	old := compareAll(t, nodes, sample)
	if old.Old == 0 || old.Missing == 0 {
		t.Errorf("through the nodes at ONE: %+v, want old and missing rows", old)
	}
	differ := 0
	for _, n := range nodes {
		r, err := adminOf(t, n).Repair(within(t, 2*time.Minute), "probe_Rows", RepairOptions{Preview: true, Tables: []string{"T"}})
		if err != nil {
			t.Fatalf("%s: preview: %v", n.Name, err)
		}
		for _, d := range r.Differences {
			if d.Keyspace != "probe_Rows" || d.Table != "T" || d.Count == 0 || len(d.Ranges) == 0 {
				t.Errorf("%s: %+v", n.Name, d)
			}
			differ++
		}
	}
	if differ == 0 {
		t.Error("no preview found a difference")
	}
	for _, n := range nodes {
		a := adminOf(t, n)
		if _, err := a.Repair(within(t, 2*time.Minute), "probe_Rows", RepairOptions{Tables: []string{"T"}, PaxosRepair: true}); err != nil {
			t.Fatalf("%s: %v", n.Name, err)
		}
		r, err := a.Repair(within(t, 2*time.Minute), "probe_Rows", RepairOptions{Preview: true})
		if err != nil || len(r.Differences) != 0 {
			t.Errorf("%s: after its repair: %+v, %v", n.Name, r, err)
		}
	}
	if after := compareAll(t, nodes, sample); after.Old != 0 || after.Missing != 0 || after.Read != 3*rows {
		t.Errorf("after the repairs: %+v", after)
	}
	do(t, quorum, `DELETE FROM "probe_Rows"."T" WHERE "K" = '7'`)
	if after := compareAll(t, nodes, sample); after.Missing != 0 {
		t.Errorf("a row that was deleted meanwhile is not missing: %+v", after)
	}
}

// compareAll reads the sample through every node.
func compareAll(t *testing.T, nodes []realNode, sample Sample) Comparison {
	t.Helper()
	var sum Comparison
	for _, n := range nodes {
		c, err := sessionOf(t, n, One).CompareOne(within(t, time.Minute), sample)
		if err != nil {
			t.Fatalf("%s: %v", n.Name, err)
		}
		sum.Read, sum.Old, sum.Missing = sum.Read+c.Read, sum.Old+c.Old, sum.Missing+c.Missing
	}
	return sum
}

func TestRealRepairsThatCannotBe(t *testing.T) {
	nodes := realNodes(t)
	a := adminOf(t, nodes[0])
	quorum := sessionOf(t, nodes[0], Quorum)
	do(t, quorum, fmt.Sprintf(`CREATE KEYSPACE IF NOT EXISTS probe_one WITH replication = {'class': 'NetworkTopologyStrategy', '%s': 1}`, nodes[0].Datacenter))
	defer do(t, quorum, `DROP KEYSPACE probe_one`)
	ctx := within(t, 2*time.Minute)
	if r, err := a.Repair(ctx, "probe_one", RepairOptions{}); err != nil || r.Command != NothingToRepair {
		t.Errorf("one replica: %+v, %v", r, err)
	}
	var failed *RepairError
	if _, err := a.Repair(ctx, "system_distributed", RepairOptions{Hosts: []string{nodes[1].Storage}}); !errors.As(err, &failed) {
		t.Errorf("without the asked node among the hosts: %v", err)
	}
	if s, err := a.RepairStatus(ctx, 1<<30); err != nil || s.Phase != Forgotten {
		t.Errorf("a repair nobody started: %+v, %v", s, err)
	}
	if _, err := a.Repair(ctx, "no_such_keyspace", RepairOptions{}); err == nil {
		t.Error("a keyspace nobody has: want an error")
	}
}

// TestRealSessionSurvivesItsNode cuts every connection of a session and lets
// it dial nobody for a while: queries fail in time, and work again afterwards.
func TestRealSessionSurvivesItsNode(t *testing.T) {
	n := realNodes(t)[1]
	var mu sync.Mutex
	var open []net.Conn
	down := false
	o := SessionOptions{Timeout: 2 * time.Second, dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			return nil, errors.New("the node is down")
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		if err == nil {
			open = append(open, c)
		}
		return c, err
	}}
	s, err := OpenSession(within(t, 20*time.Second), n.CQL, o)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		_, err := s.Schema(within(t, 5*time.Second), nil)
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	down = true
	for _, c := range open {
		c.Close()
	}
	mu.Unlock()
	for range 5 {
		if err := ask(); err == nil {
			t.Error("an answer from a node that is down")
		}
	}
	mu.Lock()
	down = false
	mu.Unlock()
	eventually(t, 30*time.Second, ask)
	mu.Lock()
	down = true
	for _, c := range open {
		c.Close()
	}
	mu.Unlock()
	began := time.Now()
	s.Close()
	if took := time.Since(began); took > closeMax+time.Second {
		t.Errorf("closed after %v", took)
	}
}
