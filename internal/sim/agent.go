// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/obey"
	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/membership"
)

// agent is one agent's memory; its disk is the node's.
type agent struct {
	n       *node
	w       *world
	control bool
	up      bool
	starts  int
	begun   moment // when this boot began
	id      cluster.Boot
	seq     uint64

	// What is wrong with it.
	frozen     bool // stopped: it does nothing, and then everything late
	waiting    []func()
	lag        time.Duration // every loop is so late
	laggedAt   moment        // when it was so late last
	blind      bool          // its probes cannot open a connection
	behind     bool          // its watch does not move
	fooled     bool          // it is told that its lease stands
	unanswered bool          // the store takes its word and does not answer
	closed     string        // why it obeys nothing
	hookWorks  bool          // its power hook did, when it was asked last
	dieAt      crashPoint

	state   *lead.State
	inbox   membership.Inbox
	fresh   []membership.Taken
	judged  moment
	news    bool // somebody said what the view does not
	watch   model.Watch
	whole   bool
	belief  lead.Belief
	lease   model.Lease
	renewed moment
	term    bool
	out     moment // stays out of elections until then

	eyes      []eye // ways for each node that it watches
	self      selfTold
	fences    map[cluster.Name]fenceTold
	pool      poolTold
	inHand    map[string]bool
	lane      map[string]bool
	sent      moment
	due       moment                  // of the next tick, by the host's clock
	recorded  *membership.Digest      // somebody listened
	again     func()                  // its first act, for the bug that comes back to it
	slowSince map[cluster.Name]moment // since when its judge has found nodes slow that are
}

func newAgent(n *node, control bool) *agent { return &agent{n: n, w: n.w, control: control} }

// now is the boot clock of the agent's host.
func (a *agent) now() moment { return a.n.clock() }

// answers tells whether the agent speaks to its gate and its host.
func (a *agent) answers() bool { return a.up && !a.frozen }

// reaches tells whether the store answers this agent, and is to be believed.
func (a *agent) reaches() bool { return a.connects() && a.belief.Doubt == "" }

// connects tells whether a store answers that is the one this agent knows.
func (a *agent) connects() bool {
	return !a.w.journal.away && a.w.talks(a.n.name, storeAt) && a.n.etcd == a.w.etcd
}

// boot begins a new life with an empty memory.
func (a *agent) boot() {
	a.starts++
	a.begun = a.w.now
	a.id = cluster.Boot(fmt.Sprintf("%s-a%d", a.n.name, a.starts))
	a.up, a.whole, a.term, a.seq, a.fresh = true, false, false, 0, nil
	a.frozen, a.waiting, a.due = false, nil, 0
	a.state = lead.New("c", a.n.name, "eu")
	a.state.Picture.Share(a.w.decoded)
	a.inbox, a.watch, a.belief = membership.Inbox{Cluster: "c"}, model.Watch{}, lead.Belief{}
	a.eyes = make([]eye, ways*len(a.w.watched[a.n.name]))
	a.again, a.slowSince = nil, map[cluster.Name]moment{}
	a.self, a.fences, a.pool = selfTold{}, map[cluster.Name]fenceTold{}, poolTold{}
	a.inHand, a.lane = map[string]bool{}, map[string]bool{}
	a.lease, a.renewed = a.w.store.Grant(), a.w.now
	a.w.note("agent %s boots", a.id)
	a.every(500*time.Millisecond, a.look)
	a.every(150*time.Millisecond, a.pull)
	a.every(300*time.Millisecond, a.keepFences)
	a.every(700*time.Millisecond, a.keepPools)
	a.every(2*second, a.tellSelf)
	a.every(second, a.campaign)
	if a.control {
		a.every(a.w.pace, a.judge)
		a.every(5*second, a.readSchema)
	}
	a.bootHook()
}

