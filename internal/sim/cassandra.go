// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/internal/obey"
	"supervisor/isolate"
)

// The modes of a Cassandra process. An empty one does not run.
const (
	down     = ""
	starting = "STARTING" // also while it hibernates
	normal   = "NORMAL"
)

// sight is what one Cassandra thinks of another.
type sight struct {
	up         bool
	generation int64
	severity   float64
}

// node is a host: its Cassandra, its disk and its agent.
type node struct {
	w          *world
	name       cluster.Name
	place      cluster.Host
	process    cluster.Boot
	mode       string
	hung       bool
	diskBad    bool
	sleeps     bool // started hibernated, or about to be
	generation int64
	severity   float64
	native     bool
	sees       map[cluster.Name]sight
	starts     int
	restarts   bool // its unit has Restart=
	wentAt     cluster.Moment
	hungAt     cluster.Moment
	helplessAt cluster.Moment
	changedAt  cluster.Moment
	agent      *agent

	held     map[int]bool // acknowledged or not: what its disk has
	fresh    []int        // held, and not synced yet
	freshAt  []cluster.Moment
	hints    map[cluster.Name][]int
	excused  bool         // a person or a gate nobody answered started it plainly
	forgiven map[int]bool // what it lacked when the whole ring went and came back
	marks    obey.Marks
	local    isolate.Local
	alive    time.Time // the agent's file of that name
	aliveAt  cluster.Moment
}

// write is one acknowledged (or not) write of one range.
type write struct {
	at       cluster.Moment
	replicas []cluster.Name
	acked    bool
}

func (w *world) addNode(i int, h cluster.Host) {
	n := &node{w: w, name: h.Name, place: h, sees: map[cluster.Name]sight{}, held: map[int]bool{}, hints: map[cluster.Name][]int{},
		forgiven: map[int]bool{}, marks: obey.Marks{}, restarts: w.rng.Intn(2) == 0, local: isolate.Local{EverServed: true}}
	n.mode, n.native, n.generation, n.process = normal, true, 1, cluster.Boot(fmt.Sprintf("%s-p0", h.Name))
	w.nodes, w.byName[h.Name] = append(w.nodes, n), n
	n.agent = newAgent(n, i < 3)
	for _, other := range w.nodes {
		n.sees[other.name], other.sees[n.name] = sight{true, 1, 0}, sight{true, 1, 0}
	}
}

func (n *node) runs() bool { return n.mode != down }

// takes tells whether the node takes writes and answers coordinators.
func (n *node) takes() bool { return n.mode == normal && !n.hung }

// answers tells whether clients get an answer.
func (n *node) answers() bool { return n.takes() && n.native }

// read tells whether anybody may read from it: coordinators choose it while
// its Severity is low, clients reach it while its transport is on.
func (n *node) read() bool { return n.takes() && (n.severity < isolate.SeverityFenced || n.native) }

// syncLag is how old a write may be and still be lost with its process.
const syncLag = 300 * time.Millisecond

// kill ends the process at once; what was not synced is lost.
func (n *node) kill(why string) {
	if !n.runs() {
		return
	}
	n.w.note("kill %s (%s) mode %s", n.name, why, n.mode)
	n.w.rep.Kills++
	n.sync()
	for _, id := range n.fresh {
		if n.w.rng.Intn(2) == 0 {
			delete(n.held, id)
			n.w.rep.Lost++
		}
	}
	n.fresh, n.freshAt = nil, nil
	n.mode, n.hung, n.native, n.severity = down, false, false, 0
	n.hints = map[cluster.Name][]int{}
	n.wentAt, n.changedAt = n.w.now, n.w.now
	gen := n.generation
	for _, peer := range n.w.nodes {
		n.w.after(n.w.between(2*second, 8*second), func() {
			if s := peer.sees[n.name]; s.generation == gen {
				s.up = false
				peer.sees[n.name] = s
			}
		})
	}
	n.agent.soon()
	if n.restarts {
		n.w.after(n.w.between(second/2, 2*second), func() { n.unitStart(n.w.now) })
	}
}

