// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/internal/obey"
	"supervisor/isolate"
	"supervisor/membership"
)

// The modes of a Cassandra process. An empty one does not run.
const (
	down     = ""
	starting = "STARTING" // also while it hibernates
	normal   = "NORMAL"
	draining = "DRAINED"
)

// sight is what one Cassandra thinks of another.
type sight struct {
	up         bool
	generation int64
	severity   float64
}

// node is a host: its Cassandra, its disk, its clocks and its agent.
type node struct {
	w     *world
	name  cluster.Name
	place cluster.Host
	agent *agent

	// Its Cassandra.
	process    cluster.Boot
	mode       string
	hung       bool
	off        bool   // its host, by a power hook
	offAt      moment // when it was turned off last
	sleeps     bool   // started hibernated, or about to be
	generation int64
	severity   float64
	native     bool
	sees       map[cluster.Name]sight
	met        bool // it has heard of its peers since it started
	starts     int
	restarts   bool       // its unit has Restart=
	doomed     int        // so many of its next starts end at once
	ordered    int        // so often it was started hibernated by order
	sessions   []*session // repairs, by number from 1

	// What else is wrong with it.
	deaf      bool // no gossip, though it runs
	slow      bool // answers late
	mute      bool // the admin interface does not answer
	nonsense  bool // the admin interface answers rubbish
	stuck     bool // repairs do not end
	oddSchema bool
	snitchOff bool   // it reads from whom it sees, whatever the Severity there
	snitchAt  moment // when it was turned off last
	losesAll  bool   // the next kill loses all that was not synced
	diskSays  membership.Outcome

	cuts      map[cluster.Name]bool // in its kernel: hosts that it is cut off from, by its guard of ports
	guardless bool                  // it has no such guard
	unasked   bool                  // nor was it there to say so when a cut was proven

	// When the truth about it changed last: by itself, by somebody else than the
	// supervisor, and when the supervisor could do nothing about it.
	wentAt     moment
	hungAt     moment
	silentAt   moment // when it began to hang, without wakings that nobody can have seen
	wokeAt     moment
	fencedAt   moment // when its process was ended for hanging
	changedAt  moment
	shakenAt   moment
	helplessAt moment
	neededAt   moment // when a range was last left without its quorum but for it
	excused    bool   // a person or a gate nobody answered started it plainly
	pardoned   bool   // and nobody was to repair it: in mode observe
	shown      bool   // the checks of standing truths saw that it may be read
	letIn      bool   // it was to join the ring though its Severity was known to be unheeded

	etcd       string // on its disk: the store that its agent knows, and its era
	era        uint32
	unrepaired bool // on its disk: its gate started it unasked, or asleep, and no return has fenced it since

	witnesses []cluster.Boot // of its last silence, which nobody could write down
	spokeAt   moment         // when that was over

	unhinted []int // writes that stood in hints which were lost while it was down
	trusting bool  // its gate started it plainly: those hints should be there

	missedFrom moment // since when those who watch it could judge it gone
	missed     []int  // and what it did not get since then

	drainedAt moment // when its last drain was, zero after another start
	leftAt    moment // when the process before this one was drained, zero when it was not
	beganAt   moment // when this process began
	clonedAt  moment // when a copy of it spoke last
	goneAt    moment // since when most who watch it miss it, and it announced nothing
	untoldAt  moment // when there was no need last for an incident to be opened about it

	// Its clocks.
	bootOff time.Duration // the boot clock stands so far from the world's
	drift   float64       // and runs so much faster
	driftAt moment
	wallOff time.Duration

	// Its disk.
	owes     []int // writes that it may lack: a superset
	fresh    []int // on its disk, and not synced yet
	freshAt  []moment
	hints    map[cluster.Name][]int
	marks    obey.Marks
	begun    obey.Repairs
	local    isolate.Local
	alive    time.Time // the agent's file of that name
	aliveAt  moment
	snapshot *snapshot

	restoredAt moment // when the disk went back to it
}

