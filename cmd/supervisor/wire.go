// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"supervisor/cluster"
	"supervisor/internal/agent"
	"supervisor/internal/cassandra"
	"supervisor/internal/process"
	"supervisor/internal/settings"
	"supervisor/isolate"
	commands "supervisor/isolate/command"
	"supervisor/isolate/nft"
	"supervisor/isolate/systemd"
	"supervisor/loadbalancer/haproxy"
	"supervisor/membership"
	"supervisor/membership/probe"
)

// This file joins adapters to what the agent asks for. It is the only place
// that sees both.

// service is the Cassandra of this host as systemd, or the configured commands, know
// it.
type service interface {
	Running(ctx context.Context) (process.Process, bool, error)
	Start(ctx context.Context) error
	KillOnly(ctx context.Context, p process.Process) error
}

// serviceOf is how the agent's file says that Cassandra is started, and what is to
// be done when the agent ends.
func serviceOf(c settings.Cassandra) (s service, end func(), err error) {
	if c.Unit != "" {
		u, err := systemdUnit(c)
		if err != nil {
			return nil, nil, fmt.Errorf("cassandra.unit: %w", err)
		}
		return u, u.Close, nil
	}
	m := c.Command
	u, err := commands.New(commands.Options{Start: m.Start, Stop: m.Stop, PIDFile: m.PIDFile, Match: m.Match, Log: m.Log,
		StartMax: c.StartMax, StopMax: m.StopMax, ExitMax: c.ExitMax})
	if err != nil {
		return nil, nil, fmt.Errorf("cassandra.command: %w", err)
	}
	return u, func() {}, nil
}

func systemdUnit(c settings.Cassandra) (*systemd.Unit, error) {
	return systemd.New(systemd.Options{Unit: c.Unit, StartMax: c.StartMax, ExitMax: c.ExitMax, CallMax: systemd.DefaultCallMax})
}

// unit is the Cassandra of this host as the agent asks for it.
type unit struct{ service }

// Running names the process as the agent knows processes.
func (u unit) Running(ctx context.Context) (agent.Process, bool, error) {
	p, ok, err := u.service.Running(ctx)
	if err != nil || !ok {
		return agent.Process{}, false, err
	}
	return agent.Process{PID: p.PID, Boot: p.Boot()}, true, nil
}

// ports is this host's guard of ports as the agent asks it.
type ports struct {
	guard        nft.Client
	cql, storage uint16
}

// portsOf is the guard that the agent's file names; nil: none.
func portsOf(c settings.Cassandra) agent.Ports {
	if c.PortGuard == "" {
		return nil
	}
	return ports{guard: nft.NewClient(c.PortGuard), cql: portOf(c.CQL), storage: portOf(c.Storage)}
}

// portOf is the port of an address that was checked.
func portOf(address string) uint16 {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return 0 // no guard closes it, and says so
	}
	return ap.Port()
}

// Closed looks what stands.
func (p ports) Closed(ctx context.Context) (agent.Guarded, error) {
	r, err := p.guard.Standing(ctx)
	return p.guarded(r), err
}

// Close has exactly that closed which is wanted.
func (p ports) Close(ctx context.Context, want isolate.Closed, standstill uint64, why string) (agent.Guarded, error) {
	var s nft.State
	if want.Clients {
		s.Clients = &nft.Clients{Ports: []uint16{p.cql}}
	}
	if len(want.Cut) > 0 {
		s.Ring = &nft.Ring{Ports: []uint16{p.storage}, Peers: want.Cut}
	}
	if standstill == 0 {
		r, err := p.guard.Apply(ctx, s, why)
		return p.guarded(r), err
	}
	r, err := p.guard.Awake(ctx, s, standstill, why)
	return p.guarded(r), err
}

// guarded tells as closed only what is closed as the agent would have it: other
// ports, or an exception for somebody, are a person's and keep nobody out.
func (p ports) guarded(r nft.Report) (g agent.Guarded) {
	if c := r.Standing.Clients; c != nil {
		g.Clients = slices.Equal(c.Ports, []uint16{p.cql}) && len(c.Addresses) == 0 && len(c.Allowed) == 0
	}
	if ring := r.Standing.Ring; ring != nil && slices.Equal(ring.Ports, []uint16{p.storage}) {
		g.Cut = ring.Peers
	}
	if r.StoodStill && r.Standstill != nil {
		g.Standstill = r.Standstill.Number
	}
	return g
}

// Kill ends exactly the process that is meant: one that was started since the
// caller looked is another one.
func (u unit) Kill(ctx context.Context, meant agent.Process) error {
	p, running, err := u.service.Running(ctx)
	if err != nil || !running || p.Boot() != meant.Boot {
		return err
	}
	return u.KillOnly(ctx, p)
}

