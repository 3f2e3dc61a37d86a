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
	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// agent is one agent's memory; its disk is the node's.
type agent struct {
	n       *node
	w       *world
	control bool
	up      bool
	cut     bool // the store does not answer it
	starts  int
	id      cluster.Boot
	seq     uint64

	state  *lead.State
	view   membership.View
	inbox  membership.Inbox
	fresh  []membership.Report
	watch  model.Watch
	whole  bool
	lease  model.Lease
	term   bool
	out    cluster.Moment // stays out of elections until then
	looks  map[membership.Key]membership.Look
	lookAt map[membership.Key]cluster.Moment
	told   map[string]string
	inHand map[string]bool
	lane   map[string]bool
	sent   cluster.Moment
}

func newAgent(n *node, control bool) *agent { return &agent{n: n, w: n.w, control: control} }

// boot begins a new life with an empty memory.
func (a *agent) boot() {
	a.starts++
	a.id = cluster.Boot(fmt.Sprintf("%s-a%d", a.n.name, a.starts))
	a.up, a.whole, a.term, a.seq, a.fresh = true, false, false, 0, nil
	a.state = lead.New("c", a.n.name, "eu")
	a.view, a.inbox, a.watch = membership.View{}, membership.Inbox{Cluster: "c"}, model.Watch{}
	a.looks, a.lookAt = map[membership.Key]membership.Look{}, map[membership.Key]cluster.Moment{}
	a.told, a.inHand, a.lane = map[string]string{}, map[string]bool{}, map[string]bool{}
	a.lease = a.w.store.Grant()
	a.w.note("agent %s boots", a.id)
	a.every(500*time.Millisecond, a.look)
	a.every(150*time.Millisecond, a.pull)
	a.every(300*time.Millisecond, a.keepFences)
	a.every(700*time.Millisecond, a.keepPools)
	a.every(2*second, a.tellSelf)
	a.every(second, a.campaign)
	if a.control {
		a.every(200*time.Millisecond, a.judge)
		a.every(5*second, a.readSchema)
	}
}

// crash loses the memory; the lease lives on for a while.
func (a *agent) crash() {
	if !a.up {
		return
	}
	a.w.note("agent %s crashes, leading %v", a.id, a.term)
	a.w.rep.Crashes++
	a.up = false
	lease := a.lease
	a.w.after(5*second, func() { a.w.store.Expire(lease) })
	if a.w.o.Bugs.ForgetMarks {
		a.n.marks = nil
	}
	back := a.w.between(second, 25*second)
	a.w.after(back, func() {
		if !a.up {
			a.boot()
		}
	})
}

// after plans something that dies with this boot.
func (a *agent) after(d time.Duration, do func()) {
	id := a.id
	a.w.after(d, func() {
		if a.up && a.id == id {
			do()
		}
	})
}

func (a *agent) every(d time.Duration, do func()) {
	a.after(d+time.Duration(a.w.rng.Int63n(int64(d/4))), func() { do(); a.every(d, do) })
}

// look looks at every assigned node and tells the judges on change, else each
// second.
func (a *agent) look() {
	changed := false
	for _, subject := range a.w.topo.Watched(a.n.name) {
		t := a.w.byName[subject]
		changed = a.saw(subject, membership.CQL, cqlLook(t)) || changed
		changed = a.saw(subject, membership.Storage, storageLook(t)) || changed
		if subject == a.n.name {
			changed = a.saw(subject, membership.Process, map[bool]membership.Outcome{true: membership.Good, false: membership.Exited}[t.runs()]) || changed
			changed = a.saw(subject, membership.Admin, adminLook(t)) || changed
			changed = a.saw(subject, membership.Disk, map[bool]membership.Outcome{true: membership.Wrong, false: membership.Good}[t.diskBad]) || changed
		} else if s := a.n.sees[subject]; a.n.takes() {
			changed = a.saw(subject, membership.Phi, map[bool]membership.Outcome{true: membership.Good, false: membership.Silent}[s.up && t.runs()]) || changed
		}
	}
	if changed || a.w.now.Sub(a.sent) >= second {
		a.send()
	}
}