func (w *world) addNode(i int, h cluster.Host) {
	n := &node{w: w, name: h.Name, place: h, sees: map[cluster.Name]sight{}, hints: map[cluster.Name][]int{}, cuts: map[cluster.Name]bool{},
		marks: obey.Marks{}, restarts: w.rng.Intn(2) == 0, local: isolate.Local{EverServed: true},
		diskSays: membership.Good, bootOff: time.Duration(w.rng.Int63n(int64(1000 * time.Hour)))}
	n.etcd, n.era = firstEtcd, 1
	n.guardless = w.o.Seed%5 == 0 && int(w.o.Seed/5)%max(1, w.o.Nodes) == i
	if w.o.Hooks != nil && slices.Contains(w.o.Hooks.Guardless, i) {
		n.guardless = true
	}
	n.mode, n.native, n.met, n.shown, n.generation, n.process = normal, true, true, true, 1, cluster.Boot(fmt.Sprintf("%s-p0", h.Name))
	w.nodes, w.byName[h.Name] = append(w.nodes, n), n
	n.agent = newAgent(n, slices.Contains(w.control, h.Name))
	for _, other := range w.nodes {
		n.sees[other.name], other.sees[n.name] = sight{true, 1, 0}, sight{true, 1, 0}
	}
}

func (n *node) home() cluster.Datacenter { return n.place.Datacenter }

// clock is the host's own boot clock. No two hosts' clocks can be compared.
func (n *node) clock() moment {
	return n.w.now.Add(n.bootOff + time.Duration(n.drift*float64(n.w.now.Sub(n.driftAt))))
}

// setDrift changes the speed of the boot clock and never its value.
func (n *node) setDrift(d float64) {
	at := n.clock()
	n.drift, n.driftAt = d, n.w.now
	n.bootOff = at.Sub(n.w.now)
}

// wall is the host's wall clock.
func (n *node) wall() time.Time { return n.w.wall().Add(n.wallOff) }

func (n *node) runs() bool { return n.mode != down }

// takes tells whether the node takes writes and answers coordinators.
func (n *node) takes() bool { return n.mode == normal && !n.hung }

// gossips tells whether its peers hear of it.
func (n *node) gossips() bool { return n.runs() && n.mode != draining && !n.hung && !n.deaf }

// answers tells whether clients get an answer.
func (n *node) answers() bool { return n.takes() && n.native }

// read tells whether anybody may read from it: coordinators choose it while
// its Severity is low, and those without a snitch always, unless all have cut it
// off; clients reach it while its transport is on.
func (n *node) read() bool {
	return n.takes() && (n.native || n.gossips() && !n.w.shutOut(n) && (n.severity < isolate.SeverityFenced || n.unheeded(0)))
}

// syncLag is how old a write may be and still be lost with its process.
const syncLag = 300 * time.Millisecond

// kill ends the process at once; what was not synced is lost.
func (n *node) kill(why string) bool {
	if !n.runs() {
		return false
	}
	w := n.w
	w.note("kill %s (%s) mode %s", n.name, why, n.mode)
	w.rep.Kills++
	n.sync()
	for _, id := range n.fresh {
		if n.losesAll || w.rng.Intn(2) == 0 {
			w.loses(n, id)
			w.rep.Lost++
		}
	}
	n.losesAll = false
	n.fresh, n.freshAt = nil, nil
	switch {
	case n.mode == draining:
		n.wentAt = n.drainedAt
	case n.mode == starting: // it was away already
	case n.hung:
		n.wentAt = n.hungAt
		n.sawSilent()
	default:
		n.wentAt = w.now
	}
	n.mode, n.hung, n.native, n.severity = down, false, false, 0
	n.losesHints()
	n.changedAt = w.now
	gen := n.generation
	for _, peer := range w.nodes {
		w.after(w.between(2*second, 8*second), func() {
			if s := peer.sees[n.name]; s.generation == gen {
				s.up = false
				peer.sees[n.name] = s
			}
		})
	}
	n.agent.soon()
	if n.restarts {
		w.after(w.between(second/2, 2*second), func() { n.unitStart(w.now) })
	}
	w.dirty()
	return true
}

// losesHints forgets what the node kept for others: it died, or reaches nobody
// any more. Of a node that runs nobody knows then that it misses something.
func (n *node) losesHints() {
	for name, ids := range n.hints { // order: into sets
		if r := n.w.byName[name]; r.takes() {
			n.w.forgive(r, ids...)
		} else {
			r.unhinted = append(r.unhinted, ids...)
		}
	}
	n.hints = map[cluster.Name][]int{}
	for _, of := range n.w.nodes {
		delete(n.w.apart, [2]cluster.Name{n.name, of.name}) // the next process counts anew how long it misses somebody
	}
}

