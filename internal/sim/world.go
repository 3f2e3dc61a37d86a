// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/loadbalancer"
	"supervisor/membership"
	"supervisor/residency"
)

// Options say what is played. Equal Options give an equal Report.
type Options struct {
	Seed        int64
	Nodes       int           // 0: as the seed says
	Datacenters int           // 0: as the seed says
	Storm       time.Duration // faults happen
	Calm        time.Duration // no more faults: by its end every incident is closed or held
	Pace        time.Duration // how often a leader judges and decides besides what comes in; 0: every 250 ms
	// Strokes are the faults; nil: drawn from the seed.
	Strokes []Stroke
	Said    []Saying // what people say meanwhile
	Written []Writing
	// Only are the faults that a drawn schedule may have; empty: a half of the
	// catalogue, by the seed.
	Only []string
	// Recovery is a loss of the store that ends with an older copy of it; nil: none.
	Recovery *Recovery
	Hooks    *Hooks // of the site, to turn hosts off; nil: none
	// Slow has judges find nodes slow that are: by the fault gray. No seed draws it.
	Slow bool
	// Bug is the name of one that is planted; empty: none.
	Bug string
	// Blind is the name of a check that is left out; empty: none.
	Blind string
	// Policy says what the policy of this world holds besides what every one does;
	// nil: nothing.
	Policy func(*incident.Policy)
	// Truths must hold besides the checks.
	Truths []Truth
	// CrashAt is the passage of a crash point, counted from 1, at which an agent
	// dies; CrashNext so many passages later one dies again. 0: none.
	CrashAt, CrashNext int
	// Passage is told of every passage.
	Passage func(n int, agent cluster.Name, at Passage)
	// StepsMax ends the run after so many steps, and then what holds at the end is
	// not asked; 0: it ends by itself.
	StepsMax int
	// Trace is told of everything that happens, a line each.
	Trace func(line string)
}

// Edition is raised when a seed plays something else than before, so that a
// seed that was written down is not replayed as another story.
const Edition = 5

// Report is how a run went.
type Report struct {
	Steps                      int
	Trace                      uint64
	Violation                  string // the first one, empty when all held
	Invariant                  string // its name
	Untrue                     string // the first of Options.Truths that did not hold, and why
	Opened, Closed, Held       int
	Kills, Crashes, Lost, Cold int
	Fenced                     int // processes that were ended because they hung
	TurnedOff                  int // hosts, by order
	Slowed                     int // incidents about nodes that were slow
	Nodes                      int
	Played                     time.Duration // simulated time
	Active                     time.Duration // of it with a fault or an open incident
	Struck                     map[string]int
	Pairs                      map[string]int // two faults within a minute
	Strokes                    []Stroke       // the schedule that was played
	Cut                        bool           // StepsMax came before the end
}

type moment = cluster.Moment

// world is everything that is true.
type world struct {
	o Options
	// planted is the bug of the options.
	planted Bug
	rng     *rand.Rand
	now     moment
	began   time.Time
	todo    agenda
	seq     int
	steps   int
	trace   uint64

	// The faults.
	storm    bool
	blows    int
	standing map[int]func() // faults that have not ended, by number
	recent   []struck
	moving   bool // the ring is being changed by somebody
	missed   bool // the next hibernation is missed by a peer
	jumped   bool // the wall clock of a host was set

	// The store, the network, the proxy.
	store    *model.Store
	decoded  *lead.Memo
	etcd     string // the etcd cluster that answers
	journal  journal
	net      network
	balancer balancer

	// The ring.
	policy incident.Policy
	factor int
	// hintWindow is max_hint_window, scaled: of a minute or so, or it would never
	// be used up.
	hintWindow time.Duration
	pace       time.Duration      // how often a leader judges and decides, besides when something comes in
	forbidden  cluster.Datacenter // where the data may not stand; empty: nowhere
	schema     cluster.Schema
	ring       []cluster.Placed
	topo       membership.Topology
	watched    map[cluster.Name][]*node
	control    []cluster.Name
	nodes      []*node
	byName     map[cluster.Name]*node
	places     []*place
	writes     []write
	unsettled  []int // writes that some replica may lack
	apart      map[[2]cluster.Name]apart
	partOf     map[cluster.Name]cluster.Name
	cutting    int // hosts that are cut off by the rules of others, each pair once
	partsAt    moment

	rep Report
	memory
}

