// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/demo"
	"supervisor/internal/demo/agents"
	"supervisor/internal/demo/lan"
	"supervisor/internal/demo/load"
	"supervisor/internal/demo/node"
	"supervisor/internal/demo/process"
	"supervisor/internal/etcd"
	"supervisor/internal/store"
)

// members of the store: it has to outlive the host of one of them.
const members = 3

// stage is a cluster that runs, with what stands beside it.
type stage struct {
	o     Options
	plan  demo.Plan
	fleet agents.Fleet
	asks  map[string]*api.Client // by node
	store *etcd.Store
	load  *load.Load
	mode  *incident.Mode // that was applied last; nil: whatever the demo began with
	show  *demo.Progress
	left  string // how long it will take yet
}

// open brings a cluster up. After an error nothing runs.
func open(ctx context.Context, o Options, show *demo.Progress) (*stage, error) {
	up := demo.Options{Dir: o.cluster(), Net: o.Net, Progress: demo.NewProgress(o.Out, demo.UpSteps), Attach: agents.Attach(o.Binary, members)}
	p, err := demo.Up(ctx, up)
	up.Progress.End()
	if err != nil {
		return nil, UpFailed{err, up}
	}
	s := &stage{o: o, plan: p, fleet: agents.Fleet{Plan: p, Binary: o.Binary, Members: members}, asks: map[string]*api.Client{}, show: show}
	if err := s.furnish(ctx); err != nil {
		return nil, errors.Join(err, s.close(context.WithoutCancel(ctx), "start"))
	}
	return s, nil
}

// furnish starts what stands beside the cluster: members of memberlist alone, a light
// load, and a client of the store that tells where its leader is.
func (s *stage) furnish(ctx context.Context) (err error) {
	var endpoints []string
	for _, n := range s.plan.Nodes {
		if _, err := process.Start(lan.Spec(n, s.o.Binary, s.plan.Dir)); err != nil {
			return fmt.Errorf("start memberlist on %s: %w", n.Name, err)
		}
		s.asks[n.Name] = api.NewClient(agents.Socket(n))
		endpoints = append(endpoints, "http://"+n.Address+":2379")
	}
	if s.store, err = etcd.Dial(etcd.DefaultOptions("detect", store.Prefix(node.ClusterName, demo.Region), endpoints...)); err != nil {
		return err
	}
	// A node with clients is convicted by its peers sooner than one without; more than
	// this would take the processor from those who are measured.
	s.load, err = load.Start(ctx, load.Options{Nodes: s.plan.LoadNodes(), WriteVia: s.plan.Proxy.Frontend, WriteRate: 40, ReadRate: 20,
		Moving: 100, Cold: 20, Prefix: "d"})
	return err
}

// close ends the cluster. Of one on which a half failed the logs are kept.
func (s *stage) close(ctx context.Context, failed string) error {
	if s.load != nil {
		s.load.Close()
	}
	for _, c := range s.asks {
		c.Close()
	}
	var errs []error
	if s.store != nil {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_ = s.store.Close(ctx) // its lease ends by itself
	}
	if failed != "" {
		errs = append(errs, demo.Down(ctx, s.plan.Dir, true), s.keepLogs(failed))
	}
	return errors.Join(append(errs, demo.Down(ctx, s.plan.Dir, false))...)
}

// keepLogs moves what agents and Cassandras logged to a folder of the half's name.
func (s *stage) keepLogs(half string) error {
	dir := filepath.Join(s.o.Dir, "failed", half)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("keep the logs: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keep the logs: %w", err)
	}
	for _, n := range s.plan.Nodes {
		if err := os.Rename(filepath.Dir(n.SystemLog()), filepath.Join(dir, n.Name)); err != nil {
			return fmt.Errorf("keep the logs of %s: %w", n.Name, err)
		}
	}
	return nil
}

// enter applies the policy in a mode and waits until every agent knows.
func (s *stage) enter(ctx context.Context, m incident.Mode) error {
	if s.mode != nil && *s.mode == m {
		return nil
	}
	reason := "measured: the agents only look"
	if m == incident.Auto {
		reason = "measured: the agents act"
	}
	s.mode = nil
	if err := s.fleet.Apply(ctx, m, reason); err != nil {
		return err
	}
	for _, n := range s.plan.Nodes {
		for {
			st, err := get[api.Status](ctx, s.asks[n.Name], "/v1/status")
			if err == nil && st.Mode == m.String() {
				break
			}
			if ended := pause(ctx, lookEvery); ended != nil {
				return fmt.Errorf("wait for mode %s at %s: %w", m, n.Name, errors.Join(ended, err))
			}
		}
	}
	s.mode = &m
	return nil
}

// victim chooses the node of a fault: the leader's where that is the fault, else one
// whose host carries neither the leader nor that of the store. storeLeads tells
// whether it carries the latter.
func (s *stage) victim(ctx context.Context, f Fault) (n node.Node, storeLeads bool, err error) {
	st, err := get[api.Status](ctx, s.asks[s.plan.Nodes[0].Name], "/v1/status")
	if err != nil {
		return n, false, err
	}
	health, err := s.store.Health(ctx)
	if err != nil {
		return n, false, err
	}
	for i, m := range slices.Backward(s.plan.Nodes) {
		// The endpoints are in the order of the nodes.
		leads, carries := leaderOf(st) == m.Name, health.Endpoints[i].Leads
		if f == Leader && leads || f != Leader && !leads && !carries {
			return m, carries, nil
		}
	}
	return n, false, fmt.Errorf("no node fits: %q leads", leaderOf(st))
}

func leaderOf(st api.Status) string {
	for _, dc := range st.Datacenters {
		return string(dc.Leader)
	}
	return ""
}

func get[T any](ctx context.Context, c *api.Client, path string) (T, error) {
	raw, err := c.Get(ctx, path)
	if err != nil {
		var none T
		return none, fmt.Errorf("ask an agent for %s: %w", path, err)
	}
	e, err := api.Decode[T](raw)
	return e.Data, err
}

// signal sends a signal to the processes of pid files, in their order.
func signal(sig syscall.Signal, files ...string) error {
	for _, file := range files {
		id, err := process.Read(file)
		if err != nil {
			return fmt.Errorf("%s: %w", sig, err)
		}
		if err := id.Signal(sig); err != nil {
			return fmt.Errorf("%s: %w", sig, err)
		}
	}
	return nil
}

// pause waits for d, or returns why it could not.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
