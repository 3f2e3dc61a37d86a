// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/isolate"
	"supervisor/loadbalancer"
)

// fakeNode is one Cassandra. It keeps the order in which things are done to
// it and remembers every act that must never be done. region.mu guards it.
type fakeNode struct {
	r    *region
	name cluster.Name
	disk Disk // the gate of its host reads it

	running    bool
	paused     bool // SIGSTOP
	dark       bool // its host is off, or nobody reaches it
	boots      int
	began      time.Time // of the process
	hibernated bool      // out of the ring
	severity   float64
	native     bool
	nativeOff  bool // turned off by hand, or not open yet
	generation int64
	cluster    string
	silent     bool // Jolokia does not answer
	drained    bool
	unwatched  error // of the agent's file in the data directory
	ungated    bool  // its unit starts it again at once, past the gate
	endless    bool  // what is repaired there ends only with its order
	falseUp    bool  // n1 took it for alive while it began to gossip

	slept, awake int  // repairs since this process began, by where it stood
	compared     bool // by another coordinator, since the last repair
	rows         bool // known rows were read through it
	changedAt    time.Time
	old          int // old rows that the next comparisons find
	vitals       cassandra.Vitals
	writes       map[string]cassandra.TableWrites
	load         cassandra.Load
	loadErr      error
	free         int64 // of a disk of a thousand
	counters     int   // previews that find ks.c, a table of counters, to differ
}

const (
	gossipAfter = time.Second // from the start of the process
	repairTakes = 700 * time.Millisecond
	readTakes   = 3 * time.Millisecond
)

func (n *fakeNode) boot() cluster.Boot { return cluster.Boot(fmt.Sprintf("p-%s-%d", n.name, n.boots)) }

// gossips tells whether the process has come so far.
func (n *fakeNode) gossips() bool {
	return n.running && time.Since(n.began) >= gossipAfter
}

// serves tells whether clients get answers.
func (n *fakeNode) serves() bool { return n.gossips() && !n.paused && n.native && !n.nativeOff }

// begin starts the process; the caller holds mu.
func (n *fakeNode) begin(start isolate.Start) {
	n.boots++
	n.generation++
	n.running, n.paused, n.began, n.severity = true, false, time.Now(), 0
	n.hibernated = start == isolate.Hibernate
	n.native = !n.hibernated
	n.slept, n.awake, n.compared, n.rows, n.drained = 0, 0, false, false, false
	n.changedAt = time.Now()
	n.r.did(n.name, "begin "+start.String())
}

// die ends the process; the caller holds mu.
func (n *fakeNode) die() {
	n.running, n.paused, n.native, n.changedAt = false, false, false, time.Now()
	n.r.did(n.name, "dies")
}

// peerState is what another node's gossip says of this one.
func (n *fakeNode) peerState() cassandra.PeerState {
	p := cassandra.PeerState{Up: n.gossips() && !n.paused && !n.hibernated, Generation: n.generation, Status: "NORMAL",
		Severity: n.severity, SeveritySeen: true}
	if n.running && !n.gossips() {
		p.Generation-- // they know of the process before it only
	}
	if n.hibernated {
		p.Status = cassandra.StatusHibernate
	}
	return p
}

func (n *fakeNode) storage() string { return address(n.name) + ":7000" }

// fakeUnit is the Unit of a host.
type fakeUnit struct{ n *fakeNode }

func (u fakeUnit) Running(ctx context.Context) (Process, bool, error) {
	pause(ctx, time.Millisecond)
	u.n.r.mu.Lock()
	defer u.n.r.mu.Unlock()
	if !u.n.running {
		return Process{}, false, ctx.Err()
	}
	return Process{PID: 1000 + u.n.boots, Boot: u.n.boot()}, true, ctx.Err()
}

