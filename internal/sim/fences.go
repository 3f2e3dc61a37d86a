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
	if f, _, stands := p.Standing(a.n.name); stands && a.n.reads() && a.closed == "" && !a.weary(f) {
		for _, act := range isolate.Converge(f, a.own()) {
			a.w.touch(a.n, act, f)
		}
	}
	a.keepCuts()
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
		case a.closed != "" || f.Levels.Has(isolate.Ring) && name != a.n.name && !a.n.reads():
			seen.Cut = a.closed == "" && a.saysCut(name, f)
		case name == a.n.name:
			own = a.own()
			own.Applied = a.n.reads() && isolate.Stands(f, own)
		case a.n.reads():
			seen.Cut = a.saysCut(name, f)
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

// weary is the bug of who keeps no fence up once a person stopped its incident.
func (a *agent) weary(f isolate.Fence) bool {
	r, open := a.state.Picture.Records[f.Incident]
	return a.w.bug(wearyFences) && open && r.Value.HeldRule == incident.RuleOperator
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

// keepLocal keeps what the gate must know when nobody answers it.
func (a *agent) keepLocal() {
	p := a.state.Picture
	if !a.whole || !a.reaches() || a.closed != "" {
		return
	}
	a.n.unrepaired = a.n.unrepaired || p.Orphaned(a.n.name, a.n.local)
	a.n.local = p.Kept(a.n.name, a.n.local)
	a.n.unrepaired = a.n.unrepaired && !p.Retaken(a.n.name, a.n.local)
}

// gateMax is how long a gate asks its agent.
const gateMax = 20 * second

// gate asks as the real one does: what this host knows by itself, then the agent,
// then what this host says alone.
func (n *node) gate(waited time.Duration) isolate.Answer {
	if n.w.bug(plainGate) {
		return isolate.Answer{Start: isolate.Normal, Rule: "bug"}
	}
	unread := n.agent.closed != ""
	if a, sure := isolate.AtOnce(n.local, n.wall()); sure && !unread {
		return n.alone(a)
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
	}
	return n.alone(isolate.Alone(n.local, n.wall()))
}

// alone notes on the disk what an answer that only this host gave may lead to.
func (n *node) alone(a isolate.Answer) isolate.Answer {
	n.unrepaired = n.unrepaired || n.local.MayLack(a)
	return a
}

// asked is what this agent knows when its gate asks.
func (a *agent) asked(waited time.Duration) isolate.Asked {
	return a.state.Asked(lead.Gate{Guard: !a.n.guardless, Cuts: sortedNames(a.n.cuts), Local: a.n.local, Looks: a.looked(), Whole: a.whole, Answers: a.reaches(), Waited: waited})
}

// looked are the looks that this agent has made.
func (a *agent) looked() []membership.Look {
	looks := make([]membership.Look, 0, len(a.eyes))
	for i := range a.eyes {
		if e := &a.eyes[i]; e.at != 0 {
			looks = append(looks, e.Look)
		}
	}
	return looks
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
