// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"

	"supervisor/incident"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// proxyRestart forgets what it was told: every server is ready.
func proxyRestart(b *blow) bool {
	for _, n := range b.w.pool() {
		b.w.balancer.say(n, loadbalancer.Full)
	}
	return true
}

func proxyByHand(b *blow) bool {
	if _, in := b.w.balancer.says[b.n.name]; !in {
		return false
	}
	b.w.balancer.say(b.n.name, loadbalancer.Wish{Want: loadbalancer.Drain})
	name := b.n.name
	return b.lasts(5*second, 30*second, func() {
		if pool, ok := b.w.wanted(); ok {
			b.w.balancer.say(name, pool.Wants[name])
		}
	})
}

// darkMax is how many hosts lose their power at once: more of them come back one
// by one for an hour and show nothing else.
const darkMax = 6

// powers takes the power from some hosts at once and gives it back.
func (b *blow) powers(which func(*node) bool) bool {
	dark := 0
	for _, n := range b.w.nodes {
		if which(n) {
			dark++
		}
	}
	if dark > darkMax || !b.w.spare() {
		return false
	}
	back := b.span(5*second, 60*second)
	for _, n := range b.w.nodes {
		if which(n) {
			b.w.after(b.span(0, 300*time.Millisecond), func() { n.losesPower(back + b.span(0, 5*second)) })
		}
	}
	return true
}

func agentsRestart(b *blow) bool {
	for _, n := range b.w.nodes {
		n.agent.crash()
	}
	return true
}

// massReturn starts whatever is down, all at once.
func massReturn(b *blow) bool {
	some := false
	for _, n := range b.w.nodes {
		if !n.runs() {
			some = true
			n.unitStart(b.w.now)
		}
	}
	return some
}

// drainByHand is a planned restart.
func drainByHand(b *blow) bool {
	n := b.n
	if !n.answers() || !b.w.spare() {
		return false
	}
	process := n.process
	n.drains()
	b.w.after(b.span(second, 5*second), func() {
		if n.process == process {
			n.ends(process, "after a drain")
			b.w.after(b.span(second, 20*second), func() { n.unitStart(b.w.now) })
		}
	})
	return true
}

func startByHand(b *blow) bool {
	for _, n := range b.w.nodes {
		if !n.runs() {
			b.w.note("somebody starts %s", n.name)
			n.unitStart(b.w.now)
			return true
		}
	}
	return false
}

// joinByHand lets a person take a hibernating node into the ring.
func joinByHand(b *blow) bool {
	for _, n := range b.w.nodes {
		if n.mode == starting && n.sleeps && !n.hung {
			b.w.note("somebody joins %s", n.name)
			n.byHand(func() { n.joins(n.process, false) })
			return true
		}
	}
	return false
}

// severityByHand resets what keeps readers away.
func severityByHand(b *blow) bool {
	for _, n := range b.w.nodes {
		if n.takes() && n.severity > 0 {
			b.w.note("somebody resets the severity of %s", n.name)
			n.byHand(func() { n.setSeverity(0) })
			return true
		}
	}
	return false
}

func repairByHand(b *blow) bool {
	if !b.n.takes() {
		return false
	}
	for _, id := range b.w.lacks(b.n, b.w.now) {
		b.n.store(id)
	}
	return true
}

// policyChange applies the same policy as another version.
func policyChange(b *blow) bool {
	return b.w.apply(func(p *incident.Policy) { p.Return.RampEvery = 2*second + b.span(0, 3*second) })
}

// policyStrange writes a policy that this program cannot read, and later one
// that it can.
func policyStrange(b *blow) bool {
	b.w.putRaw("policy/current", []byte(`{"version":99,"of_a_later_program":true}`))
	return b.lasts(3*second, 20*second, func() { b.w.apply(func(*incident.Policy) {}) })
}

func modeObserve(b *blow) bool {
	dc := b.n.home()
	if b.w.policy.Modes[dc] != incident.Auto {
		return false
	}
	b.w.apply(func(p *incident.Policy) { p.Modes[dc] = incident.Observe })
	b.w.observed(dc)
	return b.lasts(10*second, 60*second, func() {
		b.w.apply(func(p *incident.Policy) { p.Modes[dc] = incident.Auto })
		b.w.observed(dc)
	})
}

// digestForged is somebody in the pool who has no host's key.
func digestForged(b *blow) bool {
	if !b.n.agent.up {
		return false
	}
	d := b.n.agent.digest()
	d.Seq += 1000
	for i := range d.Looks {
		d.Looks[i].Outcome = membership.Refused
	}
	b.w.spreadForged(b.n.name, d)
	return true
}

// digestReplayed sends an old digest again.
func digestReplayed(b *blow) bool {
	if b.n.agent.recorded == nil {
		return false
	}
	b.w.spread(b.n.name, *b.n.agent.recorded)
	return true
}
