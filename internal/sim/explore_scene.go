// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/obey"
	"supervisor/internal/store"
	"supervisor/membership"
	"supervisor/repair"
	"supervisor/residency"
)

// The lengths of the two passages of time: one in which retries are due and
// looks of a step are believed, and one after which every order is overdue.
const (
	shortTime = 5 * time.Second
	longTime  = incident.LimitMax + time.Minute
)

// stepOnce is what an exploration checks besides the checks of a simulated
// world: the order of a step is written by one decision.
const stepOnce = "step-once"

// The waits of a path that has nothing else to do: a few short ones for what is
// spaced, then long ones until every limit has passed.
const (
	waitsShort = 3
	waitsMax   = 12
)

// subject is the node whose Cassandra has ended.
const subject = 2

// ground is where every path begins, encoded once.
type ground struct {
	puts   []store.Put
	policy incident.Policy
	schema cluster.Schema
	hosts  []cluster.Host
}

func newGround() ground {
	g := ground{policy: incident.DefaultPolicy()}
	p := &g.policy
	p.Version, p.Modes["dc1"], p.Regions["eu"] = 1, incident.Auto, []cluster.Datacenter{"dc1"}
	p.Residency = residency.Open([]cluster.Region{"eu"})
	g.put(store.Era, map[string]any{"era": 1, "etcd_cluster_id": "c"})
	g.put(store.Level, 1)
	g.put(store.Policy, p)
	for i := range 3 {
		name := cluster.Name(fmt.Sprintf("n%d", i+1))
		h := cluster.Host{Name: name, HostID: cluster.HostID("id-" + name), Region: "eu", Datacenter: "dc1", Rack: cluster.Rack(fmt.Sprintf("r%d", i+1))}
		g.hosts = append(g.hosts, h)
		g.schema.Members = append(g.schema.Members, cluster.Member{Name: name, HostID: h.HostID, Datacenter: "dc1", Rack: h.Rack, Address: string(name), Tokens: []int64{int64(i) * 100}})
		g.put(store.Host(name), h)
		g.put(store.Agent(name), incident.Agent{Boot: cluster.Boot(name) + "-a1", Level: 1, Load: &repair.Load{Reading: 1, Free: 500, Total: 1000}, Cassandra: &incident.CassandraFacts{HostID: h.HostID, Version: "5.0.9",
			Schema: "s", Tokens: 1, Seeds: []string{"n1", "n2", "n3"}, SyncPeriod: second, HintWindow: time.Hour}})
	}
	g.schema.Keyspaces = []cluster.Keyspace{{Name: "ks", Replication: cluster.Replication{Strategy: cluster.NetworkTopology,
		Factors: map[cluster.Datacenter]int{"dc1": 3}}, Tables: []cluster.Table{{Name: "t", GCGrace: 240 * time.Hour}}}}
	return g
}

func (g *ground) put(key string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	g.puts = append(g.puts, store.Put{Key: key, Value: b})
}

// scene is one state. Its world is there for the checks and holds the store;
// what happens is in the moves alone.
type scene struct {
	w       *world
	ground  ground
	bug     string
	left    Scope // what may still go wrong
	parties [3]*party
	orphans []sent // given up by those who sent them, and perhaps written later
	late    int
	waited  int
	wrote   trail             // everything that was written, in order
	orders  map[string]string // who wrote the order of an effect, and in which transaction
	path    []move

	// The Cassandra of the subject.
	starts     int
	runs       bool
	mode       string
	native     bool
	severity   float64
	generation int64
}

func newScene(s Scope, g ground) *scene {
	w := empty(Options{Bug: s.Bug})
	w.policy = g.policy
	c := &scene{w: w, ground: g, bug: s.Bug, left: s, orders: map[string]string{}, starts: 1, generation: 1}
	for i, h := range g.hosts {
		n := &node{w: w, name: h.Name, place: h, excused: true} // no write is modelled here, so nobody lacks one
		n.agent = &agent{n: n, w: w}
		w.nodes, w.byName[h.Name] = append(w.nodes, n), n
		c.parties[i] = &party{n: n, control: i != subject, marks: obey.Marks{}}
	}
	if _, err := w.store.Commit(0, store.Txn{Put: g.puts}); err != nil {
		panic(err)
	}
	for _, p := range c.parties {
		c.boot(p)
		c.watch(p)
	}
	c.elect(c.parties[0])
	c.read(c.parties[0])
	return c
}

// closed tells whether the incident is over.
func (c *scene) closed() bool { return len(c.w.archive) > 0 }

// over tells whether the incident is over, or left to people.
func (c *scene) over() bool {
	for _, p := range c.w.phases { // order: whether there is one
		if p == incident.Held {
			return true
		}
	}
	return c.closed()
}