// crash loses the memory; the lease lives on for a while.
func (a *agent) crash() bool {
	if !a.up {
		return false
	}
	a.w.note("agent %s crashes, leading %v", a.id, a.term)
	a.w.rep.Crashes++
	a.up, a.frozen, a.waiting = false, false, nil
	a.w.memoryLost()
	for _, resource := range []string{obey.Cassandra, obey.Looks, obey.Power} {
		delete(a.w.acting, string(a.n.name)+"/"+resource)
	}
	lease := a.lease
	a.w.after(leaseTime, func() { a.w.store.Expire(lease) })
	if a.w.bug(forgetMarks) {
		a.n.marks = nil
	}
	a.w.after(a.w.between(second, 25*second), func() {
		if !a.up && !a.n.off { // else it boots with its host
			a.boot()
		}
	})
	return true
}

// thaw lets a stopped agent go on with all that it missed.
func (a *agent) thaw() {
	if !a.frozen {
		return
	}
	a.w.note("agent %s goes on", a.id)
	a.frozen = false
	late := a.waiting
	a.waiting = nil
	for i, do := range late {
		a.after(time.Duration(i)*time.Millisecond, do)
	}
}

// after plans something that dies with this boot, and waits while it is
// stopped.
func (a *agent) after(d time.Duration, do func()) {
	id := a.id
	a.w.after(d, func() {
		if a.id == id {
			a.soonest(do)
		}
	})
}

// soonest does something that came in, or keeps it while the agent is stopped.
func (a *agent) soonest(do func()) {
	switch {
	case !a.up:
	case a.frozen:
		a.waiting = append(a.waiting, do)
	default:
		do()
	}
}

// every does something again and again until this boot ends.
func (a *agent) every(d time.Duration, do func()) {
	id := a.id
	var wake func()
	next := func() { a.w.after(d+a.lag+time.Duration(a.w.rng.Int63n(int64(d/4))), wake) }
	once := func() { do(); next() }
	wake = func() {
		if a.id == id {
			a.soonest(once)
		}
	}
	next()
}

// candidateJudges is how often a candidate judges while it hears what it knows.
const candidateJudges = 2 * second

// rests tells whether a candidate need not judge now: it was told nothing new,
// and nothing is due.
func (a *agent) rests() bool {
	if a.term || a.news || a.w.now.Sub(a.judged) >= candidateJudges {
		return false
	}
	wake, due := a.state.View().Wake()
	return !due || wake > a.now()
}

func (a *agent) judge() {
	a.pace()
	if !a.up {
		return
	}
	if a.rests() {
		return
	}
	a.judged, a.news = a.w.now, false
	view := a.findsSlow(membership.Judge(a.state.View(), a.spelled(), a.w.topo, a.state.Bars(a.state.Hints(nil)), a.now()))
	a.fresh = a.fresh[:0]
	if a.timid(view) {
		return
	}
	a.turn(lead.Viewed{View: view})
	if a.state.Deaf(a.now()) {
		a.w.note("%s is deaf", a.id)
		a.resign()
	}
}

// pace is the desk's tick: it notices that it comes late.
func (a *agent) pace() {
	if a.due != 0 && a.state.Late(a.due, a.now()) {
		a.w.note("%s stalled", a.id)
		a.laggedAt = a.w.now
		if a.term {
			a.resign()
		}
	}
	a.due = a.now().Add(500 * time.Millisecond)
}

func (a *agent) readSchema() {
	for _, n := range a.w.nodes {
		if n.takes() && a.w.talks(a.n.name, n.name) {
			a.turn(a.w.schemaAsRead())
			return
		}
	}
}

var errLost = errors.New("nobody knows")

// answerMax is how long an agent waits for the store.
const answerMax = 1500 * time.Millisecond