// soon has the agent look at once: its own process ended.
func (a *agent) soon() {
	if a.up {
		a.after(20*time.Millisecond, a.look)
	}
}

func cqlLook(t *node) membership.Outcome {
	switch {
	case t.runs() && t.hung:
		return membership.Silent
	case t.answers():
		return membership.Good
	}
	return membership.Refused
}

func storageLook(t *node) membership.Outcome {
	if t.runs() {
		return membership.Good
	}
	return membership.Refused
}

func adminLook(t *node) membership.Outcome {
	switch {
	case !t.runs():
		return membership.Refused
	case t.hung:
		return membership.Silent
	}
	return membership.Good
}

func (a *agent) saw(subject cluster.Name, p membership.Path, o membership.Outcome) bool {
	k := membership.Key{Observer: subject, Path: p}
	l, known := a.looks[k]
	if known && l.Outcome == o {
		l.Misses++
		l.Held += a.w.now.Sub(a.lookAt[k])
	} else {
		l = membership.Look{Subject: subject, Path: p, Outcome: o, Misses: 1}
	}
	changed := !known || a.looks[k].Outcome != o || o == membership.Silent && l.Misses == 3
	a.looks[k], a.lookAt[k] = l, a.w.now
	return changed
}

func (a *agent) send() {
	a.sent = a.w.now
	a.seq++
	d := membership.Digest{Cluster: "c", Observer: a.n.name, Boot: a.id, Seq: a.seq}
	if a.n.runs() {
		d.Process = a.n.process
	}
	for _, subject := range a.w.topo.Watched(a.n.name) {
		for p := membership.Process; p <= membership.Phi; p++ {
			k := membership.Key{Observer: subject, Path: p}
			if l, known := a.looks[k]; known {
				l.Age = a.w.now.Sub(a.lookAt[k])
				d.Looks = append(d.Looks, l)
			}
		}
	}
	for _, n := range a.w.nodes[:3] {
		if !n.agent.up || a.w.chance(0.1) {
			continue
		}
		to := n.agent
		delay := a.w.between(time.Millisecond, 40*time.Millisecond)
		if a.w.chance(0.03) {
			delay = a.w.between(second, 4*second)
		}
		to.after(delay, func() { to.hear(d) })
	}
}

func (a *agent) hear(d membership.Digest) {
	inbox, reports, err := a.inbox.Take(d, a.w.now)
	if err != nil {
		return
	}
	a.inbox = inbox
	a.fresh = append(a.fresh, reports...)
}

func (a *agent) judge() {
	a.view = membership.Judge(a.view, a.fresh, a.w.topo, a.state.Picture.Policy.Value.Bars(), a.w.now)
	a.fresh = nil
	a.turn(lead.Viewed{View: a.view})
}

func (a *agent) readSchema() {
	for _, n := range a.w.nodes {
		if n.takes() {
			a.turn(lead.Schemed{Schema: a.w.schema})
			return
		}
	}
}

var errLost = errors.New("nobody knows")

// commit sends a transaction; its answer may be lost, and it may be written
// after it was given up.
func (a *agent) commit(t store.Txn, done func(store.Result, error)) {
	w, lease := a.w, a.lease
	if a.cut {
		a.after(second, func() { done(store.Result{}, errLost) })
		return
	}
	write := func() (store.Result, error) { return w.write(lease, t) }
	there, back := w.between(time.Millisecond, 15*time.Millisecond), w.between(time.Millisecond, 15*time.Millisecond)
	switch {
	case w.chance(0.01): // never arrives
		a.after(500*time.Millisecond, func() { done(store.Result{}, errLost) })
	case w.chance(0.02): // written, the answer is lost
		w.after(there, func() { _, _ = write() })
		a.after(500*time.Millisecond, func() { done(store.Result{}, errLost) })
	case w.chance(0.01): // given up, and written after that
		w.after(w.between(500*time.Millisecond, 2*second), func() { _, _ = write() })
		a.after(500*time.Millisecond, func() { done(store.Result{}, errLost) })
	default:
		w.after(there, func() {
			res, err := write()
			a.after(back, func() { done(res, err) })
		})
	}
}

