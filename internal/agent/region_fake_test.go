// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/cassandra"
	"supervisor/internal/lead"
	"supervisor/internal/obey"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
	"supervisor/residency"
)

// names are the hosts of the region, one a rack; all agents are control agents.
var names = []cluster.Name{"n1", "n2", "n3"}

func address(n cluster.Name) string {
	if b, far := strings.CutPrefix(string(n), "b"); far {
		return "10.0.9." + b
	}
	return "10.0.0." + strings.TrimPrefix(string(n), "n")
}
func cqlOf(n cluster.Name) string { return address(n) + ":9042" }
func hostID(n cluster.Name) cluster.HostID {
	return cluster.HostID("id-" + string(n))
}

// region is three hosts, a store and a proxy in one bubble of time.
type region struct {
	t     *testing.T
	dir   string
	names []cluster.Name
	is    cluster.Region
	dc    cluster.Datacenter
	far   *region // the other region of its Cassandra cluster, with a store of its own; nil: none
	line  *line   // between the two
	store *fakeStore
	proxy *fakeProxy
	other *fakeProxy // declared by twoProxies only
	nodes map[cluster.Name]*fakeNode
	keys  map[cluster.Name]ed25519.PrivateKey

	mu       *sync.Mutex // of everything below and of all nodes, also of the other region
	agents   map[cluster.Name][]*run
	boots    int
	story    []string // what was done to whom, in order
	touches  int      // acts that somebody ordered
	breaches []string
	hints    time.Duration // of every node's hint window
}

// run is one run of an agent.
type run struct {
	r      *region
	name   cluster.Name
	boot   cluster.Boot
	agent  *Agent
	client *client
	logs   *observer.ObservedLogs
	stop   context.CancelFunc
	done   chan struct{}
	looks  *fakeObserver
	mail   *fakeCourier
}

// inRegion plays a story in a bubble: everybody runs before it begins, stops
// after it, and nothing may have been done that must never be done.
func inRegion(t *testing.T, mode incident.Mode, story func(*region)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, dir, mode)
		for _, n := range names {
			r.start(n)
		}
		r.wait("a leader that knows the schema", 20*time.Second, r.settled)
		story(r)
		for _, n := range names {
			r.halt(n, true)
		}
		time.Sleep(time.Minute) // outages and leases run out; who does not end now leaks
		for _, b := range r.breaches {
			t.Errorf("must never be: %s", b)
		}
		if t.Failed() {
			r.print()
		}
	})
}

func newRegion(t *testing.T, dir string, mode incident.Mode) *region {
	r := &region{t: t, dir: dir, names: names, is: "eu", dc: "dc1", mu: &sync.Mutex{}, hints: 3 * time.Hour, store: newFakeStore(), nodes: map[cluster.Name]*fakeNode{},
		keys: keysOf(names), agents: map[cluster.Name][]*run{}}
	r.proxy = &fakeProxy{r: r, servers: map[cluster.Name]loadbalancer.Wish{}}
	r.other = &fakeProxy{r: r, servers: map[cluster.Name]loadbalancer.Wish{}}
	r.populate(policy(mode))
	return r
}

// populate has a Cassandra on every host, and what `store init` and `policy apply`
// write in the store.
func (r *region) populate(p incident.Policy) {
	for i, n := range r.names {
		r.proxy.servers[n], r.other.servers[n] = loadbalancer.Full, loadbalancer.Full
		disk, err := NewDisk(filepath.Join(r.dir, string(n)))
		if err != nil {
			r.t.Fatal(err)
		}
		r.nodes[n] = &fakeNode{r: r, name: n, disk: disk, cluster: "demo", free: 500, generation: int64(100 * (i + 1))}
		r.nodes[n].begin(isolate.Normal)
	}
	r.found(p)
	r.story = nil
}

func keysOf(names []cluster.Name) map[cluster.Name]ed25519.PrivateKey {
	keys := map[cluster.Name]ed25519.PrivateKey{}
	for i, n := range names {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = byte(i + 1)
		keys[n] = ed25519.NewKeyFromSeed(seed)
	}
	return keys
}