// commit sends a transaction; its answer may be lost, and it may be written
// after it was given up.
func (a *agent) commit(t store.Txn, done func(store.Result, error)) {
	w, lease := a.w, a.lease
	lost := func(d time.Duration) { a.after(d, func() { done(store.Result{}, errLost) }) }
	if !a.connects() || w.journal.full {
		lost(second)
		return
	}
	write := func() (store.Result, error) {
		if w.journal.away || w.journal.full {
			return store.Result{}, errLost
		}
		return w.write(lease, t)
	}
	there, back := w.between(time.Millisecond, 15*time.Millisecond)+w.journal.slow, w.between(time.Millisecond, 15*time.Millisecond)
	switch {
	case w.chance(0.01): // never arrives
		lost(500 * time.Millisecond)
	case there > answerMax, a.unanswered, w.chance(0.02): // written, the answer is lost or too late
		w.after(there, func() { _, _ = write() })
		lost(min(there, answerMax) + 500*time.Millisecond)
	case w.chance(0.01): // given up, and written after that
		w.after(w.between(500*time.Millisecond, 2*second), func() { _, _ = write() })
		lost(500 * time.Millisecond)
	default:
		w.after(there, func() {
			res, err := write()
			a.after(back, func() { done(res, err) })
		})
	}
}

// pull moves the watch.
func (a *agent) pull() {
	if !a.connects() || a.behind {
		return
	}
	together := a.w.rng.Intn(4) > 0 // a watch may bring several revisions at once
	var batch store.Batch
	for range 8 {
		b, ok := a.w.store.Pull(&a.watch)
		if !ok {
			break
		}
		b.KVs = a.w.lenient(b.KVs)
		if batch.KVs != nil && (b.Whole || !together) {
			a.changed(batch)
			batch = store.Batch{}
		}
		batch.Rev, batch.Whole, batch.KVs = b.Rev, batch.Whole || b.Whole, append(batch.KVs, b.KVs...)
	}
	if batch.Rev != 0 {
		a.changed(batch)
	}
	a.keepLocal()
	a.errands()
}

// relist reads everything, linearizably.
func (a *agent) relist() {
	if !a.connects() {
		a.after(second, a.relist)
		return
	}
	a.after(a.w.between(2*time.Millisecond, 30*time.Millisecond), func() {
		if !a.connects() {
			a.relist()
			return
		}
		kvs, rev := a.w.store.List("")
		a.changed(store.Batch{Rev: rev, KVs: a.w.lenient(kvs), Whole: true})
	})
}

// turn drives the real leader.
func (a *agent) turn(in lead.Input) {
	out := a.state.Turn(in, a.now(), a.n.wall())
	for _, b := range a.state.Store.Broken {
		a.w.broken(b.Invariant, "broke in %s about %s: %s", a.id, b.Incident, b.Detail)
	}
	for _, c := range out.Commits {
		phase := c.Decision.Record.Phase.String()
		if a.dies(beforeIntent, phase) {
			return
		}
		c.Txn = a.w.spoil(c.Txn)
		a.commit(c.Txn, func(res store.Result, err error) {
			if a.dies(afterIntent, phase) {
				return
			}
			a.turn(lead.Answered{Commit: c, Result: res, Err: err})
		})
		if a.dies(intentOnItsWay, phase) {
			return
		}
	}
	if out.Relist {
		a.relist()
	}
	if out.Resign {
		a.resign()
	}
}

func (a *agent) resign() {
	a.w.note("%s resigns", a.id)
	a.w.store.Expire(a.lease)
	a.term, a.out = false, a.w.now.Add(30*second)
	a.turn(lead.Lost{})
}

// leaseTime is how long a lease stands without being renewed.
const leaseTime = 5 * second

// leases ends those that nobody renewed. A store without quorum ends none, and
// gives all of them their whole time when it is back.
func (w *world) leases() {
	for _, n := range w.nodes {
		a := n.agent
		switch {
		case w.journal.away:
			a.renewed = w.now
		case w.now.Sub(a.renewed) > leaseTime && w.store.Live(a.lease):
			w.store.Expire(a.lease)
		}
	}
}

