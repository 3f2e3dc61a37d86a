// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// state is how a Cassandra is.
type state uint8

const (
	serves state = iota
	stands       // it takes connections and answers nothing, as in a long collection
	ended        // its process is gone
)

// node is one Cassandra with its host and its agent.
type node struct {
	name      cluster.Name
	key       ed25519.PrivateKey
	cassandra state
	process   cluster.Boot
	agent     *agent        // the present start of it; nil: none runs
	leap      time.Duration // by which the host's boot clock is ahead since it leapt
	leapt     time.Time
}

// world is what is true: nodes, the network between them and who has heard whose
// gossip. One mutex holds it, the network's own.
type world struct {
	*network
	seed     uint64
	began    time.Time
	nodes    []*node
	names    map[cluster.Name]int
	topology membership.Topology
	hosts    []cluster.Host
	keyFile  string
	control  []cluster.Name
	bars     membership.Bars
	heard    map[[2]int]time.Time // the last gossip of a Cassandra (second) that another one (first) heard
	unread   float64              // how likely an answer lies unread when an agent loses its CPU
	count    tally
	spent    spent
	all      sync.WaitGroup // what ends a stopped agent
}

// spent is what agents used.
type spent struct {
	digests   uint64 // bytes of digests, once for each they were sent to
	decisions int    // calls of the judge
	judging   time.Duration
}

// racks is how many there are.
const racks = 3

func newWorld(seed uint64, size int, keyFile string) *world {
	w := &world{network: newNetwork(seed, size), seed: seed, began: time.Now(), names: map[cluster.Name]int{}, keyFile: keyFile,
		bars: membership.DefaultBars(), unread: 0.5, heard: map[[2]int]time.Time{}}
	for i := range size {
		var secret [ed25519.SeedSize]byte
		binary.BigEndian.PutUint64(secret[:], mix(seed^uint64(i)))
		n := &node{name: cluster.Name(fmt.Sprintf("n%04d", i+1)), key: ed25519.NewKeyFromSeed(secret[:]), process: "one"}
		w.nodes, w.names[n.name] = append(w.nodes, n), i
		w.hosts = append(w.hosts, cluster.Host{Name: n.name, Region: "r", Datacenter: "dc1",
			Rack: cluster.Rack(fmt.Sprintf("rack%d", i%racks+1)), Gossip: w.network.hosts[i].addr})
	}
	w.topology = membership.NewTopology(w.hosts)
	for _, n := range w.nodes[:min(3, size)] {
		w.control = append(w.control, n.name)
	}
	w.count = newTally(size)
	return w
}

// moment is a time on a boot clock that began a minute before the story.
func (w *world) moment(at time.Time) cluster.Moment {
	return cluster.Moment(at.Sub(w.began) + time.Minute)
}

func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

const (
	cqlMax  = 400 * time.Millisecond
	cqlLate = 200 * time.Millisecond
	resend  = 200 * time.Millisecond // the kernel's first pause before it sends a segment again
	lively  = time.Millisecond       // what an answer takes
)

// dial plays the handshake of a connection. A SYN is sent again after a second, too
// late for every look. The mutex is held.
func (w *world) dial(from, to int) bool {
	return from == to || w.passes(from, to) && w.passes(to, from)
}

// ask plays a look by CQL: what comes back, after how long, and whether the
// connection is kept. The mutex is held.
func (w *world) ask(from, to int, kept bool) (membership.Outcome, time.Duration, bool) {
	s := w.nodes[to].cassandra
	if !kept {
		if !w.dial(from, to) {
			return membership.Silent, cqlMax, false
		}
		if s == ended {
			return membership.Refused, lively, false
		}
	}
	took := lively
	for _, way := range [][2]int{{from, to}, {to, from}} {
		for from != to && !w.passes(way[0], way[1]) {
			if took += resend; took >= cqlMax {
				return membership.Silent, cqlMax, false
			}
		}
		switch {
		case s == ended:
			return membership.Refused, took, false
		case s == stands:
			return membership.Silent, cqlMax, false
		}
	}
	if took > cqlLate {
		return membership.Late, took, true
	}
	return membership.Good, took, true
}

