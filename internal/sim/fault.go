// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"encoding/json"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/membership"
)

// fault is one row of the catalogue. strike begins it and plans its end; false
// says that it has no meaning for this victim now.
type fault struct {
	name   string
	family string
	weight int // how often it is drawn beside the others; 0: only in a couple
	strike func(b *blow) bool
}

// catalogue is what goes wrong, one row a fault. A name is never used for something else: a
// schedule that was written down must mean the same later.
func catalogue() []fault {
	return []fault{
		{"net-drop", "network", 2, func(b *blow) bool { return b.links(func(q *quality) { q.loss = 0.3 + 0.6*b.rng.Float64() }) }},
		{"net-delay", "network", 2, func(b *blow) bool {
			d := b.span(200*time.Millisecond, 3*second)
			return b.links(func(q *quality) { q.delay += d })
		}},
		{"net-reorder", "network", 1, func(b *blow) bool { return b.links(func(q *quality) { q.mixed = true }) }},
		{"net-duplicate", "network", 1, func(b *blow) bool { return b.links(func(q *quality) { q.twice = 0.5 }) }},
		{"net-corrupt", "network", 1, func(b *blow) bool { return b.links(func(q *quality) { q.spoil = 0.5 }) }},
		{"net-thin", "network", 1, thinLink},
		{"cut-out", "network", 2, func(b *blow) bool { return b.severs(b.w.around(b.n, false, true)) }},
		{"cut-in", "network", 2, func(b *blow) bool { return b.severs(b.w.around(b.n, true, false)) }},
		{"cut-both", "network", 2, func(b *blow) bool { return b.severs(b.w.around(b.n, true, true)) }},
		{"cut-pair", "network", 2, cutPair},
		{"cut-store", "network", 4, func(b *blow) bool { return b.severs([]link{{b.n.name, storeAt}, {storeAt, b.n.name}}) }},
		{"net-swizzle", "network", 1, swizzle},
		{"answers-lost", "network", 2, answersLost},

		{"agent-crash", "process", 8, func(b *blow) bool { return b.n.agent.crash() }},
		{"leader-crash", "process", 4, func(b *blow) bool { l := b.w.leading(); return l != nil && l.crash() }},
		{"crash-at-step", "process", 4, crashAtStep},
		{"agent-stopped", "process", 3, func(b *blow) bool { return b.freezes(b.n.agent) }},
		{"agent-starved", "process", 2, starved},
		{"agent-no-files", "process", 1, func(b *blow) bool { return b.marks(&b.n.agent.blind, 3*second, 20*second) }},
		{"kill", "process", 8, func(b *blow) bool { return b.w.spare() && b.n.kill("-9") }},
		{"kill-anyway", "process", 1, func(b *blow) bool { return b.n.kill("-9, wherever it stands") }},
		{"kill-with-agent", "process", 2, killWithAgent},
		{"oom", "process", 1, func(b *blow) bool { return b.w.spare() && b.n.kill("out of memory") }},
		{"restart-loop", "process", 1, restartLoop},
		{"pause", "process", 3, func(b *blow) bool { return b.n.pauses(b.long(second, 8*second)) }},
		{"hang", "process", 1, hang},
		{"thread-stuck", "process", 1, func(b *blow) bool { return b.marks(&b.n.mute, 2*second, 30*second) }},

		{"power-loss", "host", 1, func(b *blow) bool { return b.w.spare() && b.n.losesPower(b.span(10*second, 60*second)) }},
		{"vm-pause", "host", 2, vmPause},
		{"host-frozen", "host", 2, hostFrozen},
		{"vm-clone", "host", 1, vmClone},
		{"clock-jump", "host", 1, func(b *blow) bool { return b.wallTurns(time.Duration(b.rng.Intn(21)-10) * 365 * 24 * time.Hour) }},
		{"clock-back", "host", 1, func(b *blow) bool { return b.wallTurns(-b.span(second, time.Hour)) }},
		{"clock-drift", "host", 1, clockDrift},
		{"old-snapshot", "host", 1, oldSnapshot},

		{"disk-slow", "disk", 1, func(b *blow) bool { return b.disk(membership.Late) }},
		{"disk-full", "disk", 1, func(b *blow) bool { return b.disk(membership.NoWord) }},
		{"disk-error", "disk", 1, diskError},
		{"unsynced-lost", "disk", 2, unsyncedLost},
		{"state-unreadable", "disk", 1, stateUnreadable},

		{"store-leader-change", "store", 2, func(b *blow) bool { return b.marks(&b.w.journal.away, second, 4*second) }},
		{"store-no-quorum", "store", 1, func(b *blow) bool { return b.marks(&b.w.journal.away, 20*second, 90*second) }},
		{"store-slow", "store", 1, storeSlow},
		{"store-compacted", "store", 1, func(b *blow) bool { b.w.store.Compact(b.w.store.Rev()); return true }},
		{"store-no-space", "store", 1, func(b *blow) bool { return b.marks(&b.w.journal.full, 5*second, 30*second) }},
		{"store-lease-burst", "store", 1, leaseBurst},
		{"store-watch-slow", "store", 2, func(b *blow) bool { return b.marks(&b.n.agent.behind, 2*second, 15*second) }},
		{"store-lease-lies", "store", 1, func(b *blow) bool { return b.marks(&b.n.agent.fooled, 5*second, 20*second) }},

		{"gray", "cassandra", 2, func(b *blow) bool { return b.marks(&b.n.slow, 3*second, 40*second) }},
		{"cql-off", "cassandra", 1, cqlOff},
		{"gossip-off", "cassandra", 1, gossipOff},
		{"repair-hangs", "cassandra", 1, func(b *blow) bool { return b.marks(&b.n.stuck, 10*second, 60*second) }},
		{"schema-differs", "cassandra", 1, func(b *blow) bool { return b.marks(&b.n.oddSchema, 5*second, 40*second) }},
		{"admin-nonsense", "cassandra", 1, func(b *blow) bool { return b.marks(&b.n.nonsense, 3*second, 30*second) }},
		{"ring-moves", "cassandra", 1, func(b *blow) bool { return b.marks(&b.w.moving, 5*second, 40*second) }},
		{"disk-policy-stop", "cassandra", 1, diskPolicyStop},
		{"hibernation-missed", "cassandra", 1, func(b *blow) bool { return b.marks(&b.w.missed, 20*second, 60*second) }},
		{"snitch-off", "cassandra", 1, snitchOff},

		{"proxy-mute", "outside", 3, func(b *blow) bool { return b.marks(&b.w.balancer.mute, second, 20*second) }},
		{"proxy-late", "outside", 1, func(b *blow) bool { return b.marks(&b.w.balancer.late, 2*second, 20*second) }},
		{"proxy-restart", "outside", 1, proxyRestart},
		{"proxy-by-hand", "outside", 1, proxyByHand},

		{"rack-power", "correlated", 0, func(b *blow) bool {
			return b.powers(func(n *node) bool { return n.place.Rack == b.n.place.Rack && n.home() == b.n.home() })
		}},
		{"datacenter-power", "correlated", 0, func(b *blow) bool { return b.powers(func(n *node) bool { return n.home() == b.n.home() }) }},
		{"agents-restart", "correlated", 1, agentsRestart},
		{"mass-return", "correlated", 1, massReturn},

		{"drain-by-hand", "people", 2, drainByHand},
		{"start-by-hand", "people", 2, startByHand},
		{"join-by-hand", "people", 1, joinByHand},
		{"severity-by-hand", "people", 1, severityByHand},
		{"repair-by-hand", "people", 1, repairByHand},
		{"policy-change", "people", 1, policyChange},
		{"policy-strange", "people", 1, policyStrange},
		{"policy-partial", "people", 1, policyPartial},
		{"mode-observe", "people", 1, modeObserve},

		{"digest-forged", "adversary", 1, digestForged},
		{"digest-replayed", "adversary", 1, digestReplayed},
	}
}