// Start goes through the gate as the start command does.
func (u fakeUnit) Start(ctx context.Context) error {
	pause(ctx, 20*time.Millisecond)
	if err := ctx.Err(); err != nil {
		return err
	}
	u.n.r.startOrdered(u.n)
	local, err := u.n.disk.Local()
	if err != nil {
		return err
	}
	ans, ok := isolate.BeforeAsking(local, time.Now())
	u.n.r.mu.Lock()
	defer u.n.r.mu.Unlock()
	switch {
	case u.n.running:
		u.n.r.breach("%s is started while it runs", u.n.name)
		return errors.New("it runs already")
	case !ok || ans.Start != isolate.Hibernate && ans.Start != isolate.Normal:
		return fmt.Errorf("the gate says %s: %s", ans.Start, ans.Why)
	}
	u.n.begin(ans.Start)
	return nil
}

func (u fakeUnit) Kill(_ context.Context, p Process) error {
	u.n.r.mu.Lock()
	defer u.n.r.mu.Unlock()
	if !u.n.running || p.Boot != u.n.boot() {
		u.n.r.breach("%s: %s is ended, %s was meant", u.n.name, u.n.boot(), p.Boot)
		return nil
	}
	u.n.r.touched(u.n.name, "kill")
	u.n.falseUp = false
	u.n.die()
	if u.n.ungated {
		u.n.begin(isolate.Normal)
	}
	return nil
}

// fakeAdmin is the admin interface of a host's Cassandra.
type fakeAdmin struct{ n *fakeNode }

var errAdmin = &cassandra.AdminError{Type: "javax.management.InstanceNotFoundException", Message: "not there yet"}

// call waits as a call does and takes the lock; an error leaves it free.
func (a fakeAdmin) call(ctx context.Context) error {
	pause(ctx, readTakes)
	if err := ctx.Err(); err != nil {
		return err
	}
	a.n.r.mu.Lock()
	switch {
	case a.n.silent || a.n.paused:
		a.n.r.mu.Unlock()
		pause(ctx, time.Second)
		return cassandra.ErrSilent
	case !a.n.running:
		a.n.r.mu.Unlock()
		return cassandra.ErrRefused
	case !a.n.gossips():
		a.n.r.mu.Unlock()
		return errAdmin
	}
	return nil
}

func (a fakeAdmin) Settings(context.Context) (cassandra.Settings, error) {
	a.n.r.mu.Lock()
	defer a.n.r.mu.Unlock()
	return cassandra.Settings{HintWindow: a.n.r.hints}, nil
}

func (a fakeAdmin) Vitals(ctx context.Context, _ bool) (cassandra.Vitals, error) {
	if err := a.call(ctx); err != nil {
		return cassandra.Vitals{}, err
	}
	defer a.n.r.mu.Unlock()
	return a.n.vitals, nil
}

func (a fakeAdmin) Writes(ctx context.Context) (map[string]cassandra.TableWrites, error) {
	if err := a.call(ctx); err != nil {
		return nil, err
	}
	defer a.n.r.mu.Unlock()
	return maps.Clone(a.n.writes), nil
}

// Load is what a test says it is.
func (a fakeAdmin) Load(ctx context.Context) (cassandra.Load, error) {
	if err := a.call(ctx); err != nil {
		return cassandra.Load{}, err
	}
	defer a.n.r.mu.Unlock()
	return a.n.load, a.n.loadErr
}

// space is the room on the disk under the node's data.
func (n *fakeNode) space() (Space, error) {
	n.r.mu.Lock()
	defer n.r.mu.Unlock()
	return Space{Used: 1000 - n.free, Free: n.free}, nil
}