// sync forgets what is on disk by now from the list of what is not.
func (n *node) sync() {
	for len(n.freshAt) > 0 && n.w.now.Sub(n.freshAt[0]) > syncLag {
		n.fresh, n.freshAt = n.fresh[1:], n.freshAt[1:]
	}
}

// store puts a write on the node's disk.
func (n *node) store(id int) {
	n.held[id] = true
	n.fresh, n.freshAt = append(n.fresh, id), append(n.freshAt, n.w.now)
	n.sync()
}

// unitStart asks the gate and starts, as a unit with Restart= or a person does.
func (n *node) unitStart(since cluster.Moment) {
	if n.runs() {
		return
	}
	a := n.gate(n.w.now.Sub(since))
	switch a.Start {
	case isolate.Hibernate:
		n.start(true)
	case isolate.Normal:
		n.start(false)
		n.excuse(a.Rule)
	default:
		n.w.after(2*second, func() { n.unitStart(since) })
	}
}

// excuse notes why a plain start is nobody's fault: those of the gate that
// nobody answered, and of a ring that was all down.
func (n *node) excuse(rule string) {
	n.w.note("%s starts plainly: %s", n.name, rule)
	switch rule {
	case "gate-unasked", "mode":
		n.excused = true
	case "cold-start":
		n.excused = true
	}
}

// gate is the real gate's decision with what this host knows.
func (n *node) gate(waited time.Duration) isolate.Answer {
	if n.w.o.Bugs.PlainGate {
		return isolate.Answer{Start: isolate.Normal, Rule: "bug"}
	}
	if n.agent.up {
		return isolate.Ask(n.agent.asked(waited), n.w.wall())
	}
	if a, ok := isolate.BeforeAsking(n.local, n.w.wall()); ok {
		return a
	}
	if waited < 20*second {
		return isolate.Answer{Start: isolate.Wait, Rule: "asking"}
	}
	return isolate.Unasked(n.w.policy.Gate.Unasked)
}

// start begins a process; it gossips after a while.
func (n *node) start(sleeping bool) {
	n.starts++
	n.process = cluster.Boot(fmt.Sprintf("%s-p%d", n.name, n.starts))
	n.mode, n.sleeps, n.native, n.severity, n.hung = starting, sleeping, false, 0, false
	n.generation = int64(n.w.now / cluster.Moment(time.Millisecond))
	n.changedAt = n.w.now
	n.w.note("%s starts %s sleeping=%v generation %d", n.name, n.process, sleeping, n.generation)
	process := n.process
	if n.w.chance(0.05) {
		n.w.after(n.w.between(0, 3*second), func() { n.ends(process, "start failed") })
	}
	gossip := n.w.between(second, 4*second)
	if sleeping {
		n.w.after(gossip, func() { n.seenAsleep(process) })
		return
	}
	n.w.after(gossip+second, func() { n.joins(process, true) })
}

func (n *node) ends(process cluster.Boot, why string) {
	if n.process == process {
		n.kill(why)
	}
}

// seenAsleep spreads the hibernation. Rarely a peer gossips in the short
// window before it and marks the node alive for good.
func (n *node) seenAsleep(process cluster.Boot) {
	if n.process != process || n.mode != starting {
		return
	}
	gen := n.generation
	for _, peer := range n.w.nodes {
		wrong := n.w.chance(0.04)
		n.w.after(n.w.between(0, 2*second), func() {
			if peer != n && n.generation == gen && n.mode == starting {
				peer.sees[n.name] = sight{wrong && !peer.hung, gen, n.severity} // who hangs learns it later, with the status
			}
		})
	}
}