// losesPower ends everything on the host and boots it again later.
func (n *node) losesPower(back time.Duration) bool {
	n.losesAll = true
	killed := n.kill("power")
	n.agent.crash()
	n.w.after(back, func() { n.unitStart(n.w.now) })
	return killed
}

// unitStart asks the gate and starts, as a unit with Restart= or a person does.
func (n *node) unitStart(since moment) {
	if n.runs() || n.off {
		return
	}
	a := n.gate(n.w.now.Sub(since))
	switch a.Start {
	case isolate.Hibernate:
		n.start(true)
	case isolate.Normal:
		n.start(false)
		n.excuse(a.Rule)
	case isolate.Refuse: // its unit, or a person, tries again
		n.w.after(2*second, func() { n.unitStart(n.w.now) })
	default:
		n.w.after(2*second, func() { n.unitStart(since) })
	}
}

// start begins a process; it gossips after a while.
func (n *node) start(sleeping bool) {
	w := n.w
	n.starts++
	n.process = cluster.Boot(fmt.Sprintf("%s-p%d", n.name, n.starts))
	n.mode, n.sleeps, n.native, n.severity, n.hung, n.met = starting, sleeping, false, 0, false, false
	n.wokeAt, n.letIn = 0, false
	n.generation = int64(w.now / moment(time.Millisecond))
	n.changedAt, n.beganAt, n.leftAt = w.now, w.now, n.drainedAt
	n.local.Clean, n.drainedAt, n.pardoned, n.trusting = false, 0, false, false
	w.note("%s starts %s sleeping=%v generation %d", n.name, n.process, sleeping, n.generation)
	process := n.process
	if n.doomed > 0 {
		n.doomed--
		w.after(w.between(second, 20*second), func() { n.ends(process, "again") })
	} else if w.chance(0.05) {
		w.after(w.between(0, 3*second), func() { n.ends(process, "start failed") })
	}
	gossip := w.between(second, 4*second)
	if sleeping {
		w.after(gossip, func() { n.seenAsleep(process) })
		return
	}
	w.after(gossip+second, func() { n.joins(process, true) })
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
	n.met = true
	for _, peer := range n.w.nodes {
		wrong := n.w.chance(0.04)
		if peer != n && n.w.missed && n.w.hears(peer, n) {
			wrong, n.w.missed = true, false
		}
		n.w.after(n.w.between(0, 2*second), func() {
			if peer != n && n.generation == gen && n.mode == starting && n.w.hears(peer, n) {
				peer.sees[n.name] = sight{wrong, gen, n.severity}
			}
			if peer != n && n.generation == gen && peer.runs() && n.w.hears(n, peer) {
				n.sees[peer.name] = sight{peer.mode == normal, peer.generation, peer.severity}
			}
		})
	}
}

// joins makes it a member that serves as far as its fence lets it.
func (n *node) joins(process cluster.Boot, open bool) {
	w := n.w
	if n.process != process || n.mode != starting || n.hung {
		return
	}
	n.mode, n.native, n.changedAt = normal, open, w.now
	n.sleeps, n.met = false, true
	n.trustedHints()
	if open {
		n.shakenAt = w.now // its port opens before its hints are there
	}
	w.note("%s is NORMAL, native %v severity %v", n.name, n.native, n.severity)
	w.dirty()
	gen := n.generation
	for _, peer := range w.nodes {
		w.after(w.between(0, 1200*time.Millisecond), func() {
			if n.generation == gen && n.mode == normal && w.hears(peer, n) {
				peer.sees[n.name] = sight{true, gen, n.severity}
				w.after(w.between(0, 15*second), func() { peer.replay(n) })
			}
			if peer.runs() && w.hears(n, peer) { // it learns of the others, too
				n.sees[peer.name] = sight{peer.mode == normal, peer.generation, peer.severity}
			}
		})
	}
}

// replay hands hints over; what was not hinted does not come.
func (n *node) replay(to *node) {
	if !n.takes() || to.mode != normal || !n.w.linked(n, to) {
		return
	}
	for _, id := range n.hints[to.name] {
		if n.w.now.Sub(n.w.writes[id].at) >= n.w.gcGrace() {
			n.w.forgive(to, id) // a hint lives no longer than what it deletes is remembered
			continue
		}
		to.store(id)
	}
	delete(n.hints, to.name)
}