func (a fakeAdmin) State(ctx context.Context) (cassandra.NodeState, error) {
	if err := a.call(ctx); err != nil {
		return cassandra.NodeState{}, err
	}
	defer a.n.r.mu.Unlock()
	n := a.n
	s := cassandra.NodeState{OperationMode: "NORMAL", ClusterName: n.cluster, HostID: hostID(n.name), Release: "5.0.9",
		Gossip: true, CQL: n.native && !n.nativeOff, Drained: n.drained, Tokens: 1, DynamicSnitch: true, Severity: n.severity,
		Address: n.storage(), Self: n.peerState(), Peers: map[string]cassandra.PeerState{}}
	switch {
	case n.hibernated:
		s.OperationMode = "STARTING"
	case n.drained:
		s.OperationMode = "DRAINED"
	}
	for _, name := range n.r.names {
		if name == n.name {
			continue
		}
		p := n.r.nodes[name]
		seen := p.peerState()
		if p.falseUp && n.name == "n1" && p.gossips() {
			seen.Up = true
		}
		s.Peers[p.storage()], s.Seeds = seen, append(s.Seeds, p.storage())
	}
	for _, p := range n.r.farNodes() {
		s.Peers[p.storage()] = n.r.line.seen(p)
	}
	return s, nil
}

func (a fakeAdmin) SetSeverity(ctx context.Context, v float64) error {
	if err := a.call(ctx); err != nil {
		return err
	}
	defer a.n.r.mu.Unlock()
	if v == a.n.severity {
		return nil
	}
	a.n.r.touched(a.n.name, fmt.Sprintf("severity %v", v))
	if v == 0 && a.n.r.returned(a.n) && (a.n.awake == 0 || !a.n.compared) {
		a.n.r.breach("%s: severity lowered after %d repairs awake, compared %v", a.n.name, a.n.awake, a.n.compared)
	}
	a.n.severity = v
	return nil
}

func (a fakeAdmin) JoinRing(ctx context.Context) error {
	if err := a.call(ctx); err != nil {
		return err
	}
	defer a.n.r.mu.Unlock()
	a.n.r.touched(a.n.name, "join_ring")
	switch {
	case !a.n.hibernated:
		a.n.r.breach("%s joins the ring twice", a.n.name)
	case a.n.slept == 0:
		a.n.r.breach("%s joins the ring before a repair", a.n.name)
	case a.n.severity < isolate.SeverityFenced:
		a.n.r.breach("%s joins the ring with severity %v", a.n.name, a.n.severity)
	}
	a.n.hibernated, a.n.changedAt = false, time.Now()
	return nil
}

func (a fakeAdmin) StartNativeTransport(ctx context.Context) error {
	if err := a.call(ctx); err != nil {
		return err
	}
	defer a.n.r.mu.Unlock()
	a.n.r.touched(a.n.name, "native on")
	if a.n.severity != 0 || a.n.hibernated || a.n.r.returned(a.n) && !a.n.compared {
		a.n.r.breach("%s: native transport on with severity %v, hibernated %v, compared %v", a.n.name, a.n.severity, a.n.hibernated, a.n.compared)
	}
	a.n.native, a.n.changedAt = true, time.Now()
	return nil
}

func (a fakeAdmin) StopNativeTransport(ctx context.Context) error {
	if err := a.call(ctx); err != nil {
		return err
	}
	defer a.n.r.mu.Unlock()
	a.n.r.touched(a.n.name, "native off")
	a.n.native, a.n.changedAt = false, time.Now()
	return nil
}

func (a fakeAdmin) Repair(ctx context.Context, keyspace string, o cassandra.RepairOptions) (cassandra.RepairResult, error) {
	if err := a.call(ctx); err != nil {
		return cassandra.RepairResult{}, err
	}
	boot := a.n.boot()
	a.n.r.mu.Unlock()
	pause(ctx, repairTakes)
	if a.n.endless {
		<-ctx.Done()
	}
	a.n.r.mu.Lock()
	defer a.n.r.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return cassandra.RepairResult{}, ctx.Err()
	case !a.n.running || a.n.boot() != boot:
		return cassandra.RepairResult{}, fmt.Errorf("repair %s: %w", keyspace, cassandra.ErrRefused)
	case !slices.Contains(o.Hosts, a.n.storage()):
		a.n.r.breach("%s repairs %s without itself: %v", a.n.name, keyspace, o.Hosts)
	case o.Preview:
		a.n.r.did(a.n.name, "preview "+keyspace)
		for _, name := range a.n.r.names {
			a.n.r.nodes[name].compared = a.n.r.nodes[name].compared || name != a.n.name
		}
		if n := a.n.r.nodes["n3"]; n != nil && keyspace == "ks" && n.counters > 0 {
			n.counters--
			return cassandra.RepairResult{Differences: []cassandra.Difference{{Keyspace: "ks", Table: "c", Count: 1}}}, nil
		}
		return cassandra.RepairResult{}, nil
	}
	a.n.r.touched(a.n.name, "repair "+keyspace)
	a.n.r.repairedWith(o.Hosts)
	a.n.compared = false
	if a.n.hibernated {
		a.n.slept++
	} else {
		a.n.awake++
	}
	return cassandra.RepairResult{Command: 1}, nil
}