// found writes what `store init` and `policy apply` write.
func (r *region) found(p incident.Policy) {
	txn := store.Txn{}
	put := func(key string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			r.t.Fatal(err)
		}
		txn.Put = append(txn.Put, store.Put{Key: key, Value: b})
	}
	put(store.Era, lead.EraDoc{Era: 1, EtcdClusterID: r.store.cluster})
	put(store.Level, 1)
	put(store.Policy, p)
	for i, n := range r.names {
		put(store.Host(n), cluster.Host{Name: n, HostID: hostID(n), Region: r.is, Datacenter: r.dc,
			Rack: cluster.Rack(fmt.Sprintf("r%d", i+1)), CQL: cqlOf(n), Storage: address(n) + ":7000", Gossip: address(n) + ":7946",
			PublicKey: base64.StdEncoding.EncodeToString(r.keys[n].Public().(ed25519.PublicKey))})
	}
	if _, err := r.store.m.Commit(0, txn); err != nil {
		r.t.Fatal(err)
	}
}

func policy(mode incident.Mode) incident.Policy {
	p := incident.DefaultPolicy()
	p.Version = 1
	p.Modes["dc1"] = mode
	p.Regions["eu"] = []cluster.Datacenter{"dc1"}
	p.Residency = residency.Open([]cluster.Region{"eu"})
	p.KnownRows = []incident.KnownRows{{Keyspace: "ks", Table: "t", Max: 10}}
	p.AcceptAuthRF = true
	p.Return.BatchMax = 1
	p.Pools = []loadbalancer.Declared{{Name: "web", Backend: "cql", Members: names, Writers: []cluster.Name{"n1", "n2", "n3"},
		Proxies: []loadbalancer.Proxy{{Name: "ha", Socket: "/run/ha.sock"}}}}
	return p
}

func schema() cluster.Schema {
	s := cluster.Schema{Version: "v1"}
	for i, n := range names {
		s.Members = append(s.Members, cluster.Member{Name: n, HostID: hostID(n), Address: address(n), Datacenter: "dc1",
			Rack: cluster.Rack(fmt.Sprintf("r%d", i+1)), Tokens: []int64{int64(i+1) * 100}})
	}
	for _, ks := range []string{"ks", "other"} {
		s.Keyspaces = append(s.Keyspaces, cluster.Keyspace{Name: ks, Replication: cluster.Replication{Strategy: cluster.NetworkTopology,
			Factors: map[cluster.Datacenter]int{"dc1": 3}}, Tables: []cluster.Table{{Name: "t", GCGrace: 10 * 24 * time.Hour}}})
	}
	return s
}

// start runs a new agent on a host.
func (r *region) start(n cluster.Name, change ...func(*Options)) *run {
	ctx, stop := context.WithCancel(context.Background())
	r.mu.Lock()
	r.boots++
	h := &run{r: r, name: n, boot: cluster.Boot(fmt.Sprintf("b%d", r.boots)), stop: stop, done: make(chan struct{})}
	r.mu.Unlock()
	core, logs := observer.New(zapcore.DebugLevel)
	h.logs = logs
	h.client = newClient(ctx, r.store, n)
	h.looks = newFakeObserver(ctx, r, n)
	h.mail = &fakeCourier{r: r, name: n, ready: make(chan struct{}, 1)}
	horizon, _ := r.nodes[n].disk.Horizon() // a disk that is broken from the start has none
	h.client.believe(horizon.EtcdCluster)
	o := Options{Cluster: "demo", Region: r.is, Self: n, Boot: h.boot, Version: "test", Key: r.keys[n], Control: r.names, Regions: r.reads(),
		Member: func() string { return "" }, Around: func() []incident.Trouble { return nil },
		Disk: r.nodes[n].disk, Horizon: horizon, Seen: h.client.seen, Journal: h.client, Election: h.client, Pulse: h.client, Courier: h.mail, Observer: h.looks,
		Unit: fakeUnit{r.nodes[n]}, Admin: fakeAdmin{r.nodes[n]}, Space: r.nodes[n].space, Reader: fakeReader{r},
		Proxies: func(name, _, _ string) (Proxy, error) { return r.proxyOf(name), nil },
		Clock:   bubbleClock{}, Counters: noCounters{}, Log: zap.New(core)}
	for _, f := range change {
		f(&o)
	}
	h.agent = New(o)
	r.mu.Lock()
	r.agents[n] = append(r.agents[n], h)
	r.mu.Unlock()
	go func() {
		defer close(h.done)
		if err := h.agent.Run(ctx); err != nil {
			r.breach("agent of %s: %v", n, err)
		}
	}()
	return h
}