// journal is how the store does.
type journal struct {
	away  bool          // it has no quorum
	begun string        // the first order that was begun meanwhile; empty: none
	full  bool          // it takes no writes
	slow  time.Duration // and is so late
	alien bool          // it is not to be believed, and everybody had the time to see it
}

const second = time.Second

// epoch is where every world begins, so that nothing is at zero.
const epoch = moment(time.Hour)

// empty is a world in which there is nothing yet.
func empty(o Options) *world {
	w := &world{o: o, now: epoch, began: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), store: model.New(), decoded: lead.NewMemo(),
		byName: map[cluster.Name]*node{}, net: network{links: map[link]*quality{}},
		balancer: balancer{says: map[cluster.Name]loadbalancer.Wish{}}, standing: map[int]func(){},
		apart: map[[2]cluster.Name]apart{}, factor: 3, memory: remembered()}
	w.rep.Struck, w.rep.Pairs = map[string]int{}, map[string]int{}
	return w
}

func newWorld(o Options, b Bug) *world {
	w := empty(o)
	w.planted, w.rng, w.etcd = b, rand.New(rand.NewSource(o.Seed)), firstEtcd
	w.hintWindow = []time.Duration{5 * second, 20 * second, 2 * time.Minute}[w.rng.Intn(3)]
	if w.pace = o.Pace; w.pace == 0 {
		w.pace = 250 * time.Millisecond
	}
	w.build()
	return w
}

// build makes one to three datacenters of three racks each and, in some seeds,
// one node of a region where the data must not be.
func (w *world) build() {
	hosts := w.hosts()
	for i, h := range hosts {
		w.schema.Members = append(w.schema.Members, cluster.Member{Name: h.Name, HostID: h.HostID, Datacenter: h.Datacenter, Rack: h.Rack,
			Address: string(h.Name), Tokens: []int64{int64(i) * 1000, int64(i)*1000 + 500}})
	}
	factors := map[cluster.Datacenter]int{}
	for _, h := range hosts {
		factors[h.Datacenter] = w.factor
	}
	if w.forbidden != "" {
		factors[w.forbidden] = 1
	}
	w.schema.Keyspaces = []cluster.Keyspace{{Name: "ks", Replication: cluster.Replication{Strategy: cluster.NetworkTopology, Factors: factors},
		Tables: []cluster.Table{{Name: "t", GCGrace: drawGrace(w.o.Seed)}}}}
	w.schema = w.schema.Ready()
	ring, err := w.schema.Ring()
	if err != nil {
		panic(err)
	}
	if w.ring, err = ring.Placement(w.schema.Keyspaces[0].Replication); err != nil {
		panic(err)
	}
	w.topo = membership.NewTopology(hosts)
	w.control = w.controlAgents(hosts)
	w.makePolicy(hosts)
	w.found(hosts)
	for i, h := range hosts {
		w.addNode(i, h)
	}
	w.makePlaces()
	w.watched = map[cluster.Name][]*node{}
	for _, h := range hosts {
		for _, subject := range w.topo.Watched(h.Name) {
			w.watched[h.Name] = append(w.watched[h.Name], w.byName[subject])
		}
	}
	w.rep.Nodes = len(hosts)
}

// hosts draws the size: mostly small, for most of what can go wrong does not
// need many.
func (w *world) hosts() []cluster.Host {
	n := w.o.Nodes
	if n == 0 {
		n = []int{3, 3, 4, 5, 6, 6, 7, 9, 12, 12, 18, 24}[w.rng.Intn(12)]
	}
	dcs := 1
	if n >= 6 {
		dcs = 1 + w.rng.Intn(min(3, n/3))
	}
	if w.o.Datacenters > 0 {
		dcs = w.o.Datacenters
	}
	var hosts []cluster.Host
	for i := range n {
		name := cluster.Name(fmt.Sprintf("n%d", i+1))
		hosts = append(hosts, cluster.Host{Name: name, HostID: cluster.HostID("id-" + name), Region: "eu",
			Datacenter: cluster.Datacenter(fmt.Sprintf("dc%d", i%dcs+1)), Rack: cluster.Rack(fmt.Sprintf("r%d", i/dcs%3+1))})
	}
	if w.rng.Intn(3) == 0 || w.bug(abroad) || w.bug(strangerHost) {
		w.forbidden = "dcx"
		hosts = append(hosts, cluster.Host{Name: "x1", HostID: "id-x1", Region: "eu", Datacenter: "dcx", Rack: "r1"})
	}
	return hosts
}

