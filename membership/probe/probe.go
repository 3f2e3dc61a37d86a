// SPDX-License-Identifier: Apache-2.0

// Package probe looks at the own node and at peers and keeps the newest look
// of every path. It judges nothing.
//
// Every path to every node is looked at by a goroutine of its own, so that a
// silent one delays no other. A trouble of the looker's own, like a full table
// of open files, is no word about the node: such a look is left out and the
// last one grows old.
package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/membership"
)

// Target is one node to look at.
type Target struct {
	Name    cluster.Name
	CQL     string // address:port
	Storage string // address:port; also the node's key in gossip
}

// Process watches the own Cassandra process. It gives the process's boot and
// a channel that is closed the moment the process ends; an empty boot says
// that none runs. When ctx ends, watching ends.
type Process interface {
	Watch(ctx context.Context) (cluster.Boot, <-chan struct{}, error)
}

// Admin reads the own node's state.
type Admin interface {
	State(ctx context.Context) (cassandra.NodeState, error)
}

// Options are complete.
type Options struct {
	Own     Target
	Peers   []Target // at most PeersMax
	Process Process
	Admin   Admin
	DataDir string                // of Cassandra; one small file is written there
	Now     func() cluster.Moment // the boot clock
	Pace    Pace
	// Looked is told of every look when it is noted, by many goroutines; it must
	// not wait.
	Looked func(membership.Path, membership.Outcome)
}

// PeersMax bounds how many peers one agent looks at: as many as it can be
// assigned.
const PeersMax = membership.WatchMax

// Pace says how often each path is looked at and what counts as slow.
type Pace struct {
	CQLEvery     time.Duration
	CQLMax       time.Duration // no answer by then is silence
	CQLLate      time.Duration // an answer later than this is Late
	CQLRedial    time.Duration // the kept connection is replaced so often: an old one is served on after the port was closed
	StorageEvery time.Duration
	StorageMax   time.Duration
	ProcessEvery time.Duration // while no process runs; an exit is noticed at once
	AdminEvery   time.Duration
	AdminMax     time.Duration
	AdminLate    time.Duration
	DiskEvery    time.Duration
	DiskLate     time.Duration // a sync longer than this is Late
	DiskMax      time.Duration // and one longer than this is Silent
	LagMax       time.Duration // a loop this much behind makes the observer unwell
	UnwellFor    time.Duration // and it stays so for as long: what it saw meanwhile may be its own fault
}

// DefaultPace is what detection within a second needs.
func DefaultPace() Pace {
	return Pace{
		CQLEvery: 500 * time.Millisecond, CQLMax: 400 * time.Millisecond, CQLLate: 200 * time.Millisecond,
		CQLRedial:    2 * time.Second,
		StorageEvery: 2 * time.Second, StorageMax: 400 * time.Millisecond,
		ProcessEvery: 200 * time.Millisecond,
		AdminEvery:   time.Second, AdminMax: time.Second, AdminLate: 500 * time.Millisecond,
		DiskEvery: 2 * time.Second, DiskLate: time.Second, DiskMax: 10 * time.Second,
		LagMax: time.Second, UnwellFor: 3 * time.Second,
	}
}

// Probe looks while Run runs; its other methods may be called at any time by
// anybody and never wait.
type Probe struct {
	o     Options
	table *table
	kicks map[cluster.Name][]chan struct{} // capacity 1 each: "look now"
	write func(path string) error          // writeSynced, but for a test of a disk that hangs

	mu      sync.Mutex
	process cluster.Boot
	state   cassandra.NodeState
	stateAt cluster.Moment
	stated  bool
	lagged  cluster.Moment
	lags    bool
}

// New checks the options and reports all faults at once.
func New(o Options) (*Probe, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	return &Probe{o: o, table: newTable(o.Looked), kicks: map[cluster.Name][]chan struct{}{}, write: writeSynced}, nil
}