// Start starts through systemd or the site's command, behind the gate. A process that
// runs already is what was wanted; a gate that refused is an error.
func (u unit) Start(ctx context.Context) error {
	err := u.service.Start(ctx)
	switch {
	case errors.Is(err, process.ErrRunning):
		return nil
	case errors.Is(err, process.ErrUncertain):
		return fmt.Errorf("%w: %w", agent.ErrUncertain, err)
	}
	return err
}

// Watch is what the probe asks of the process: its boot, and a channel that
// closes when it ends.
func (u unit) Watch(ctx context.Context) (cluster.Boot, <-chan struct{}, error) {
	p, ok, err := u.service.Running(ctx)
	if err != nil || !ok {
		return "", nil, err
	}
	return p.Boot(), process.Exited(ctx, p), nil
}

// observer is a probe that is made anew when the peers change.
type observer struct {
	ctx   context.Context
	make  func(peers []probe.Target) (*probe.Probe, error)
	ready chan struct{}

	mu    sync.Mutex
	probe *probe.Probe
	stop  context.CancelFunc
	done  chan struct{}
}

func newObserver(ctx context.Context, build func([]probe.Target) (*probe.Probe, error)) (*observer, error) {
	o := &observer{ctx: ctx, make: build, ready: make(chan struct{}, 1)}
	return o, o.use(nil)
}

// use replaces the probe; its looks begin anew, which means Unknown for a
// moment and never Gone.
func (o *observer) use(peers []probe.Target) error {
	p, err := o.make(peers)
	if err != nil {
		return fmt.Errorf("look at %d peers: %w", len(peers), err)
	}
	o.end()
	ctx, stop := context.WithCancel(o.ctx)
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	go o.forward(ctx, p)
	o.mu.Lock()
	o.probe, o.stop, o.done = p, stop, done
	o.mu.Unlock()
	return nil
}

func (o *observer) forward(ctx context.Context, p *probe.Probe) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.Changes():
			select {
			case o.ready <- struct{}{}:
			default:
			}
		}
	}
}

// end stops the probe and waits for it.
func (o *observer) end() {
	o.mu.Lock()
	stop, done := o.stop, o.done
	o.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
}

func (o *observer) current() *probe.Probe {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.probe
}

func (o *observer) Ready() <-chan struct{}       { return o.ready }
func (o *observer) Looks() []membership.Look     { return o.current().Looks() }
func (o *observer) LookNow(subject cluster.Name) { o.current().LookNow(subject) }
func (o *observer) Process() cluster.Boot        { return o.current().Process() }
func (o *observer) Unwell() bool                 { return o.current().Unwell() }
func (o *observer) Unwatched() error             { return o.current().Unwatched() }
func (o *observer) State() (cassandra.NodeState, time.Duration, bool) {
	return o.current().State()
}

// Watch names the peers; a fault leaves the probe as it is.
func (o *observer) Watch(peers []cluster.Host) error {
	targets := make([]probe.Target, len(peers))
	for i, h := range peers {
		targets[i] = probe.Target{Name: h.Name, CQL: h.CQL, Storage: h.Storage}
	}
	return o.use(targets)
}

// reader opens a session for each question and closes it again: they are rare,
// and a kept one would hold on to nodes that come and go.
type reader struct{ options cassandra.SessionOptions }

func (r reader) Schema(ctx context.Context, addresses []string, names map[string]cluster.Name) (cluster.Schema, error) {
	var errs []error
	for _, a := range addresses {
		s, err := r.schema(ctx, a, names)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return cluster.Schema{}, errors.Join(errs...)
}

func (r reader) schema(ctx context.Context, address string, names map[string]cluster.Name) (cluster.Schema, error) {
	o := r.options
	o.Consistency = cassandra.One
	s, err := cassandra.OpenSession(ctx, address, o)
	if err != nil {
		return cluster.Schema{}, err
	}
	defer s.Close()
	return s.Schema(ctx, names)
}

func (r reader) Compare(ctx context.Context, quorum, one, keyspace, table string, most int) (cassandra.Comparison, error) {
	o := r.options
	o.Consistency = cassandra.Quorum
	q, err := cassandra.OpenSession(ctx, quorum, o)
	if err != nil {
		return cassandra.Comparison{}, fmt.Errorf("ask %s: %w", quorum, err)
	}
	defer q.Close()
	sample, err := q.Sample(ctx, keyspace, table, most)
	if err != nil {
		return cassandra.Comparison{}, err
	}
	o.Consistency = cassandra.One
	n, err := cassandra.OpenSession(ctx, one, o)
	if err != nil {
		return cassandra.Comparison{}, fmt.Errorf("ask %s: %w", one, err)
	}
	defer n.Close()
	return n.CompareOne(ctx, sample)
}

// proxyMax bounds one exchange with one proxy.
const proxyMax = time.Second

func newProxy(name, socket, backend string) (agent.Proxy, error) {
	return haproxy.New(haproxy.Options{Name: name, Address: socket, Backend: backend, Timeout: proxyMax})
}
