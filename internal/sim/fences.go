// SPDX-License-Identifier: Apache-2.0

package sim

import (
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
	if len(p.Fences) == 0 {
		return
	}
	for _, name := range sortedNames(p.Fences) {
		f, token, _ := p.Standing(name)
		seen := isolate.Seen{Token: token}
		var own isolate.OwnState
		switch {
		case a.closed != "":
		case name == a.n.name:
			own = a.own()
			own.Applied = a.n.reads() && isolate.Stands(f, own)
		case a.n.reads() && a.n.mode == normal:
			s := a.n.sees[name]
			seen.Sight, seen.Generation, seen.Severity, seen.SnitchOff = isolate.Down, s.generation, s.severity, a.n.snitchOff
			lies := a.w.bug(believeDown) && a.w.byName[name].mode != normal
			if s.up && !lies {
				seen.Sight = isolate.Up
			}
		}
		a.tell(store.SeenFence(a.n.name, name), fenceLook{seen, own}, func() any {
			if name == a.n.name && a.closed == "" {
				seen.Own = &own
			}
			return seen
		}, false)
	}
}

// fenceLook is all that what an agent reports of a fence depends on.
type fenceLook struct {
	seen isolate.Seen
	own  isolate.OwnState
}

// keepLocal keeps the gate's copy of the own fence.
func (a *agent) keepLocal() {
	if !a.whole || !a.reaches() || a.closed != "" {
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
	q := isolate.Asked{Local: a.n.local, Waited: waited, Store: a.whole && a.reaches(),
		Observe: a.state.Picture.Policy.Value.ModeOf(a.n.home()) == incident.Observe}
	if q.Store {
		q.Fence = nil
	}
	if f, _, ok := a.state.Picture.Standing(a.n.name); ok {
		q.Standing = &f
	}
	if at, open := a.state.Picture.Opens[a.n.name]; open {
		q.Incident = at.Value
	}
	for i, t := range a.w.watched[a.n.name] {
		if cql := a.eyes[i*ways+int(membership.CQL)]; t != a.n && cql.at != 0 {
			q.Peers++
			if cql.Outcome == membership.Good {
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
	if !stands || !a.w.allowed(a.n) {
		return
	}
	there := !a.w.balancer.mute && a.w.talks(a.n.name, proxyAt)
	if there {
		writer, _ := loadbalancer.Writer(a.w.policy.Pools[0].Writers, func(n cluster.Name) bool { o := a.w.byName[n].agent; return o.answers() && o.reaches() })
		if writer == a.n.name || a.w.bug(oldWriter) && !a.reaches() {
			a.w.setProxy(at.Value, at.Mod, a)
		}
	}
	look := proxyLook{p.Token(at.Mod), there, a.w.balancer.late, a.w.balancer.told}
	a.tell(store.SeenPool(a.n.name, "web"), look, func() any { return a.poolSeen(at, look) }, false)
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