func (o Options) check() error {
	var faults []error
	fault := func(bad bool, what string) {
		if bad {
			faults = append(faults, errors.New(what))
		}
	}
	fault(o.Process == nil || o.Admin == nil || o.Now == nil || o.Looked == nil, "process, admin, clock and a counter of looks are wanted")
	fault(o.DataDir == "", "Cassandra's data directory is wanted")
	fault(len(o.Peers) > PeersMax, fmt.Sprintf("%d peers, at most %d can be looked at", len(o.Peers), PeersMax))
	seen := map[cluster.Name]bool{}
	for _, t := range append([]Target{o.Own}, o.Peers...) {
		fault(t.Name == "" || t.CQL == "" || t.Storage == "", fmt.Sprintf("node %q wants a name, a CQL and a storage address", t.Name))
		fault(seen[t.Name], fmt.Sprintf("node %q is named twice", t.Name))
		seen[t.Name] = true
	}
	p := o.Pace
	for _, d := range []time.Duration{p.CQLEvery, p.CQLMax, p.CQLLate, p.CQLRedial, p.StorageEvery, p.StorageMax, p.ProcessEvery, p.AdminEvery,
		p.AdminMax, p.AdminLate, p.DiskEvery, p.DiskLate, p.DiskMax, p.LagMax, p.UnwellFor} {
		if d <= 0 {
			fault(true, "every duration of the pace must be positive")
			break
		}
	}
	return errors.Join(faults...)
}

// Run looks until ctx ends and returns when every look has ended; only a sync
// that the disk does not end is left behind. It is for one call. All loops
// begin in the same moment and so look in one waking of the process: each
// waking of a quiet process costs more than a look.
func (p *Probe) Run(ctx context.Context) {
	var all sync.WaitGroup
	loops := []func(context.Context){p.watchProcess, p.watchAdmin, p.watchDisk, p.watchSelf}
	for i, t := range append([]Target{p.o.Own}, p.o.Peers...) {
		ask := p.kick(t.Name)
		loops = append(loops, func(ctx context.Context) { p.watchCQL(ctx, t, ask) })
		if i > 0 {
			connect := p.kick(t.Name)
			loops = append(loops, func(ctx context.Context) { p.watchStorage(ctx, t, connect) })
		}
	}
	for _, loop := range loops {
		all.Go(func() { loop(ctx) })
	}
	all.Wait()
}

// kick makes the channel by which one loop of a node is told to look now.
func (p *Probe) kick(n cluster.Name) chan struct{} {
	c := make(chan struct{}, 1)
	p.mu.Lock()
	p.kicks[n] = append(p.kicks[n], c)
	p.mu.Unlock()
	return c
}

// LookNow makes every path to subject that can be hurried be looked at at
// once; it does not wait for what is seen. A node nobody looks at is passed over.
func (p *Probe) LookNow(subject cluster.Name) {
	p.mu.Lock()
	kicks := p.kicks[subject]
	p.mu.Unlock()
	for _, c := range kicks {
		select {
		case c <- struct{}{}:
		default: // it is about to look already
		}
	}
}

// Changes has capacity 1 and says "a look says something new": an outcome, a
// miss up to the third, another process, the own health. Ages do not count.
func (p *Probe) Changes() <-chan struct{} { return p.table.changed }

// Looks are the newest looks with their ages as of now, by subject and path.
func (p *Probe) Looks() []membership.Look { return p.table.looks(p.o.Now()) }

// Troubles are the errors behind the newest looks, and behind the looks that
// could not be made at all.
func (p *Probe) Troubles() []Trouble { return p.table.troubles() }

// Unwatched is why the newest look at the data directory's disk could not be
// made; nil when it was made, however it went.
func (p *Probe) Unwatched() error {
	for _, t := range p.Troubles() {
		if t.Subject == p.o.Own.Name && t.Path == membership.Disk && t.Unmade {
			return t.Err
		}
	}
	return nil
}

// Process is the boot of the own Cassandra process, empty when none runs.
func (p *Probe) Process() cluster.Boot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

// State is the newest word of the own node's process about itself and its
// peers, and how old it is; false when that process has not said one.
func (p *Probe) State() (cassandra.NodeState, time.Duration, bool) {
	now := p.o.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state, now.Sub(p.stateAt), p.stated
}

// Unwell tells whether this observer has stalled so recently that its looks
// may tell of itself.
func (p *Probe) Unwell() bool {
	now := p.o.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lags && now.Sub(p.lagged) < p.o.Pace.UnwellFor
}