// setSeverity spreads by gossip.
func (n *node) setSeverity(v float64) {
	if n.severity == v {
		return
	}
	w := n.w
	n.severitySet(v)
	w.dirty()
	gen := n.generation
	for _, peer := range w.nodes {
		w.after(w.between(100*time.Millisecond, 1200*time.Millisecond), func() { n.gossipSeverity(peer, gen) })
	}
}

// gossipSeverity lets a peer know, each second anew until it hears of the process
// that it means.
func (n *node) gossipSeverity(peer *node, gen int64) {
	s := peer.sees[n.name]
	switch {
	case s.generation != gen, n.generation != gen, s.severity == n.severity:
	case n.w.hears(peer, n):
		s.severity = n.severity
		peer.sees[n.name] = s
	default:
		n.w.after(second, func() { n.gossipSeverity(peer, gen) })
	}
}

// byHand is a person's act; nobody of us can have foreseen it.
func (n *node) byHand(act func()) {
	act()
	n.shakenAt = n.w.now
	n.w.dirty()
}

// drains is nodetool drain: everything is on disk, and its ports are closed.
func (n *node) drains() {
	n.w.note("%s is drained", n.name)
	n.mode, n.native, n.changedAt, n.drainedAt = draining, false, n.w.now, n.w.now
	n.fresh, n.freshAt = nil, nil
	if n.agent.answers() {
		n.local = n.local.Drained(n.wall(), n.w.hintWindow)
	}
	gen := n.generation
	for _, peer := range n.w.nodes {
		n.w.after(n.w.between(0, 1200*time.Millisecond), func() {
			if s := peer.sees[n.name]; s.generation == gen {
				s.up = false
				peer.sees[n.name] = s
			}
		})
	}
	n.w.dirty()
}

// leaving tells whether its agent still announces the stop, as the real one does
// while the others keep hints.
func (n *node) leaving() bool {
	return n.drainedAt != 0 && n.w.now.Sub(n.drainedAt) < n.w.hintWindow
}

// hangs stops the process; its ports stay open.
func (n *node) hangs() {
	n.hung, n.changedAt, n.hungAt = true, n.w.now, n.w.now
	if n.wokeAt == 0 || n.w.now.Sub(n.wokeAt) >= noticed {
		n.silentAt = n.w.now
	}
	n.w.note("%s hangs", n.name)
}

// pauses stops the process for a moment.
func (n *node) pauses(d time.Duration) bool {
	if !n.runs() || n.hung {
		return false
	}
	process := n.process
	n.hangs()
	n.w.after(d, func() {
		if n.process == process && n.hung {
			n.wakes()
		}
	})
	return true
}

// wakes lets a hung process go on. Its queues and hints give it what it missed
// within the window.
func (n *node) wakes() {
	n.sawSilent()
	n.forgiveUnhinted()
	n.hung, n.changedAt, n.shakenAt, n.wokeAt = false, n.w.now, n.w.now, n.w.now
	n.w.note("%s goes on", n.name)
	for _, id := range n.w.unsettled {
		if n.w.shutOut(n) {
			break // nothing reaches it
		}
		if x := &n.w.writes[id]; x.at >= n.hungAt && x.at < n.hungAt.Add(n.w.hintWindow) {
			x.held |= x.place.bit(n) & x.place.must
		}
	}
	if n.mode == starting && !n.sleeps {
		n.joins(n.process, true)
	}
	n.w.after(n.w.between(second/2, 2*second), n.catchesUp)
	n.w.dirty()
}

// catchesUp learns by gossip how the others are now.
func (n *node) catchesUp() {
	for _, of := range n.w.nodes {
		if of != n && n.w.hears(n, of) {
			n.sees[of.name] = sight{of.mode == normal, of.generation, of.severity}
		}
	}
}

// settle ends what is still wrong with a host when the calm begins.
func (n *node) settle() {
	if n.hung {
		n.wakes()
	}
	n.doomed = 0
	n.agent.dieAt = 0
	if !n.agent.up && !n.off {
		n.agent.boot()
	}
}