// joins makes it a member that serves as far as its fence lets it.
func (n *node) joins(process cluster.Boot, open bool) {
	if n.process != process || n.mode != starting || n.hung {
		return
	}
	n.mode, n.native, n.changedAt = normal, open, n.w.now
	n.sleeps = false
	n.w.note("%s is NORMAL, native %v severity %v", n.name, n.native, n.severity)
	gen := n.generation
	for _, peer := range n.w.nodes {
		n.w.after(n.w.between(0, 1200*time.Millisecond), func() {
			if n.generation == gen && n.mode == normal {
				peer.sees[n.name] = sight{true, gen, n.severity}
				peer.sees[n.name] = sight{true, gen, n.severity}
				n.w.after(n.w.between(0, 20*second), func() { peer.replay(n) })
			}
			if peer.runs() { // it learns of the others, too
				n.sees[peer.name] = sight{peer.mode == normal, peer.generation, peer.severity}
			}
		})
	}
}

// replay hands hints over; what was not hinted does not come.
func (n *node) replay(to *node) {
	if !n.takes() || to.mode != normal {
		return
	}
	for _, id := range n.hints[to.name] {
		to.store(id)
	}
	delete(n.hints, to.name)
}

// setSeverity spreads by gossip.
func (n *node) setSeverity(v float64) {
	if n.severity == v {
		return
	}
	n.severity, n.changedAt = v, n.w.now
	gen := n.generation
	for _, peer := range n.w.nodes {
		n.w.after(n.w.between(100*time.Millisecond, 1200*time.Millisecond), func() {
			if s := peer.sees[n.name]; s.generation == gen && n.generation == gen {
				s.severity = n.severity
				peer.sees[n.name] = s
			}
		})
	}
}

const hintWindow = 5 * time.Second

// writeOn has clients write for ever.
func (w *world) writeOn() {
	w.after(w.between(50*time.Millisecond, 400*time.Millisecond), func() {
		w.clientWrites()
		w.writeOn()
	})
}

func (w *world) clientWrites() {
	var can []*node
	for _, n := range w.nodes {
		if n.answers() && n.place.Datacenter == "dc1" {
			can = append(can, n)
		}
	}
	if len(can) == 0 {
		return
	}
	coordinator := can[w.rng.Intn(len(can))]
	p := w.ring[w.rng.Intn(len(w.ring))]
	id, homes := len(w.writes), 0
	var local []cluster.Name
	for _, name := range p.Replicas {
		r := w.byName[name]
		if r.place.Datacenter == "dc1" {
			local = append(local, name)
		}
		if s := coordinator.sees[name]; (name == coordinator.name || s.up) && r.takes() {
			r.store(id)
			if r.place.Datacenter == "dc1" {
				homes++
			}
			continue
		}
		// The window is persistent: how long it has been away counts, not for how
		// long it has been seen so.
		if !r.runs() && w.now.Sub(r.wentAt) < hintWindow || r.hung && w.now.Sub(r.hungAt) < hintWindow {
			coordinator.hints[name] = append(coordinator.hints[name], id)
		}
	}
	w.writes = append(w.writes, write{w.now, local, homes >= cluster.Quorum(3)})
}

// wakes lets a hung process go on. Its queues and hints give it what it missed
// within the window.
func (n *node) wakes() {
	n.hung, n.changedAt = false, n.w.now
	n.w.note("%s goes on", n.name)
	for id, x := range n.w.writes {
		if x.at >= n.hungAt && x.at < n.hungAt.Add(hintWindow) && slices.Contains(x.replicas, n.name) {
			n.held[id] = true
		}
	}
	if n.mode == starting && !n.sleeps {
		n.joins(n.process, true)
	}
}

// lacks lists acknowledged writes of before that the node should hold and
// does not, though a quorum does.
func (w *world) lacks(n *node, before cluster.Moment) []int {
	var out []int
	for id, x := range w.writes {
		if x.at > before || !x.acked || n.held[id] || n.forgiven[id] || !slices.Contains(x.replicas, n.name) {
			continue
		}
		holders := 0
		for _, r := range x.replicas {
			if w.byName[r].held[id] {
				holders++
			}
		}
		if holders >= cluster.Quorum(len(x.replicas)) {
			out = append(out, id)
		}
	}
	return out
}