// controlAgents are three, in different racks where there are so many.
func (w *world) controlAgents(hosts []cluster.Host) []cluster.Name {
	var names []cluster.Name
	for _, h := range hosts[:3] {
		names = append(names, h.Name)
	}
	return names
}

func (w *world) makePolicy(hosts []cluster.Host) {
	p := incident.DefaultPolicy()
	p.Version = 1
	p.Ages.Replace = 5 * time.Minute // steps are held after so long: a run is short
	p.Budgets.StartsMax, p.Budgets.SilencesMax = 6, 6
	w.spoilPolicy(&p)
	var pool []cluster.Name
	for _, h := range hosts {
		if h.Datacenter == w.forbidden {
			continue
		}
		if p.Modes[h.Datacenter] != incident.Auto {
			p.Modes[h.Datacenter] = incident.Auto
			p.Regions["eu"] = append(p.Regions["eu"], h.Datacenter)
		}
		pool = append(pool, h.Name)
	}
	p.Regions["us"] = []cluster.Datacenter{"dcx"}
	p.Residency = residency.Open([]cluster.Region{"eu"})
	if w.bug(abroad) {
		p.Residency = residency.Open([]cluster.Region{"eu", "us"})
	}
	p.KnownRows = []incident.KnownRows{{Keyspace: "ks", Table: "t", Max: 3}}
	p.Pools = []loadbalancer.Declared{{Name: "web", Backend: "cql", Members: pool, Writers: pool, Proxies: []loadbalancer.Proxy{{Name: "ha", Socket: "/ha"}}}}
	if w.o.Policy != nil {
		w.o.Policy(&p)
	}
	for _, n := range pool {
		w.balancer.says[n], w.wants[n] = loadbalancer.Full, loadbalancer.Full
	}
	w.policy = p
}

// allowed tells whether the data may stand on a node.
func (w *world) allowed(n *node) bool { return n.home() != w.forbidden }

// pool are the members of the one pool.
func (w *world) pool() []cluster.Name { return w.policy.Pools[0].Members }

// wanted is the pool as the leaders want it.
func (w *world) wanted() (loadbalancer.Pool, bool) {
	return get[loadbalancer.Pool](w, store.Pool("web"))
}

// found writes what `store init` and `policy apply` would.
func (w *world) found(hosts []cluster.Host) {
	w.put(store.Era, map[string]any{"era": 1, "etcd_cluster_id": firstEtcd})
	w.put(store.Level, 1)
	w.put(store.Policy, w.policy)
	for _, h := range hosts {
		w.put(store.Host(h.Name), h)
	}
}

func (w *world) put(key string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.putRaw(key, b)
}

// putRaw writes a key as somebody with the store's door open does.
func (w *world) putRaw(key string, b []byte) {
	if _, err := w.store.Commit(0, store.Txn{Put: []store.Put{{Key: key, Value: b}}}); err != nil {
		panic(err)
	}
}

// apply changes the policy as an operator does.
func (w *world) apply(change func(*incident.Policy)) bool {
	p := w.policy
	modes := map[cluster.Datacenter]incident.Mode{}
	for dc, m := range p.Modes { // order: a copy
		modes[dc] = m
	}
	p.Modes = modes
	change(&p)
	p.Version++
	w.policy = p
	w.put(store.Policy, p)
	return true
}

// observed notes that nothing could be done in a datacenter for a while.
func (w *world) observed(dc cluster.Datacenter) {
	for _, n := range w.nodes {
		if n.home() == dc {
			n.helplessAt = w.now
		}
	}
}