// halt ends the newest run of an agent: by a clean stop, or as a crash that
// leaves its leases to run out.
func (r *region) halt(n cluster.Name, goodbye bool) {
	r.mu.Lock()
	if len(r.agents[n]) == 0 {
		r.mu.Unlock()
		return
	}
	h := r.agents[n][len(r.agents[n])-1]
	r.agents[n] = r.agents[n][:len(r.agents[n])-1]
	r.mu.Unlock()
	h.stop()
	<-h.done
	h.client.leave(goodbye)
}

// restart is a crash and a new start of an agent, on the same disk.
func (r *region) restart(n cluster.Name) *run {
	r.halt(n, false)
	return r.start(n)
}

// host is the newest run of an agent.
func (r *region) host(n cluster.Name) *run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.agents[n][len(r.agents[n])-1]
}

func (h *run) snapshot() api.Snapshot {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := h.agent.Snapshot(ctx)
	if err != nil {
		h.r.t.Fatalf("snapshot of %s: %v", h.name, err)
	}
	return s
}

// finds tells whether the agent shows a finding.
func (h *run) finds(code string) bool {
	for _, f := range h.snapshot().Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

// logged tells whether a line of the log has the text in its message or fields.
func (h *run) logged(text string) bool {
	for _, e := range h.logs.All() {
		if strings.Contains(e.Message, text) || strings.Contains(fmt.Sprint(e.ContextMap()), text) {
			return true
		}
	}
	return false
}

// leader is the host whose agent leads; nil while there is none.
func (r *region) leader() *run {
	var oldest store.KV
	for _, kv := range r.store.list(store.Leaders) {
		if oldest.Key == "" || kv.Create < oldest.Create {
			oldest = kv
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if runs := r.agents[cluster.Name(oldest.Value)]; oldest.Key != "" && len(runs) > 0 {
		return runs[len(runs)-1]
	}
	return nil
}

// settled tells whether a leader judges, and everybody is heard and alive.
func (r *region) settled() bool {
	l := r.leader()
	if l == nil {
		return false
	}
	s := l.snapshot()
	if s.World.Schema == nil || len(s.World.Agents) < len(r.names) {
		return false
	}
	for _, n := range r.names {
		if s.World.View.Verdicts[n].Answer != membership.Alive || s.World.View.Verdicts[n].Process == "" {
			return false
		}
	}
	return time.Duration(s.World.Now-s.World.View.Began) > 4*time.Second
}

// wait looks twenty times a second until something holds.
func (r *region) wait(what string, most time.Duration, holds func() bool) bool {
	r.t.Helper()
	for began := time.Now(); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > most {
			r.t.Errorf("%s: not within %v", what, most)
			return false
		}
	}
	return true
}

// open is the one open record; ok is false without one.
func (r *region) open() (rec incident.Record, ok bool) {
	for _, kv := range r.store.list(store.Incidents) {
		if err := json.Unmarshal(kv.Value, &rec); err != nil {
			r.t.Fatal(err)
		}
		return rec, true
	}
	return rec, false
}

// closed lists the closed records.
func (r *region) closed() []incident.Record {
	var out []incident.Record
	for _, kv := range r.store.list(store.Archive) {
		var rec incident.Record
		if err := json.Unmarshal(kv.Value, &rec); err != nil {
			r.t.Fatal(err)
		}
		out = append(out, rec)
	}
	return out
}

// awaitClosed waits until as many incidents are over and none is open.
func (r *region) awaitClosed(n int, most time.Duration) bool {
	r.t.Helper()
	return r.wait(fmt.Sprintf("%d incidents closed", n), most, func() bool {
		_, open := r.open()
		return !open && len(r.closed()) >= n
	})
}

// crash kills a Cassandra.
func (r *region) crash(n cluster.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nodes[n].die()
}

// set changes a node under the lock.
func (r *region) set(n cluster.Name, change func(*fakeNode)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r.nodes[n])
	r.nodes[n].changedAt = time.Now()
}

// did notes an event; mu is held, or nobody runs yet.
func (r *region) did(n cluster.Name, what string) {
	r.story = append(r.story, fmt.Sprintf("%s %s", n, what))
}

// touched notes an act that somebody ordered; mu is held.
func (r *region) touched(n cluster.Name, what string) {
	r.touches++
	r.did(n, what)
}

// touchedSoFar counts the acts.
func (r *region) touchedSoFar() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.touches
}

