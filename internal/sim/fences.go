// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// reads tells whether the own admin interface says anything.
func (n *node) reads() bool { return n.runs() && !n.hung && !n.mute && !n.nonsense }

// own is what the agent reads of its own Cassandra.
func (a *agent) own() isolate.OwnState {
	n := a.n
	own := isolate.OwnState{Running: n.runs(), Process: n.process}
	if n.reads() {
		own.Mode, own.Native, own.Severity, own.Generation = n.mode, n.native, n.severity, n.generation
	}
	return own
}

// keepFences makes the own fence stand and reports on every fence.
func (a *agent) keepFences() {
	p := a.state.Picture
	if f, _, stands := p.Standing(a.n.name); stands && a.n.reads() && a.closed == "" {
		for _, act := range isolate.Converge(f, a.own()) {
			a.w.touch(a.n, act, f)
		}
	}
	a.straysFence()
	a.tellDowns()
	if len(p.Fences) == 0 {
		return
	}
	for _, name := range sortedNames(p.Fences) {
		f, token, stands := p.Standing(name)
		if !stands {
			continue
		}
		seen := isolate.Seen{Token: token}
		var own isolate.OwnState
		switch {
		case a.closed != "":
		case name == a.n.name:
			own = a.own()
			own.Applied = a.n.reads() && isolate.Stands(f, own)
		case a.n.reads():
			seen.SnitchOff = a.n.snitchOff && !a.w.bug(snitchUnsaid)
			s, known := a.n.sees[name]
			if !known || !a.n.met {
				break
			}
			seen.Sight, seen.Generation, seen.Severity = isolate.Down, s.generation, s.severity
			lies := a.w.bug(believeDown) && a.w.byName[name].mode != normal
			if s.up && !lies {
				seen.Sight = isolate.Up
			}
		}
		if look := (fenceLook{seen, own}); !a.toldFence(name, look) {
			a.tellFence(name, look)
		}
	}
}

// tellDowns hands on whom the own Cassandra believes down.
func (a *agent) tellDowns() {
	if !a.n.reads() || !a.n.met {
		return
	}
	var down []cluster.Name
	for _, of := range a.w.nodes {
		if s, known := a.n.sees[of.name]; known && of != a.n && !s.up {
			down = append(down, of.name)
		}
	}
	a.state.Downs(down, a.now())
}

// fenceTold is what an agent reported of a fence, and when.
type fenceTold struct {
	look fenceLook
	at   moment
}

// landed is how long a word may take to be shown by the store.
const landed = 2 * second

// toldFence tells whether that was reported and the store shows it: a word that
// was given up may be written after a later one.
func (a *agent) toldFence(name cluster.Name, look fenceLook) bool {
	told, known := a.fences[name]
	if !known || told.look != look {
		return false
	}
	shown, there := a.state.Picture.Seen[name][a.n.name]
	if !there || a.w.now.Sub(told.at) < landed {
		return true
	}
	var is fenceLook
	if shown.Own != nil {
		is.own, shown.Own = *shown.Own, nil
	}
	is.seen = shown
	return is == look
}

// tellFence reports what is seen of a fence.
func (a *agent) tellFence(name cluster.Name, look fenceLook) {
	value := look.seen
	if name == a.n.name && a.closed == "" {
		value.Own = &look.own
	}
	a.fences[name] = fenceTold{look, a.w.now}
	a.put(store.SeenFence(a.n.name, name), value, false, func() { delete(a.fences, name) })
}

// fenceLook is all that what an agent reports of a fence depends on.
type fenceLook struct {
	seen isolate.Seen
	own  isolate.OwnState
}

// keepLocal keeps the gate's copy of the own fence, and what it must know when
// nobody answers it. The return is over when its incident is in the archive.
func (a *agent) keepLocal() {
	p, local := a.state.Picture, &a.n.local
	if !a.whole || !a.reaches() || a.closed != "" {
		return
	}
	a.n.unrepaired = a.n.unrepaired || p.Orphaned(a.n.name, *local)
	if !p.Trusted() {
		return
	}
	if f, _, stands := p.Standing(a.n.name); stands {
		if local.Fence == nil || *local.Fence != f {
			local.Fence = &isolate.Fence{}
			*local.Fence = f
		}
		local.Incident = f.Incident
		a.n.unrepaired = a.n.unrepaired && !f.Returns()
	} else if over, known := p.Archive[local.Incident]; known && over.Node == a.n.name {
		local.Fence, local.Returning, local.Incident = nil, false, ""
	}
	local.Unasked, local.Deadline = isolate.StartUnknown, time.Time{}
	if p.Policy.Value != nil {
		local.Unasked = p.Policy.Value.Gate.Unasked
	}
	if at, open := p.Opens[a.n.name]; open {
		local.Deadline = p.Records[at.Value].Value.Outage.Deadline
	}
}

// gateMax is how long a gate asks its agent.
const gateMax = 20 * second