// storage plays a look at the port between nodes. The mutex is held.
func (w *world) storage(from, to int) (membership.Outcome, time.Duration) {
	switch {
	case !w.dial(from, to):
		return membership.Silent, cqlMax
	case w.nodes[to].cassandra == ended:
		return membership.Refused, lively
	}
	return membership.Good, lively
}

// admin plays a call of the own node's admin interface. The mutex is held.
func (w *world) admin(of int) (membership.Outcome, time.Duration) {
	switch w.nodes[of].cassandra {
	case serves:
		return membership.Good, 5 * time.Millisecond
	case stands:
		return membership.Silent, time.Second
	}
	return membership.Refused, lively
}

// gossips tells whether one Cassandra hears another one's gossip, straight or by a
// third. It goes over connections, so it needs both directions. The mutex is held.
func (w *world) gossips(from, to int) bool {
	const most = 0.9 // of lost packets; what is sent again gets through below that
	both := func(x, y int) bool { return w.open(x, y, most) && w.open(y, x, most) }
	if w.nodes[to].cassandra != serves || w.nodes[from].cassandra != serves || w.network.hosts[to].down {
		return false
	}
	if both(from, to) {
		return true
	}
	for k := range w.nodes {
		if k != from && k != to && w.nodes[k].cassandra == serves && both(from, k) && both(k, to) {
			return true
		}
	}
	return false
}

// phi is what the failure detector of one Cassandra makes of another one: 0.434 for
// each mean interval of silence, which is a second. The mutex is held.
func (w *world) phi(from, to int, now time.Time) membership.Outcome {
	pair := [2]int{from, to}
	if w.gossips(from, to) {
		w.heard[pair] = now
	}
	last, ever := w.heard[pair]
	if !ever {
		return membership.NoWord
	}
	switch phi := 0.434 * now.Sub(last).Seconds(); {
	case phi < 2:
		return membership.Good
	case phi < 5:
		return membership.Late
	}
	return membership.Silent
}

// answers tells whether clients get answers from a node: most of the other hosts
// reach it, and of what is asked half and more is answered at once: at most three of
// ten packets are lost on either way. The mutex is held.
func (w *world) answers(n int) bool {
	if w.nodes[n].cassandra != serves || w.network.hosts[n].down {
		return false
	}
	reach := 0
	for o := range w.nodes {
		if o != n && w.open(o, n, 0.31) && w.open(n, o, 0.31) {
			reach++
		}
	}
	return 2*reach > len(w.nodes)-1
}

// wellTo tells whether a fence by a judge would be wrong: the process runs, and
// another host reaches it, or its own agent's words reach the judge. A host that
// is cut off from everybody and from the judge is one that a fence is for.
// The mutex is held.
func (w *world) wellTo(n, judge int) bool {
	if w.nodes[n].cassandra == ended || w.network.hosts[n].down {
		return false
	}
	if w.network.hosts[n].port != nil && w.open(n, judge, 0.9) {
		return true
	}
	for o := range w.nodes {
		if o != n && w.open(o, n, 0.9) && w.open(n, o, 0.9) {
			return true
		}
	}
	return false
}

// noteTruth notes it until the story is over.
func (w *world) noteTruth(over <-chan struct{}) {
	tick := time.NewTicker(truthEvery)
	defer tick.Stop()
	for {
		w.locked(func() { w.count.truth(w, time.Now()) })
		select {
		case <-over:
			return
		case <-tick.C:
		}
	}
}

// end kills a Cassandra: who has a connection to it sees that end. The mutex is not
// held.
func (w *world) end(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[n].cassandra = ended
	for i, o := range w.nodes {
		if o.agent != nil && w.open(n, i, 0.9) {
			o.agent.poke(n)
		}
	}
}