// RepairStatus: here a repair ends with who asked for it.
func (a fakeAdmin) RepairStatus(context.Context, int) (cassandra.RepairStatus, error) {
	return cassandra.RepairStatus{Phase: cassandra.Completed}, nil
}

// fakeReader reads ring, schema and rows.
type fakeReader struct{ r *region }

func (q fakeReader) at(cql string) *fakeNode {
	for _, name := range q.r.names {
		if cqlOf(name) == cql {
			return q.r.nodes[name]
		}
	}
	return nil
}

func (q fakeReader) Schema(ctx context.Context, addresses []string, named map[string]cluster.Name) (cluster.Schema, error) {
	pause(ctx, readTakes)
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	for _, a := range addresses {
		if n := q.at(a); n != nil && n.serves() {
			return q.r.schema(named), nil
		}
	}
	return cluster.Schema{}, cassandra.ErrSilent
}

func (q fakeReader) Compare(ctx context.Context, quorum, one, _, table string, _ int) (cassandra.Comparison, error) {
	pause(ctx, readTakes)
	if table == "c" {
		return cassandra.Comparison{}, fmt.Errorf("sample: %w", cassandra.ErrNotComparable)
	}
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	n := q.at(one)
	if by := q.at(quorum); !by.serves() || !n.serves() || by == n {
		return cassandra.Comparison{}, cassandra.ErrSilent
	}
	if n.severity != 0 {
		q.r.breach("rows are read through %s with severity %v", n.name, n.severity)
	}
	c := cassandra.Comparison{Read: 10, Old: n.old}
	q.r.did(n.name, fmt.Sprintf("rows read, %d old", n.old))
	n.old, n.rows = 0, c.Old == 0
	return c, ctx.Err()
}

// fakeProxy is one HAProxy.
type fakeProxy struct {
	r       *region
	servers map[cluster.Name]loadbalancer.Wish
	gone    bool // its socket is missing
	refuses bool // it may be read and not written
}

func (p *fakeProxy) Read(ctx context.Context) ([]loadbalancer.Actual, error) {
	pause(ctx, time.Millisecond)
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	if p.gone {
		return nil, errors.New("dial unix /run/ha.sock: no such file or directory")
	}
	var out []loadbalancer.Actual
	for _, n := range p.r.names {
		w := p.servers[n]
		out = append(out, loadbalancer.Actual{Server: n, Want: w.Want, Weight: max(w.Weight, 1), Normal: 100})
	}
	return out, ctx.Err()
}

func (p *fakeProxy) Apply(ctx context.Context, changes []loadbalancer.Change) error {
	pause(ctx, time.Millisecond)
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	if p.gone {
		return errors.New("dial unix /run/ha.sock: no such file or directory")
	}
	if p.refuses {
		return errors.New("refused: Permission denied")
	}
	for _, c := range changes {
		n := p.r.nodes[c.Server]
		if c.To.Want == loadbalancer.Ready && p.r.returned(n) && (!n.rows || !n.serves()) {
			p.r.breach("%s gets clients: rows read %v, serves %v", n.name, n.rows, n.serves())
		}
		if p.servers[c.Server] != c.To { // two writers may say the same for a moment
			p.r.touched(c.Server, "pool "+c.To.String())
			p.servers[c.Server] = c.To
		}
	}
	return ctx.Err()
}