// gate is the real gate's decision with what this host knows: its own lines,
// then the agent, then the policy for an agent that did not say how to start.
func (n *node) gate(waited time.Duration) isolate.Answer {
	if n.w.bug(plainGate) {
		return isolate.Answer{Start: isolate.Normal, Rule: "bug"}
	}
	unread := n.agent.closed != ""
	alone, sure := isolate.BeforeAsking(n.local, n.wall())
	if sure && !unread && alone.Rule != "clean-drain" {
		return n.asleep(alone)
	}
	if n.agent.answers() && !unread {
		if a := isolate.Ask(n.agent.asked(waited), n.wall()); a.Start != isolate.Wait {
			return a
		}
	}
	switch {
	case waited < gateMax:
		return isolate.Answer{Start: isolate.Wait, Rule: "asking"}
	case unread:
		return isolate.Answer{Start: isolate.Refuse, Rule: "state-unread"}
	case sure:
		return n.asleep(alone)
	}
	return isolate.Unasked(n.local.Unasked)
}

// asleep notes on the disk that the node hibernates by what its disk says.
func (n *node) asleep(a isolate.Answer) isolate.Answer {
	n.unrepaired = n.unrepaired || a.Start == isolate.Hibernate
	return a
}

// asked is what this agent knows when its gate asks. Before the store was read
// once nobody knows the mode: it is not taken for observe.
func (a *agent) asked(waited time.Duration) isolate.Asked {
	p := a.state.Picture
	q := isolate.Asked{Local: a.n.local, Waited: waited, Store: a.whole && a.reaches() && p.Trusted(), Observe: a.whole && p.Trusted()}
	if me, listed := p.Hosts[a.n.name]; listed {
		q.Observe = p.Policy.Value.ModeOf(me.Datacenter) == incident.Observe && p.Trusted()
	}
	if q.Store {
		q.Fence = nil
	}
	if f, _, ok := p.Standing(a.n.name); ok {
		q.Standing = &f
	}
	if at, open := p.Opens[a.n.name]; open {
		q.Incident = at.Value
	}
	q.PeersAnswering, q.Peers = a.peersAnswering()
	return q
}

// peersAnswering counts the watched peers that answer, of how many: none of
// none while one of them has not had the time to be silent.
func (a *agent) peersAnswering() (answering, peers int) {
	unsure := false
	for i, t := range a.w.watched[a.n.name] {
		if t == a.n {
			continue
		}
		peers++
		l := &a.eyes[i*ways+int(membership.CQL)]
		known := l.at != 0
		good := l.Outcome == membership.Good || l.Outcome == membership.Late
		if known && good {
			answering++
		}
		unsure = unsure || !known || !good && l.Outcome == membership.Silent && l.Misses < a.state.Picture.Policy.Value.Bars().MissesMax
	}
	if unsure && answering == 0 {
		return 0, 0
	}
	return answering, peers
}

// keepPools writes the wanted pool to the proxy and reads it back.
func (a *agent) keepPools() {
	p := a.state.Picture
	at, stands := p.Pools["web"]
	meant := stands && !p.Older(at.Mod)
	if !meant && p.Era.Value.Recovered == nil || !a.w.allowed(a.n) {
		return
	}
	if !meant {
		at.Value = a.w.policy.Pools[0].Pool(at.Value) // it is only read
	}
	there := !a.w.balancer.mute && a.w.talks(a.n.name, proxyAt)
	if there {
		writer, _ := loadbalancer.Writer(a.w.policy.Pools[0].Writers, func(n cluster.Name) bool { o := a.w.byName[n].agent; return o.answers() && o.reaches() })
		if meant && writer == a.n.name || a.w.bug(oldWriter) && !a.reaches() {
			a.w.setProxy(at.Value, at.Mod, a)
		}
	}
	look := proxyLook{p.Token(at.Mod), there, a.w.balancer.late, a.w.balancer.told}
	if shown, there := p.PoolSeen["web"][a.n.name]; a.pool.look == look && (!there || a.w.now.Sub(a.pool.at) < landed || a.pool.shows(shown)) {
		return
	}
	a.pool = poolTold{look, a.poolSeen(at, look), a.w.now}
	a.put(store.SeenPool(a.n.name, "web"), a.pool.is, false, func() { a.pool = poolTold{} })
}

// poolTold is what an agent reported of the pool, and when.
type poolTold struct {
	look proxyLook
	is   incident.PoolSeen
	at   moment
}

// shows tells whether that is what was reported.
func (t *poolTold) shows(shown incident.PoolSeen) bool {
	is, was := shown.Proxies["ha"], t.is.Proxies["ha"]
	return shown.Token == t.is.Token && shown.InStep == t.is.InStep && is.InStep == was.InStep && is.Trouble == was.Trouble &&
		slices.Equal(is.Actual, was.Actual)
}

// proxyLook is all that what an agent sees of the proxy depends on.
type proxyLook struct {
	plan        cluster.Token
	there, late bool
	told        int // how often the proxy was told something else
}

// poolSeen is what an agent reports of the proxy.
func (a *agent) poolSeen(at lead.At[loadbalancer.Pool], look proxyLook) incident.PoolSeen {
	status := incident.ProxyStatus{Trouble: "no answer"}
	switch {
	case look.there && look.late:
		status = incident.ProxyStatus{Trouble: "no answer in time"}
	case look.there:
		status = incident.ProxyStatus{Actual: a.w.proxySays(), InStep: a.w.proxyStands(at.Value)}
	}
	return incident.PoolSeen{Token: look.plan, InStep: status.InStep, Proxies: map[string]incident.ProxyStatus{"ha": status}}
}