// campaign keeps the lease and asks for the lead.
func (a *agent) campaign() {
	a.goesOver()
	if !a.connects() || a.fooled {
		return
	}
	if !a.w.store.Live(a.lease) {
		if a.term {
			a.term = false
			a.turn(lead.Lost{})
		}
		a.lease = a.w.store.Grant()
		a.self, a.fences, a.pool = selfTold{}, map[cluster.Name]fenceTold{}, poolTold{}
	}
	a.renewed = a.w.now
	if !a.control || a.term || a.w.now < a.out || a.w.journal.full || !a.reaches() || a.w.bug(oneLeader) && a.w.now > epoch.Add(warmUp) {
		return
	}
	term, won, err := a.w.store.Campaign(a.lease, string(a.n.name))
	if err == nil && won {
		a.w.note("%s leads", a.id)
		a.term, a.judged = true, 0
		a.judge()
		a.turn(lead.Won{Term: term})
	}
}

// put writes a key of this agent's own.
func (a *agent) put(key string, value any, leased bool, failed func()) {
	if a.state.Picture.Era.Mod == 0 {
		failed()
		return
	}
	b, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	a.commit(store.Txn{Compare: []store.Compare{{Key: store.Era, Rev: a.state.Picture.Era.Mod}},
		Put: []store.Put{{Key: key, Value: b, Leased: leased}}}, func(res store.Result, err error) {
		if err != nil || !res.OK {
			failed()
		}
	})
}

// selfLook is all that what an agent tells of itself depends on.
type selfLook struct {
	boot                   cluster.Boot
	alive                  time.Time
	odd, moving, snitchOff bool
	unrepaired, hookWorks  bool
	silences               string // as they are told
	load                   int64  // the number of the reading; 0: nobody asks
}

// tellSelf tells of the own Cassandra what was read last.
func (a *agent) tellSelf() {
	var alive time.Time
	open := a.state.Picture.Doubted(a.n.name)
	switch {
	case open || a.n.unrepaired || !a.n.takes():
		alive = a.n.alive
	case a.whole && a.w.now.Sub(a.n.aliveAt) >= 10*second:
		a.n.alive, a.n.aliveAt = a.n.wall(), a.w.now
	}
	missed, lapsed := a.state.Missed(a.now(), a.n.wall()), a.state.Lapsed()
	look := selfLook{a.id, alive, a.n.oddSchema, a.w.moving, a.n.snitchOff && !a.w.bug(snitchUnsaid), a.n.unrepaired, a.hookWorks, fmt.Sprint(missed, lapsed), a.loadRead()}
	if a.self.look == look && a.showsSelf(look) {
		return
	}
	a.self = selfTold{look, a.w.now}
	me := a.selfAs(look)
	me.Missed, me.Lapsed = missed, lapsed
	a.put(store.Agent(a.n.name), me, true, func() { a.self = selfTold{} })
}

// selfTold is what an agent told of itself, and when.
type selfTold struct {
	look selfLook
	at   moment
}

// selfAs is the agent's word about itself.
func (a *agent) selfAs(look selfLook) incident.Agent {
	facts := incident.CassandraFacts{HostID: a.n.place.HostID, Version: "5.0.9", Schema: "s1", Tokens: 2, SyncPeriod: second, HintWindow: a.w.hintWindow,
		Seeds: a.w.seeds(), SnitchOff: look.snitchOff}
	if look.odd {
		facts.Schema = "s2"
	}
	if look.moving {
		facts.Moving = []string{"a newcomer"}
	}
	return incident.Agent{Load: look.quiet(), Boot: a.id, Level: lead.LevelNow, Control: a.control, Cassandra: &facts, Alive: look.alive, Unrepaired: look.unrepaired, Cuts: !a.n.guardless, Power: a.powers(look.hookWorks)}
}

func (w *world) seeds() []string {
	var seeds []string
	for _, n := range w.nodes[:3] {
		seeds = append(seeds, string(n.name))
	}
	return seeds
}

func sortedNames[V any](m map[cluster.Name]V) []cluster.Name {
	out := make([]cluster.Name, 0, len(m))
	for n := range m { // order: sorted below
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