// wait lets time pass.
func (c *scene) wait() {
	if c.waited++; c.waited <= waitsShort {
		c.w.now = c.w.now.Add(shortTime)
		return
	}
	c.w.now = c.w.now.Add(longTime)
}

// process is the subject's Cassandra, the last one if none runs.
func (c *scene) process() cluster.Boot { return cluster.Boot(fmt.Sprintf("p%d", c.starts)) }

// sight is what decides the verdicts; two equal ones give equal views, so that
// a leader is not told the same twice.
func (c *scene) sight() sight0 {
	return sight0{c.w.now, c.process(), c.runs, c.runs && c.native, c.parties[subject].up}
}

type sight0 struct {
	at       moment
	process  cluster.Boot
	runs     bool
	serves   bool
	ownHeard bool
}

// view is what an infallible judge says.
func (c *scene) view() membership.View {
	v := membership.View{Began: 1, At: c.w.now, Verdicts: map[cluster.Name]membership.Verdict{}}
	for _, h := range c.ground.hosts {
		v.Verdicts[h.Name] = membership.Verdict{Node: h.Name, Answer: membership.Alive, Own: membership.Good,
			Process: cluster.Boot("p-" + h.Name), Since: 1, Against: 3, Heard: 3, Of: 3}
	}
	s := c.sight()
	x := membership.Verdict{Node: c.ground.hosts[subject].Name, Process: s.process, Since: epoch, LastAlive: epoch - 1, Of: 3, Heard: 3, Own: membership.Good}
	switch {
	case s.serves:
		x.Answer, x.Against = membership.Alive, 3
	case s.runs:
		x.Answer, x.Cause, x.For, x.Drain = membership.Gone, membership.CQLDead, 3, true
	default:
		x.Answer, x.Cause, x.For, x.Drain, x.Own = membership.Gone, membership.ProcessDown, 3, true, membership.Exited
	}
	if !s.ownHeard {
		x.Own = membership.NoWord
	}
	v.Verdicts[x.Node] = x
	return v
}

// unled tells whether nobody's key makes a leader.
func (c *scene) unled() bool {
	kvs, _ := c.w.store.List(store.Leaders)
	return len(kvs) == 0
}

// land lets a transaction reach the store, and looks at what it wrote.
func (c *scene) land(s *sent) {
	s.landed = true
	s.res, s.err = c.w.write(s.lease, s.txn)
	if s.err != nil || !s.res.OK {
		return
	}
	c.noteWrite(s.txn)
	for _, p := range s.txn.Put {
		if s.commit != nil && strings.HasPrefix(p.Key, store.Orders) {
			c.orderGiven(p, s)
		}
	}
}

// orderGiven holds an order that a leader wrote against all that were written
// under its name.
func (c *scene) orderGiven(p store.Put, s *sent) {
	if by, twice := c.orders[p.Key]; twice && c.w.rep.Violation == "" {
		c.w.rep.Invariant = stepOnce
		c.w.rep.Violation = fmt.Sprintf("%s: %s was written by %s, and by %s again", stepOnce, p.Key, by, s.by)
	}
	c.orders[p.Key] = string(s.by)
}

func (c *scene) noteWrite(t store.Txn) {
	for _, p := range t.Put {
		c.wrote.add(p.Key, string(p.Value))
	}
	for _, key := range t.Delete {
		c.wrote.add(key, "")
	}
	c.wrote.add(fmt.Sprint(c.w.store.Rev()), "")
}

// expire ends a lease that nobody renews: that of an earlier life first.
func (c *scene) expire(p *party) {
	lease := &p.former
	if !c.w.store.Live(*lease) {
		lease = &p.lease
	}
	c.w.store.Expire(*lease)
	c.wrote.add("lease", fmt.Sprint(*lease))
}

// key is the state. Leaders and store are functions of what they were given in
// order, so two paths with one key are at one state, and orders of moves that
// do not touch each other have one key. What the checks remember is part of it:
// a state that only looks the same may be one step before a violation.
func (c *scene) key() uint64 {
	t := c.wrote
	t.add(fmt.Sprint(c.w.now, c.left.Crashes, c.left.Cuts, c.left.Losses, c.left.Ticks, c.left.Ages, c.waited, c.starts, c.runs, c.mode, c.native, c.severity), "")
	t.add(fmt.Sprint(c.w.settled, c.w.tokens, c.w.acting))
	for _, s := range c.orphans {
		s.into(&t)
	}
	for _, p := range c.parties {
		p.into(&t, c.w.store)
	}
	return uint64(t)
}

// trail is a running hash of words.
type trail uint64

func (t *trail) add(words ...string) {
	h := uint64(*t)
	for _, s := range words {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 0x100000001b3
		}
		h = (h ^ 0xff) * 0x9e3779b97f4a7c15
	}
	*t = trail(h)
}