// links changes the links around the victim for a while, one way or both.
func (b *blow) links(change func(*quality)) bool {
	dice := b.rng.Intn(3)
	return b.lasts(5*second, 40*second, b.w.stretch(b.w.around(b.n, dice != 0, dice != 1), change))
}

// severs cuts links for a while.
func (b *blow) severs(pairs []link) bool {
	b.w.shaken(pairs)
	undo := b.w.sever(pairs)
	return b.lasts(2*second, 40*second, func() { undo(); b.w.shaken(pairs) })
}

// marks sets a flag for a while; a flag that is set already is left to the
// fault that set it.
func (b *blow) marks(flag *bool, low, high time.Duration) bool {
	if *flag {
		return false
	}
	*flag = true
	return b.lasts(low, high, func() { *flag = false })
}

// thinLink makes packets on one link later and later.
func thinLink(b *blow) bool {
	pairs := b.w.around(b.n, false, true)
	undo := b.w.stretch(pairs, func(*quality) {})
	on := true
	var more func()
	more = func() {
		if !on {
			return
		}
		for _, l := range pairs {
			b.w.net.at(l.from, l.to).delay = min(5*second, b.w.net.at(l.from, l.to).delay+300*time.Millisecond)
		}
		b.w.after(second, more)
	}
	more()
	return b.lasts(5*second, 30*second, func() { on = false; undo() })
}

