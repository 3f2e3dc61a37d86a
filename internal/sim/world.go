// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/loadbalancer"
	"supervisor/membership"
	"supervisor/residency"
)

// Options say what is played. Equal Options give an equal Report.
type Options struct {
	Seed  int64
	Storm time.Duration // faults happen
	Calm  time.Duration // no more faults: by its end every incident is closed or held
	Bugs  Bugs
}

// Bugs are planted on purpose, to show that a checker sees them.
type Bugs struct {
	BelieveDown bool // agents report DOWN whatever their Cassandra says
	ForgetMarks bool // an agent's marks do not survive its crash
	FakeRepair  bool // repairs say "done" and do nothing
	PlainGate   bool // the gate hibernates nobody
	NoCompare   bool // the store writes whatever it is sent
	HalfPools   bool // leaders leave a member out of the pools they write
	NoClaim     bool // executors act on orders they only read
	AnyKill     bool // a kill ends whatever process runs
	Abroad      bool // leaders may plan with nodes of a forbidden region
	OldTokens   bool // executors obey tokens below their mark
	KeepLedger  bool // leaders lose what they decided about the ledger
}

// Report is how a run went.
type Report struct {
	Steps                      int
	Trace                      uint64
	Violation                  string // the first one, empty when all held
	Opened, Closed, Held       int
	Kills, Crashes, Lost, Cold int
}

type action struct {
	at  cluster.Moment
	seq int
	do  func()
}

type agenda []action

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(action)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// world is everything that is true.
type world struct {
	o      Options
	rng    *rand.Rand
	now    cluster.Moment
	began  time.Time
	todo   agenda
	seq    int
	steps  int
	trace  uint64
	storm  bool
	stormy bool // the faults of this seed go on

	store  *model.Store
	policy incident.Policy
	schema cluster.Schema
	ring   []cluster.Placed
	topo   membership.Topology
	nodes  []*node
	byName map[cluster.Name]*node
	writes []write
	proxy  map[cluster.Name]loadbalancer.Wish
	mute   bool // the proxy does not answer

	rep     Report
	archive map[string][]byte
	settled map[string]bool // effects that were marked as done
	tokens  map[string]cluster.Token
}

const second = time.Second

func newWorld(o Options) *world {
	w := &world{o: o, rng: rand.New(rand.NewSource(o.Seed)), now: cluster.Moment(time.Hour),
		began: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), store: model.New(), byName: map[cluster.Name]*node{},
		proxy: map[cluster.Name]loadbalancer.Wish{}, archive: map[string][]byte{}, settled: map[string]bool{},
		tokens: map[string]cluster.Token{}}
	w.build()
	return w
}

// build makes three to six nodes in three racks and, in some seeds, one node
// of a region where the data must not be.
func (w *world) build() {
	var hosts []cluster.Host
	var pool []cluster.Name
	n := 3 + w.rng.Intn(4)
	abroad := w.o.Bugs.Abroad || w.rng.Intn(3) == 0
	for i := range n {
		name := cluster.Name(fmt.Sprintf("n%d", i+1))
		hosts = append(hosts, cluster.Host{Name: name, HostID: cluster.HostID("id-" + name), Region: "eu", Datacenter: "dc1",
			Rack: cluster.Rack(fmt.Sprintf("r%d", i%3+1))})
		pool = append(pool, name)
	}
	if abroad {
		hosts = append(hosts, cluster.Host{Name: "x1", HostID: "id-x1", Region: "eu", Datacenter: "dc2", Rack: "r1"})
	}
	for i, h := range hosts {
		w.schema.Members = append(w.schema.Members, cluster.Member{Name: h.Name, HostID: h.HostID, Datacenter: h.Datacenter, Rack: h.Rack,
			Address: string(h.Name), Tokens: []int64{int64(i) * 1000, int64(i)*1000 + 500}})
	}
	factors := map[cluster.Datacenter]int{"dc1": 3}
	if abroad {
		factors["dc2"] = 1
	}
	w.schema.Keyspaces = []cluster.Keyspace{{Name: "ks", Replication: cluster.Replication{Strategy: cluster.NetworkTopology, Factors: factors},
		Tables: []cluster.Table{{Name: "t", GCGrace: 10 * 24 * time.Hour}}}}
	ring, err := cluster.NewRing(w.schema.Members)
	if err != nil {
		panic(err)
	}
	if w.ring, err = ring.Placement(w.schema.Keyspaces[0].Replication); err != nil {
		panic(err)
	}
	w.topo = membership.NewTopology(hosts)
	w.makePolicy(pool)
	w.found(hosts)
	for i, h := range hosts {
		w.addNode(i, h)
	}
}