func (w *world) wall() time.Time { return w.began.Add(time.Duration(w.now)) }

// after plans an action.
func (w *world) after(d time.Duration, do func()) {
	w.seq++
	w.todo.push(action{w.now.Add(max(0, d)), w.seq, do})
}

// between is a span of chance.
func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.rng.Int63n(int64(high-low)))
}

// chance is true with a share of one, and never in calm mode.
func (w *world) chance(p float64) bool { return w.rng.Float64() < p && w.storm }

// ailing counts nodes that do not serve.
func (w *world) ailing() int {
	k := 0
	for _, n := range w.nodes {
		if !n.answers() {
			k++
		}
	}
	return k
}

// spare tells whether a fault may take a node: mostly only while all are well,
// or nothing would ever come back.
func (w *world) spare() bool { return w.ailing() == 0 || w.rng.Intn(5) == 0 }

// leading is the agent that believes to lead; nil: none.
func (w *world) leading() *agent {
	for _, n := range w.nodes {
		if n.agent.up && n.agent.term {
			return n.agent
		}
	}
	return nil
}

// note mixes something that happened into the trace.
func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	h := w.trace ^ uint64(w.now)*0x9e3779b97f4a7c15
	for i := range len(line) {
		h = (h ^ uint64(line[i])) * 0x100000001b3
	}
	w.trace = h
	if w.o.Trace != nil {
		w.o.Trace(fmt.Sprintf("%9.3f ", time.Duration(w.now-epoch).Seconds()) + line)
	}
}

// warmUp is how long a world runs before the first fault.
const warmUp = 15 * second

// Run plays one seed: faults first, then calm until every incident is closed
// or held.
func Run(o Options) (Report, error) {
	b, err := planted(o.Bug)
	if err != nil {
		return Report{}, err
	}
	if r := o.Recovery; r != nil && !(r.Copied <= r.Lost && r.Lost < r.Back && r.Back <= r.Acknowledged && r.Acknowledged < o.Storm) {
		return Report{}, fmt.Errorf("a recovery is copied, lost, back and acknowledged before the storm of %s ends: %+v", o.Storm, *r)
	}
	w := newWorld(o, b)
	strokes := o.Strokes
	if err := known(strokes); err != nil {
		return Report{}, err
	}
	if strokes == nil {
		if strokes, err = draw(w.rng, o.Storm, o.Only); err != nil {
			return Report{}, err
		}
	}
	for _, n := range w.nodes {
		n.agent.boot()
	}
	w.everySecond()
	w.gossip()
	w.dispatch()
	if slices.ContainsFunc(strokes, func(s Stroke) bool { return s.Fault == "old-snapshot" }) {
		w.photographs()
	}
	w.writeOn()
	w.after(warmUp, func() { w.storm = true; w.plan(strokes); w.people(); w.writings() })
	if o.Recovery != nil {
		w.after(warmUp, func() { w.recovers(*o.Recovery) })
	}
	w.run(w.now.Add(warmUp + o.Storm))
	w.ends()
	w.rep.Steps, w.rep.Trace, w.rep.Strokes, w.rep.Played = w.steps, w.trace, strokes, w.now.Sub(epoch)
	return w.rep, nil
}

// ends plays the calm, and then asks what has to hold at the end.
func (w *world) ends() {
	if w.rep.Cut {
		return
	}
	w.calm()
	end := w.now.Add(w.o.Calm)
	for w.rep.Violation == "" && !w.rep.Cut && w.now < end {
		w.run(w.now.Add(10 * second))
		if w.quiet() {
			break
		}
	}
	if !w.rep.Cut {
		w.finalChecks(w.now >= end)
		w.truths(true)
	}
}

func (w *world) run(until moment) {
	for w.rep.Violation == "" && len(w.todo) > 0 && w.todo[0].at <= until {
		if w.o.StepsMax != 0 && w.steps >= w.o.StepsMax {
			w.rep.Cut = true
			return
		}
		next := w.todo.pop()
		w.now = next.at
		w.steps++
		next.do()
		w.standingTruths()
	}
	if w.rep.Violation == "" {
		w.now = until
	}
}