// cutPair cuts two nodes from each other that others still reach: who talks to
// whom is then not transitive.
func cutPair(b *blow) bool {
	other := b.w.nodes[b.rng.Intn(len(b.w.nodes))]
	if other == b.n {
		return false
	}
	return b.severs([]link{{b.n.name, other.name}, {other.name, b.n.name}})
}

// swizzle cuts the links of one node one by one and gives them back in another
// order.
func swizzle(b *blow) bool {
	pairs := b.w.around(b.n, true, true)
	b.rng.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	for i, l := range pairs {
		one := []link{l}
		b.w.after(time.Duration(i)*300*time.Millisecond, func() {
			if b.w.storm {
				b.w.shaken(one)
				undo := b.w.sever(one)
				b.lasts(2*second, 30*second, func() { undo(); b.w.shaken(one) })
			}
		})
	}
	return true
}

// answersLost lets the store take this agent's word and not answer.
func answersLost(b *blow) bool { return b.marks(&b.n.agent.unanswered, 2*second, 15*second) }

// crashAtStep lets the victim's agent die at a point of its next work.
func crashAtStep(b *blow) bool {
	b.n.agent.dieAt = crashPoint(1 + b.rng.Intn(int(crashPoints)-1))
	return true
}

// killWithAgent leaves nobody on the host who could say that it ended.
func killWithAgent(b *blow) bool {
	if !b.w.spare() || !b.n.kill("-9 with its agent") {
		return false
	}
	b.n.agent.crash()
	return true
}

// unsyncedLost ends a process whose disk kept nothing that was not synced.
func unsyncedLost(b *blow) bool {
	if !b.n.runs() || !b.w.spare() {
		return false
	}
	b.n.losesAll = true
	return b.n.kill("and all that was not synced")
}

func (b *blow) freezes(a *agent) bool {
	if !a.up || a.frozen {
		return false
	}
	a.frozen = true
	return b.lasts(2*second, 40*second, a.thaw)
}

// starved makes every loop of an agent late.
func starved(b *blow) bool {
	if b.n.agent.lag != 0 {
		return false
	}
	b.n.agent.lag = b.span(300*time.Millisecond, 2*second)
	return b.lasts(5*second, 30*second, func() { b.n.agent.lag = 0 })
}

// restartLoop ends the victim's process again and again after its start.
func restartLoop(b *blow) bool {
	if b.n.doomed > 0 || !b.w.spare() {
		return false
	}
	b.n.doomed = 2 + b.rng.Intn(5)
	return b.n.kill("the first of a loop")
}

// long is how long a fault stands that ends by itself in the calm, too.
func (b *blow) long(low, high time.Duration) time.Duration {
	span := b.span(low, high)
	if b.stands > 0 {
		return b.stands
	}
	return span
}

// hang stops a process until somebody ends it.
func hang(b *blow) bool {
	if !b.n.runs() || b.n.hung || !b.w.spare() {
		return false
	}
	process := b.n.process
	b.n.hangs()
	b.w.after(b.long(20*second, 60*second), func() { b.n.ends(process, "by hand, hung") })
	return true
}

// vmPause stops process and agent together.
func vmPause(b *blow) bool { return freezesHost(b, second, 25*second) }

// hostFrozen is a pause for as long as its peers wait before they cut it off, and
// longer.
func hostFrozen(b *blow) bool { return b.w.spare() && freezesHost(b, 12*second, 70*second) }

func freezesHost(b *blow, low, high time.Duration) bool {
	if !b.n.agent.up || b.n.agent.frozen || !b.n.runs() || b.n.hung {
		return false
	}
	process, a := b.n.process, b.n.agent
	b.n.hangs()
	a.frozen = true
	return b.lasts(low, high, func() {
		if b.n.process == process && b.n.hung {
			b.n.wakes()
		}
		a.thaw()
	})
}

// vmClone runs a second agent with the victim's name and key: a copy of its
// host. It only talks; its Cassandra does not start on an address that is used.
func vmClone(b *blow) bool {
	if !b.n.agent.up {
		return false
	}
	on, seq := true, b.n.agent.seq
	id := cluster.Boot(string(b.n.agent.id) + "-clone")
	var talk func()
	talk = func() {
		if !on {
			return
		}
		seq++
		b.n.clonedAt = b.w.now
		d := b.n.agent.digest()
		d.Boot, d.Seq, d.Process = id, seq, ""
		for i := range d.Looks {
			if d.Looks[i].Subject == b.n.name {
				d.Looks[i].Outcome = membership.Refused
				if d.Looks[i].Path == membership.Process {
					d.Looks[i].Outcome = membership.Exited
				}
			}
		}
		b.w.spread(b.n.name, d)
		b.w.after(second, talk)
	}
	talk()
	return b.lasts(3*second, 20*second, func() { on = false })
}