func (w *world) makePolicy(pool []cluster.Name) {
	p := incident.DefaultPolicy()
	p.Version = 1
	p.Ages.Replace = 5 * time.Minute // steps are held after so long: a run is short
	p.Modes["dc1"] = incident.Auto
	p.Regions["eu"] = []cluster.Datacenter{"dc1"}
	p.Regions["us"] = []cluster.Datacenter{"dc2"}
	p.Residency = residency.Open([]cluster.Region{"eu"})
	if w.o.Bugs.Abroad {
		p.Residency = residency.Open([]cluster.Region{"eu", "us"})
	}
	p.KnownRows = []incident.KnownRows{{Keyspace: "ks", Table: "t", Max: 3}}
	p.Pools = []loadbalancer.Declared{{Name: "web", Backend: "cql", Members: pool, Writers: pool, Proxies: []loadbalancer.Proxy{{Name: "ha", Socket: "/ha"}}}}
	for _, n := range pool {
		w.proxy[n] = loadbalancer.Full
	}
	w.policy = p
}

// found writes what `store init` and `policy apply` would.
func (w *world) found(hosts []cluster.Host) {
	put := func(key string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		if _, err := w.store.Commit(0, store.Txn{Put: []store.Put{{Key: key, Value: b}}}); err != nil {
			panic(err)
		}
	}
	put(store.Era, map[string]any{"era": 1, "etcd_cluster_id": "c"})
	put(store.Level, 1)
	put(store.Policy, w.policy)
	for _, h := range hosts {
		put(store.Host(h.Name), h)
	}
}

func (w *world) wall() time.Time { return w.began.Add(time.Duration(w.now)) }

// after plans an action.
func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.todo, action{w.now.Add(max(0, d)), w.seq, do})
}

// between is a span of chance.
func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.rng.Int63n(int64(high-low)))
}

// chance is true with a share of one, and never in calm mode.
func (w *world) chance(p float64) bool { return w.rng.Float64() < p && w.storm }

// note mixes something that happened into the trace.
func (w *world) note(format string, args ...any) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d ", w.trace, w.now)
	fmt.Fprintf(h, format, args...)
	w.trace = h.Sum64()
	if traced != nil {
		traced(fmt.Sprintf("%9.3f ", time.Duration(w.now-cluster.Moment(time.Hour)).Seconds()) + fmt.Sprintf(format, args...))
	}
}

// traced prints a run while a violation is looked into.
var traced func(string)

// broken notes a violation; the run ends with the first.
func (w *world) broken(invariant, format string, args ...any) {
	if w.rep.Violation == "" {
		w.rep.Violation = fmt.Sprintf("%s at %s, step %d: ", invariant, time.Duration(w.now-cluster.Moment(time.Hour)), w.steps) + fmt.Sprintf(format, args...)
		w.note("VIOLATION %s", w.rep.Violation)
	}
}

// Run plays one seed: faults first, then calm until every incident is closed
// or held.
func Run(o Options) Report {
	w := newWorld(o)
	for _, n := range w.nodes {
		n.agent.boot()
	}
	w.everySecond()
	w.writeOn()
	w.after(15*second, func() { w.storm = true; w.misfortune() })
	w.run(w.now.Add(15*second + o.Storm))
	w.heal()
	end := w.now.Add(o.Calm)
	for w.rep.Violation == "" && w.now < end {
		w.run(w.now.Add(10 * second))
		if w.quiet() {
			break
		}
	}
	w.finalChecks(w.now >= end)
	w.rep.Steps, w.rep.Trace = w.steps, w.trace
	return w.rep
}

func (w *world) run(until cluster.Moment) {
	for w.rep.Violation == "" && len(w.todo) > 0 && w.todo[0].at <= until {
		next := heap.Pop(&w.todo).(action)
		w.now = next.at
		w.steps++
		next.do()
	}
	if w.rep.Violation == "" {
		w.now = until
	}
}
