// SPDX-License-Identifier: Apache-2.0

//go:build real

package kills

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo"
	"supervisor/internal/demo/agents"
	"supervisor/internal/demo/node"
	"supervisor/internal/demo/process"
	"supervisor/internal/etcd"
	"supervisor/internal/store"
)

// stage is a demo whose three agents carry a member of the store each, and the
// book of what its store showed.
type stage struct {
	plan  demo.Plan
	fleet agents.Fleet
	book  *Book
	asks  map[string]*api.Client // by node
	store *etcd.Store            // asks every member how it does
	shut  func()                 // ends the client that the book is read with
}

// members is how many agents carry a member: the store outlives one of them.
const members = 3

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "supervisor")
	cmd := exec.Command("go", "build", "-tags", "grpcnotrace", "-o", binary, "supervisor/cmd/supervisor")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// up brings a demo up and ends it with the test.
func up(t *testing.T, binary, network string) *stage {
	t.Helper()
	base, err := os.MkdirTemp("", "kills") // short: sockets are in there
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "d")
	t.Cleanup(func() {
		if err := demo.Down(context.WithoutCancel(t.Context()), dir, t.Failed()); err != nil && !errors.Is(err, demo.ErrNoDemo) {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("logs are left in %s", dir)
		}
		_ = os.Remove(base)
	})
	p, err := demo.Up(t.Context(), demo.Options{Dir: dir, Net: network, Attach: agents.Attach(binary, members),
		Progress: demo.NewProgress(os.Stderr, demo.UpSteps)})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{plan: p, fleet: agents.Fleet{Plan: p, Binary: binary, Members: members}, book: NewBook(), asks: map[string]*api.Client{}}
	for _, n := range p.Nodes {
		c := api.NewClient(agents.Socket(n))
		t.Cleanup(c.Close)
		s.asks[n.Name] = c
	}
	s.store = dial(t, p.Nodes)
	s.watch(t, p.Nodes)
	t.Cleanup(func() { s.shut(); hangUp(t, s.store) })
	await(t, "somebody leads", time.Minute, func() error {
		if s.book.Leader() == "" {
			return errors.New("nobody")
		}
		return nil
	})
	return s
}

func endpoint(n node.Node) string { return fmt.Sprintf("http://%s:2379", n.Address) }

// dial makes a client of the members on some nodes; it writes nothing but the
// lease that every client has.
func dial(t *testing.T, to []node.Node) *etcd.Store {
	t.Helper()
	var endpoints []string
	for _, n := range to {
		endpoints = append(endpoints, endpoint(n))
	}
	client, err := etcd.Dial(etcd.DefaultOptions("kills", store.Prefix(node.ClusterName, demo.Region), endpoints...))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func hangUp(t *testing.T, client *etcd.Store) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
	defer cancel()
	_ = client.Close(ctx)
}

// watch reads the store as an agent does, from the members of some nodes. One
// that is stopped keeps its connections: who reads from it sees nothing for a
// while.
func (s *stage) watch(t *testing.T, from []node.Node) {
	t.Helper()
	if s.shut != nil {
		s.shut()
	}
	client := dial(t, from)
	batches := client.Watch(context.WithoutCancel(t.Context()), "") // the book is read on when this test is over
	select {
	case batch := <-batches: // what the book does not know yet
		s.book.take(batch, time.Now())
	case <-t.Context().Done():
		t.Fatal("the store tells nothing")
	}
	followed := make(chan struct{})
	go func() { defer close(followed); s.book.Follow(batches) }()
	s.shut = func() { hangUp(t, client); <-followed }
}

// await waits until holds says nothing, or fails the test with what it said
// last.
func await(t *testing.T, what string, limit time.Duration, holds func() error) {
	t.Helper()
	if err := until(t.Context(), limit, holds); err != nil {
		t.Fatalf("%s: not within %s: %v", what, limit, err)
	}
}

func until(ctx context.Context, limit time.Duration, holds func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func get[T any](ctx context.Context, c *api.Client, path string) (T, error) {
	raw, err := c.Get(ctx, path)
	if err != nil {
		var none T
		return none, err
	}
	e, err := api.Decode[T](raw)
	return e.Data, err
}

// rests tells what is not in order by any of the three agents: all nodes
// serve, the pools stand as they are wanted, nothing is open, all say that the
// same one leads, and every member of the store runs.
func (s *stage) rests(ctx context.Context) error {
	for name, c := range s.asks {
		st, err := get[api.Status](ctx, c, "/v1/status")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if st.Nodes.Serving != len(s.plan.Nodes) || len(st.Incidents) > 0 || !st.Store.Available {
			return fmt.Errorf("%s: %v", name, st.Why)
		}
		if st.Pools.InStep != st.Pools.Total {
			return fmt.Errorf("%s: %d of %d pools in step", name, st.Pools.InStep, st.Pools.Total)
		}
		if leader := s.book.Leader(); len(st.Datacenters) == 0 || leader == "" || st.Datacenters[0].Leader != leader {
			return fmt.Errorf("%s: %v, and %q leads", name, st.Datacenters, leader)
		}
		if slices.ContainsFunc(st.Findings, func(f api.Finding) bool { return f.Code == "STORE_MEMBER_DOWN" }) {
			return fmt.Errorf("%s: %v", name, st.Why)
		}
	}
	return nil
}

// timeline is an incident's story by the first agent that tells it.
func (s *stage) timeline(ctx context.Context, id string) (api.Timeline, error) {
	var errs []error
	for _, c := range s.asks {
		tl, err := get[api.Timeline](ctx, c, api.Path("v1", "incidents", id, "timeline"))
		if err == nil {
			return tl, nil
		}
		errs = append(errs, err)
	}
	return api.Timeline{}, errors.Join(errs...)
}

// victim is the last node whose agent does not lead.
func (s *stage) victim(leader cluster.Name) node.Node {
	for _, n := range slices.Backward(s.plan.Nodes) {
		if n.Name != string(leader) {
			return n
		}
	}
	return node.Node{}
}

// signal sends a signal to the process of a pid file.
func signal(sig syscall.Signal, file string) error {
	id, err := process.Read(file)
	if err != nil {
		return err
	}
	return id.Signal(sig)
}

// starts counts how often Cassandra started on a node, by its own log.
func starts(n node.Node) (int, error) {
	b, err := os.ReadFile(n.SystemLog())
	return bytes.Count(b, []byte("JVM vendor/version:")), err
}

// entries are the journal's part of a timeline.
func entries(tl api.Timeline) []incident.Entry {
	var out []incident.Entry
	for _, ev := range tl.Events {
		out = append(out, ev.Entry)
	}
	return out
}