// pull moves the watch.
func (a *agent) pull() {
	if a.cut || !a.whole && a.watch.Rev != 0 {
		return
	}
	for range 8 {
		b, ok := a.w.store.Pull(&a.watch)
		if !ok {
			break
		}
		a.whole = true
		a.turn(lead.Changed{Batch: b})
	}
	a.keepLocal()
	a.errands()
}

// relist reads everything, linearizably.
func (a *agent) relist() {
	if a.cut {
		a.after(second, a.relist)
		return
	}
	a.after(a.w.between(2*time.Millisecond, 30*time.Millisecond), func() {
		kvs, rev := a.w.store.List("")
		a.turn(lead.Changed{Batch: store.Batch{Rev: rev, KVs: kvs, Whole: true}})
	})
}

// turn drives the real leader.
func (a *agent) turn(in lead.Input) {
	out := a.state.Turn(in, a.w.now, a.w.wall())
	for _, b := range a.state.Store.Broken {
		a.w.broken(b.Invariant, "broke in %s about %s: %s", a.id, b.Incident, b.Detail)
	}
	for _, c := range out.Commits {
		c := c
		c.Txn = a.w.spoil(c.Txn)
		a.commit(c.Txn, func(res store.Result, err error) {
			a.turn(lead.Answered{Commit: c, Result: res, Err: err})
		})
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

// campaign keeps the lease and asks for the lead.
func (a *agent) campaign() {
	if a.cut {
		return
	}
	if !a.w.store.Live(a.lease) {
		if a.term {
			a.term = false
			a.turn(lead.Lost{})
		}
		a.lease = a.w.store.Grant()
		a.told = map[string]string{}
	}
	if !a.control || a.term || a.w.now < a.out {
		return
	}
	term, won, err := a.w.store.Campaign(a.lease, string(a.n.name))
	if err == nil && won {
		a.w.note("%s leads", a.id)
		a.term = true
		a.turn(lead.Won{Term: term})
	}
}

// tell puts a key of this agent's own when it changed.
func (a *agent) tell(key string, v any, leased bool) {
	b, err := json.Marshal(v)
	if err != nil || a.told[key] == string(b) || a.state.Picture.Era.Mod == 0 {
		return
	}
	a.told[key] = string(b)
	a.commit(store.Txn{Compare: []store.Compare{{Key: store.Era, Rev: a.state.Picture.Era.Mod}},
		Put: []store.Put{{Key: key, Value: b, Leased: leased}}}, func(res store.Result, err error) {
		if err != nil || !res.OK {
			delete(a.told, key)
		}
	})
}

func (a *agent) tellSelf() {
	me := incident.Agent{Boot: a.id, Control: a.control, Cassandra: &incident.CassandraFacts{
		HostID: a.n.place.HostID, Version: "5.0.9", Tokens: 2, SyncPeriod: time.Second, HintWindow: hintWindow}}
	_, open := a.state.Picture.Opens[a.n.name]
	switch {
	case open || !a.n.takes():
		me.Alive = a.n.alive
	case a.whole && a.w.now.Sub(a.n.aliveAt) >= 10*second:
		a.n.alive, a.n.aliveAt = a.w.wall(), a.w.now
	}
	a.tell(store.Agent(a.n.name), me, true)
}

// own is what the agent reads of its own Cassandra.
func (a *agent) own() isolate.OwnState {
	n := a.n
	own := isolate.OwnState{Running: n.runs(), Process: n.process}
	if n.runs() && !n.hung {
		own.Mode, own.Native, own.Severity, own.Generation = n.mode, n.native, n.severity, n.generation
	}
	return own
}

// keepFences makes the own fence stand and reports on every fence.
func (a *agent) keepFences() {
	p := a.state.Picture
	if f, _, stands := p.Standing(a.n.name); stands && a.n.runs() && !a.n.hung {
		for _, act := range isolate.Converge(f, a.own()) {
			a.w.touch(a.n, act, f)
		}
	}
	for _, name := range sortedNames(p.Fences) {
		f, token, _ := p.Standing(name)
		seen := isolate.Seen{Token: token}
		if name == a.n.name {
			own := a.own()
			own.Applied = own.Running && !a.n.hung && isolate.Stands(f, own)
			seen.Own = &own
		} else if s := a.n.sees[name]; a.n.runs() && !a.n.hung && a.n.mode == normal {
			seen.Sight, seen.Generation, seen.Severity = isolate.Down, s.generation, s.severity
			if s.up && !a.w.o.Bugs.BelieveDown {
				seen.Sight = isolate.Up
			}
			if a.w.o.Bugs.BelieveDown && a.w.byName[name].mode == normal && s.up {
				seen.Sight = isolate.Up
			}
		}
		a.tell(store.SeenFence(a.n.name, name), seen, false)
	}
}

// keepLocal keeps the gate's copy of the own fence.
func (a *agent) keepLocal() {
	if !a.whole || a.cut {
		return
	}
	f, _, stands := a.state.Picture.Standing(a.n.name)
	switch {
	case !stands && a.n.local.Fence != nil:
		a.n.local.Fence, a.n.local.Returning, a.n.local.Incident = nil, false, ""
	case stands:
		a.n.local.Fence = &f
		a.n.local.Incident = f.Incident
	}
}

// asked is what this agent tells its gate.
func (a *agent) asked(waited time.Duration) isolate.Asked {
	q := isolate.Asked{Local: a.n.local, Waited: waited, Store: a.whole && !a.cut, Observe: a.state.Picture.Policy.Value.ModeOf("dc1") == incident.Observe}
	if q.Store {
		q.Fence = nil
	}
	if f, _, ok := a.state.Picture.Standing(a.n.name); ok {
		q.Standing = &f
	}
	if at, open := a.state.Picture.Opens[a.n.name]; open {
		q.Incident = at.Value
	}
	for k, l := range a.looks {
		if k.Observer != a.n.name && k.Path == membership.CQL {
			q.Peers++
			if l.Outcome == membership.Good {
				q.PeersAnswering++
			}
		}
	}
	return q
}

// keepPools writes the wanted pool to the proxy and reads it back.
func (a *agent) keepPools() {
	p := a.state.Picture
	at, stands := p.Pools["web"]
	if !stands || a.n.place.Datacenter != "dc1" {
		return
	}
	seen := incident.PoolSeen{Token: p.Token(at.Mod), Proxies: map[string]incident.ProxyStatus{}}
	if !a.w.mute {
		writer, _ := loadbalancer.Writer(w0(a.w), func(n cluster.Name) bool { return a.w.byName[n].agent.up && !a.w.byName[n].agent.cut })
		if writer == a.n.name {
			a.w.setProxy(at.Value, a)
		}
		seen.InStep = a.w.proxyStands(at.Value)
		seen.Proxies["ha"] = incident.ProxyStatus{Actual: a.w.proxySays(), InStep: seen.InStep}
	}
	a.tell(store.SeenPool(a.n.name, "web"), seen, false)
}

func w0(w *world) []cluster.Name { return w.policy.Pools[0].Writers }

func sortedNames[V any](m map[cluster.Name]V) []cluster.Name {
	out := make([]cluster.Name, 0, len(m))
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