// count counts events of the story.
func (r *region) count(event string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.story {
		if e == event {
			n++
		}
	}
	return n
}

func (r *region) breach(format string, args ...any) {
	r.breaches = append(r.breaches, fmt.Sprintf(format, args...))
}

// returned tells whether a node runs a later process than its first: before
// anybody relies on it, it must have been repaired and proven.
func (r *region) returned(n *fakeNode) bool { return n.boots > 1 }

// startOrdered holds a start against what must be there before it: the order
// claimed in the store, and its mark on the disk.
func (r *region) startOrdered(n *fakeNode) {
	marks, err := n.disk.Marks()
	claimed := false
	for _, kv := range r.store.list(store.Orders + string(n.name) + "/") {
		var o incident.Order
		if store.Strict(kv.Value, &o) != nil || o.Once.Verb != incident.VerbStart {
			continue
		}
		claimed = claimed || o.State == incident.Claimed && marks[obey.Cassandra].Effect == o.ID && !marks[obey.Cassandra].Done
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.touched(n.name, "start")
	if err != nil || !claimed {
		r.breach("%s is started without claim and mark (%v)", n.name, err)
	}
}

// print shows the story of a test that failed.
func (r *region) print() {
	r.t.Logf("story: %s", strings.Join(r.story, "; "))
	if rec, open := r.open(); open {
		step := "none"
		if rec.Return != nil {
			step = rec.Return.Step.String()
		}
		r.t.Logf("open: %s in %s, step %s, waits for %q, held %q, pending %d", rec.ID, rec.Phase, step, rec.Waits, rec.Held, len(rec.Pending))
	}
	for _, kv := range r.store.list(store.Orders) {
		r.t.Logf("%s: %s", kv.Key, kv.Value)
	}
	var lines []string
	for _, kv := range r.store.list(store.Logs) {
		var e incident.Entry
		if json.Unmarshal(kv.Value, &e) == nil {
			lines = append(lines, fmt.Sprintf("%6d ms %s", e.TMS, e.Sentence()))
		}
	}
	r.t.Logf("journal:\n%s", strings.Join(lines, "\n"))
}

type bubbleClock struct{}

func (bubbleClock) Now() cluster.Moment {
	return cluster.Moment(time.Now().UnixNano() - 946684800e9 + 1e12)
}
func (bubbleClock) Wall() time.Time { return time.Now() }

type noCounters struct{}

func (noCounters) Committed(float64)                       {}
func (noCounters) Settled(incident.Verb, incident.Outcome) {}
func (noCounters) Refused(incident.Rule)                   {}
func (noCounters) Lag(float64)                             {}

// fakeCourier carries digests between the agents of the region; one that is
// full loses them, as datagrams are lost.
type fakeCourier struct {
	clocks  map[cluster.Name]membership.Clock
	r       *region
	name    cluster.Name
	ready   chan struct{}
	digests [][]byte
	looks   []cluster.Name
	deaf    bool
}

const mailMax = 256

func (c *fakeCourier) deliver(to []cluster.Name, put func(*fakeCourier)) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	for _, n := range to {
		for _, h := range c.r.agents[n] {
			if h.mail.deaf || c.deaf || len(h.mail.digests) > mailMax {
				continue
			}
			put(h.mail)
			wake(h.mail.ready)
		}
	}
}

func (c *fakeCourier) Clocks() map[cluster.Name]membership.Clock {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return maps.Clone(c.clocks)
}

func (c *fakeCourier) SendDigest(to []cluster.Name, digest []byte) error {
	c.deliver(to, func(m *fakeCourier) { m.digests = append(m.digests, digest) })
	return nil
}

func (c *fakeCourier) LookNow(to []cluster.Name, subject cluster.Name) error {
	c.deliver(to, func(m *fakeCourier) { m.looks = append(m.looks, subject) })
	return nil
}