func (b *blow) wallTurns(d time.Duration) bool {
	if d == 0 || b.n.wallOff != 0 {
		return false
	}
	b.n.wallOff, b.w.jumped = d, true
	return b.lasts(10*second, 90*second, func() { b.n.wallOff = 0 })
}

// clockDrift lets the victim's boot clock run up to a twentieth fast or slow.
func clockDrift(b *blow) bool {
	if b.n.drift != 0 {
		return false
	}
	b.n.setDrift((b.rng.Float64() - 0.5) / 10)
	return b.lasts(10*second, 90*second, func() { b.n.setDrift(0) })
}

// oldSnapshot boots the host on its disk of a while ago.
func oldSnapshot(b *blow) bool {
	n := b.n
	if n.snapshot == nil || !b.w.spare() || !n.kill("power, to come back old") {
		return false
	}
	n.agent.crash()
	n.restore()
	return true
}

func (b *blow) disk(o membership.Outcome) bool {
	if b.n.diskSays != membership.Good {
		return false
	}
	b.n.diskSays = o
	return b.lasts(5*second, 40*second, func() { b.n.diskSays = membership.Good })
}

// diskError is for good: the disk has to be replaced.
func diskError(b *blow) bool {
	if b.n.diskSays != membership.Good || !b.w.spare() {
		return false
	}
	b.n.diskSays = membership.Wrong
	return b.lasts(30*second, 90*second, func() { b.n.diskSays = membership.Good })
}

// stateUnreadable makes the agent start without its own memory of marks and
// fence: it obeys nothing until a person mends it.
func stateUnreadable(b *blow) bool {
	a := b.n.agent
	if a.closed != "" || !a.crash() {
		return false
	}
	a.closed = "the state directory cannot be read"
	return b.lasts(20*second, 60*second, func() { a.closed = "" })
}

func storeSlow(b *blow) bool {
	if b.w.journal.slow != 0 {
		return false
	}
	b.w.journal.slow = b.span(300*time.Millisecond, 3*second)
	return b.lasts(5*second, 40*second, func() { b.w.journal.slow = 0 })
}

// leaseBurst ends every lease at once, as a store with a slow disk does.
func leaseBurst(b *blow) bool {
	for _, n := range b.w.nodes {
		b.w.store.Expire(n.agent.lease)
	}
	return true
}

// cqlOff is a person, or a policy, that turns the native transport off.
func cqlOff(b *blow) bool {
	if !b.n.answers() || !b.w.spare() {
		return false
	}
	process := b.n.process
	b.n.native, b.n.changedAt = false, b.w.now
	return b.lasts(5*second, 40*second, func() {
		if b.n.process == process && b.n.mode == normal {
			b.n.byHand(func() { b.n.native = true })
		}
	})
}

// gossipOff makes a node deaf to its peers while its clients go on.
func gossipOff(b *blow) bool {
	if !b.n.takes() || b.n.deaf || !b.w.spare() {
		return false
	}
	b.n.deaf = true
	b.n.losesHints()
	b.w.shaken([]link{{b.n.name, b.n.name}})
	return b.lasts(3*second, 30*second, func() { b.n.deaf = false; b.w.shaken([]link{{b.n.name, b.n.name}}) })
}

// diskPolicyStop ends gossip and CQL and leaves the process.
func diskPolicyStop(b *blow) bool {
	if !b.n.takes() || !b.w.spare() {
		return false
	}
	process := b.n.process
	b.n.deaf, b.n.native, b.n.changedAt = true, false, b.w.now
	b.n.losesHints()
	b.n.diskSays = membership.Wrong
	return b.lasts(30*second, 90*second, func() {
		b.n.deaf, b.n.diskSays = false, membership.Good
		b.n.ends(process, "by hand, after its disk failed")
	})
}

// policyPartial writes the policy without its pools, under a name for them that
// this program does not know: what a later program, or a broken generator,
// writes. Somebody mends it later.
func policyPartial(b *blow) bool {
	p := b.w.policy
	p.Version++
	p.Pools = nil
	doc, err := json.Marshal(p)
	if err != nil {
		return false
	}
	b.w.policy.Version = p.Version
	b.w.putRaw(store.Policy, append(bytes.TrimSuffix(doc, []byte("}")), `,"pools_of_services":{}}`...))
	return b.lasts(20*second, 90*second, func() { b.w.apply(func(*incident.Policy) {}) })
}