func (c *fakeCourier) Ready() <-chan struct{} { return c.ready }

func (c *fakeCourier) Take() (digests [][]byte, lookNow []cluster.Name) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	digests, lookNow = c.digests, c.looks
	c.digests, c.looks = nil, nil
	return digests, lookNow
}

func (c *fakeCourier) Join([]cluster.Host) {}
func (c *fakeCourier) Unwell() bool        { return false }

// fakeObserver sees the region as it is, ten times a second.
type fakeObserver struct {
	r     *region
	self  cluster.Name
	ready chan struct{}
	peers []cluster.Name
	// refuses is how often Watch still fails.
	refuses int
	since   map[string]time.Time
	last    map[string]membership.Outcome
}

const looksEvery = 100 * time.Millisecond

func newFakeObserver(ctx context.Context, r *region, self cluster.Name) *fakeObserver {
	o := &fakeObserver{r: r, self: self, ready: make(chan struct{}, 1), since: map[string]time.Time{}, last: map[string]membership.Outcome{}}
	go func() {
		for ctx.Err() == nil {
			wake(o.ready)
			pause(ctx, looksEvery)
		}
	}()
	return o
}

func (o *fakeObserver) Ready() <-chan struct{} { return o.ready }
func (o *fakeObserver) LookNow(cluster.Name)   { wake(o.ready) }
func (o *fakeObserver) Unwell() bool           { return false }

func (o *fakeObserver) Unwatched() error {
	o.r.mu.Lock()
	defer o.r.mu.Unlock()
	return o.r.nodes[o.self].unwatched
}

// State is what the process says; a silent one says nothing new, and the last
// word grows old.
func (o *fakeObserver) State() (cassandra.NodeState, time.Duration, bool) {
	s, err := fakeAdmin{o.r.nodes[o.self]}.State(context.Background())
	return s, 0, err == nil
}
func (o *fakeObserver) Process() cluster.Boot {
	p, running, _ := fakeUnit{o.r.nodes[o.self]}.Running(context.Background())
	if !running {
		return ""
	}
	return p.Boot
}
func (o *fakeObserver) Watch(p []cluster.Host) error {
	o.r.mu.Lock()
	defer o.r.mu.Unlock()
	if o.refuses > 0 {
		o.refuses--
		return errors.New("look at 2 peers: not today")
	}
	o.peers = nil
	for _, h := range p {
		o.peers = append(o.peers, h.Name)
	}
	return nil
}

func (o *fakeObserver) Looks() []membership.Look {
	o.r.mu.Lock()
	defer o.r.mu.Unlock()
	var out []membership.Look
	see := func(n cluster.Name, p membership.Path, outcome membership.Outcome) {
		key := string(n) + p.String()
		if o.last[key] != outcome {
			o.last[key], o.since[key] = outcome, time.Now()
		}
		l := membership.Look{Subject: n, Path: p, Outcome: outcome, Held: time.Since(o.since[key])}
		if outcome != membership.Good {
			l.Misses = 1 + int(l.Held/looksEvery)
		}
		out = append(out, l)
	}
	for _, n := range o.peers {
		node := o.r.nodes[n]
		see(n, membership.CQL, node.look())
		see(n, membership.Storage, node.storageLook())
		if node.dark {
			see(n, membership.Phi, membership.Silent)
		}
	}
	own := o.r.nodes[o.self]
	process, admin := membership.Good, membership.Good
	switch {
	case !own.running:
		process, admin = membership.Exited, membership.Refused
	case own.paused || own.silent:
		admin = membership.Silent
	}
	see(o.self, membership.CQL, own.look())
	see(o.self, membership.Process, process)
	see(o.self, membership.Admin, admin)
	see(o.self, membership.Disk, membership.Good)
	return out
}

// look is what an OPTIONS frame gets.
func (n *fakeNode) look() membership.Outcome {
	switch {
	case n.paused, n.dark:
		return membership.Silent
	case n.serves():
		return membership.Good
	}
	return membership.Refused
}

func (n *fakeNode) storageLook() membership.Outcome {
	switch {
	case n.paused, n.dark:
		return membership.Silent
	case n.running:
		return membership.Good
	}
	return membership.Refused
}

// quietLog takes every line and keeps none.
func quietLog() *zap.Logger { return zap.NewNop() }
