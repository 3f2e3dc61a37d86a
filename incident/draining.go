// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// drainWait is how long a return waits for a proxy that does not confirm the
// drain. A dead node serves nobody, so its way back does not depend on it. A
// node that is given back waits as long for a proxy that answers nobody.
const drainWait = 10 * time.Second

// suspected decides whether anything is done at all.
func (t *turn) suspected() {
	v := t.w.verdict(t.r.Node)
	observed := t.w.mode(t.r.Datacenter) == Observe
	if observed && t.waitsForPerson() {
		t.would() // also when it answers again: what it missed is repaired when a person says so
		return
	}
	if answers(v) {
		t.answeredAtOnce(observed)
		return
	}
	if observed {
		t.would()
		return
	}
	if ReachedBroken(v) {
		t.wantsReplacement()
		return
	}
	if !Worth(v) {
		t.wait(RuleEvidence, "waits_evidence", "for", count(v.For), "heard", count(v.Heard), "of", count(v.Of))
		return
	}
	opens := t.opensUnread(v)
	t.r.Cause = v.Cause
	t.enter(Draining)
	t.countSilence()
	t.drain()
	if opens {
		t.inPlace()
	}
}

// answeredAtOnce closes an incident whose node answers before anything was
// done, if it is the same process that answers. Another one may lack what the
// first had not synced: it is verified, which repairs it. After a silence beyond
// the hints it does not matter which one it is.
func (t *turn) answeredAtOnce(observed bool) {
	same, known := t.sameProcess(t.r.Process)
	beyond := t.beyondHints(t.w.verdict(t.r.Node))
	switch {
	case observed || same && !beyond && !t.leftOut():
		t.close("closed_untouched")
	case beyond:
		t.inPlace()
	case known:
		t.enter(Verifying)
		t.say(Decided, "decided_verify", "node", string(t.r.Node))
	default:
		t.wait(RuleReach, "waits_process", "node", string(t.r.Node))
	}
}

// would says once what another mode would have done.
func (t *turn) would() {
	if t.r.Would {
		return
	}
	t.r.Would = true
	t.say(Waited, "would_drain", "node", string(t.r.Node), "mode", Observe.String())
	t.under(RuleMode)
	if t.waitsForPerson() {
		t.under(RuleEra)
	}
}

// drain takes the node out of its pools, or says which rule forbids it.
func (t *turn) drain() {
	if t.w.Storm != "" {
		t.say(Refused, "refused_drain", "reason", t.w.Storm)
		t.under(RuleStorm)
		return
	}
	if len(t.w.Policy.PoolsOf(t.r.Node)) == 0 {
		t.say(Decided, "decided_no_pool", "node", string(t.r.Node))
		return
	}
	t.say(Decided, "decided_drain", "node", string(t.r.Node), "margin", t.marginWords())
	t.wantPools(loadbalancer.Wish{Want: loadbalancer.Drain})
}

// poolsPerTurn bounds the pools of one transaction; the next turn goes on.
const poolsPerTurn = 6

// wantPools writes the wanted state of the node's pools that do not want it
// yet. A refusal is said and leaves that pool as it is.
func (t *turn) wantPools(wish loadbalancer.Wish) {
	written := 0
	for _, d := range t.w.Policy.PoolsOf(t.r.Node) {
		if t.wants(d, wish) || written == poolsPerTurn {
			continue
		}
		next, err := t.taken(d, wish)
		if err != nil {
			t.say(Refused, "refused_drain", "reason", err.Error())
			t.under(PoolFloor)
			continue
		}
		t.emit(Effect{Pool: &next})
		written++
	}
}

// wantPoolsStill writes what an earlier turn could not: a storm was on, the
// floor was too near, or there were too many pools. Refusals were said then.
func (t *turn) wantPoolsStill(wish loadbalancer.Wish) {
	written := 0
	for _, d := range t.w.Policy.PoolsOf(t.r.Node) {
		if t.wants(d, wish) || written == poolsPerTurn {
			continue
		}
		if next, err := t.taken(d, wish); err == nil {
			t.emit(Effect{Pool: &next})
			written++
		}
	}
}

// wants tells whether a pool stands written and wants this of the node.
func (t *turn) wants(d loadbalancer.Declared, wish loadbalancer.Wish) bool {
	standing, stands := t.w.Pools[d.Name]
	return stands && !standing.Older && standing.Wants[t.r.Node] == wish
}

func (t *turn) taken(d loadbalancer.Declared, wish loadbalancer.Wish) (loadbalancer.Pool, error) {
	return loadbalancer.Take(t.pool(d), []cluster.Name{t.r.Node}, wish, t.w.Sign)
}

// pool is the standing wanted state of a declared pool; before anybody wrote
// one, every member is wanted ready.
func (t *turn) pool(d loadbalancer.Declared) loadbalancer.Pool {
	standing, stands := t.w.Pools[d.Name]
	pool := d.Pool(standing.Pool)
	if t.w.Recovery != nil && (!stands || standing.Older) {
		t.keepOut(d, pool)
	}
	return pool
}

// poolsStand tells whether every proxy of the node's pools was read back with
// the node as wanted, and names the pools of which that is not known.
func (t *turn) poolsStand() (ok bool, rest []string) {
	for _, d := range t.w.Policy.PoolsOf(t.r.Node) {
		if confirmed, differ, silent := t.proxiesOf(d); confirmed == 0 || differ || len(silent) > 0 {
			rest = append(rest, d.Name)
		}
	}
	return len(rest) == 0, rest
}

// poolsGive is poolsStand for a node that comes back. Nobody is served through
// a proxy that answers nobody, so it is left behind after a while if another
// one of the pool confirms; its writer gives it the node when it answers again.
func (t *turn) poolsGive() (ok bool, rest, left []string) {
	for _, d := range t.w.Policy.PoolsOf(t.r.Node) {
		confirmed, differ, silent := t.proxiesOf(d)
		if confirmed == 0 || differ || len(silent) > 0 && t.w.InStep < drainWait {
			rest = append(rest, d.Name)
		}
		for _, p := range silent {
			left = append(left, d.Name+"/"+p)
		}
	}
	return len(rest) == 0, rest, left
}

// leave says which proxies were left behind without their word.
func (t *turn) leave(left []string) {
	if len(left) > 0 {
		t.say(Saw, "saw_proxies_silent", "proxies", fmt.Sprint(left), "node", string(t.r.Node))
	}
}

// proxiesOf counts the proxies of a pool that were read back with the node as
// wanted, tells whether one that answers was not, and names those that nobody
// could read since the pool was written. Other members do not matter here.
// Any agent's reading counts: it is a look, not the writer's word.
func (t *turn) proxiesOf(d loadbalancer.Declared) (confirmed int, differ bool, silent []string) {
	standing, written := t.w.Pools[d.Name]
	if !written || standing.Older {
		return 0, true, nil
	}
	only := loadbalancer.Pool{Name: d.Name, Wants: map[cluster.Name]loadbalancer.Wish{t.r.Node: standing.Wants[t.r.Node]}}
	for _, p := range d.Proxies {
		stands, answers := false, false
		for _, s := range t.w.PoolSeen[d.Name] { // order: only whether there is one
			if s.Token.Compare(standing.Token) < 0 {
				continue
			}
			actual := s.Proxies[p.Name].Actual
			answers = answers || len(actual) > 0
			stands = stands || len(actual) > 0 && loadbalancer.InStep(only, actual)
		}
		switch {
		case stands:
			confirmed++
		case answers:
			differ = true
		default:
			silent = append(silent, p.Name)
		}
	}
	return confirmed, differ, silent
}

// draining waits for the proxies' read-back and then chooses the way on.
func (t *turn) draining() {
	v := t.w.verdict(t.r.Node)
	opens := t.opensUnread(v)
	if opens {
		t.r.Cause = v.Cause
		t.inPlace()
		return
	}
	if diskFailed(v) && costsWrites(t.r.Cause) {
		t.wantsReplacement() // the cause stays: it tells that the node lacks writes
		return
	}
	if v.Answer == membership.Gone && v.Cause != membership.NoCause && v.Cause != membership.Planned && v.Cause != t.r.Cause {
		t.r.Cause = v.Cause
		t.changed = true
	}
	if t.r.Cause == membership.DiskFailed {
		t.afterDrain(v)
		return
	}
	if t.w.Storm == "" && Worth(v) {
		t.wantPoolsStill(loadbalancer.Wish{Want: loadbalancer.Drain})
	}
	stand, rest := t.poolsStand()
	drained := stand && t.wanted(loadbalancer.Wish{Want: loadbalancer.Drain})
	if drained && !t.marked(StageDrained) {
		t.mark(StageDrained)
		t.say(Proved, "proved_drain", "node", string(t.r.Node), "pools", t.poolNames())
	}
	if answers(v) {
		t.answeredAgain()
		return
	}
	if t.restarted() {
		t.inPlace()
		return
	}
	if !drained && t.w.Storm == "" && t.w.InStep < drainWait {
		t.wait(RuleVerify, "waits_pools", "pools", fmt.Sprint(rest))
		return
	}
	t.afterDrain(v)
}

// answeredAgain proves a drained node that answers again. One that was being
// returned goes on with its pools only if it is still that process. Where any
// process would be repaired, nobody waits for its own agent to name it: an agent
// whose host stood still says nothing for a while, and the node may be read.
func (t *turn) answeredAgain() {
	returned := t.r.Return != nil
	if returned && t.r.Return.Step < Ramping || t.beyondHints(t.w.verdict(t.r.Node)) {
		t.inPlace()
		return
	}
	if returned {
		same, known := t.sameProcess(t.r.Return.Process)
		switch {
		case !known:
			t.wait(RuleReach, "waits_process", "node", string(t.r.Node))
			return
		case !same:
			t.inPlace()
			return
		}
		t.r.Return.Step = Ramping
	}
	t.enter(Verifying)
	t.say(Decided, "decided_verify", "node", string(t.r.Node))
}

// inPlace repairs a node that runs already, started by somebody else.
func (t *turn) inPlace() {
	if t.r.Return == nil {
		t.r.Return = &Return{}
	}
	t.r.Return.Step, t.r.Return.Job, t.r.Return.InPlace = Preflight, nil, true
	t.enter(Returning)
	t.say(Decided, "decided_repair_in_place", "node", string(t.r.Node))
}

// afterDrain follows the table of causes: a node that may still act is never
// returned on a guess.
func (t *turn) afterDrain(v membership.Verdict) {
	if v.Answer == membership.Unknown && t.r.Cause != membership.DiskFailed {
		t.wait(RuleEvidence, "waits_evidence", "for", count(v.For), "heard", count(v.Heard), "of", count(v.Of))
		return
	}
	switch t.r.Cause {
	case membership.ProcessDown:
		t.beginReturn()
	case membership.CQLDead:
		t.wait(RuleMinAge, "waits_cql", "node", string(t.r.Node), "age", seconds(t.w.Policy.Ages.CQLDead))
		if t.w.InStep >= t.w.Policy.Ages.CQLDead {
			t.hold(RuleMinAge, "the JVM lives and its native transport is off: was it turned off by hand? turn it on, or fence the node")
		}
	case membership.Hung:
		if outOfReach(v) && (t.guardFault() == nil || t.powerAgent("") != "") {
			t.wantsCut(v)
			return
		}
		t.wantsFence(v)
	case membership.HostGone, membership.Isolated:
		t.wantsCut(v)
	case membership.DiskFailed:
		t.wantsReplacement()
	case membership.NoCause, membership.Slow, membership.AgentGone, membership.Planned:
		t.wait(RuleEvidence, "waits_evidence", "for", count(v.For), "heard", count(v.Heard), "of", count(v.Of))
	}
}

// beginReturn checks the rate of exits and enters Returning.
func (t *turn) beginReturn() {
	t.countExit(t.r.Latest)
	if f := t.rateFault(); f != nil {
		t.hold(f.rule, f.reason)
		return
	}
	if t.r.Return == nil {
		t.r.Return = &Return{}
	}
	t.r.Return.Step, t.r.Return.Job = Preflight, nil
	t.enter(Returning)
	t.say(Decided, "decided_return", "node", string(t.r.Node), "outage", t.r.Outage.From.Format(time.RFC3339))
}

func (t *turn) marked(s Stage) bool { _, ok := t.r.Marks[s]; return ok }

func (t *turn) poolNames() string {
	var out []string
	for _, d := range t.w.Policy.PoolsOf(t.r.Node) {
		out = append(out, d.Name)
	}
	slices.Sort(out)
	return fmt.Sprint(out)
}

// close ends the incident: budget given back, fence lifted, nothing pending.
func (t *turn) close(code string, pairs ...string) {
	if _, fenced := t.w.Fences[t.r.Node]; fenced {
		t.emit(Effect{Lift: t.r.Node})
	}
	t.r.Pending = nil
	t.r.dropJob() // the archive keeps the story
	t.r.Held, t.r.HeldRule, t.r.HeldFrom = "", "", PhaseUnknown
	t.enter(Closed)
	t.mark(StageClosed)
	t.ledger = t.ledger.without(t.r.ID)
	t.say(Ended, code, append([]string{"node", string(t.r.Node), "after", seconds(t.w.Elapsed)}, pairs...)...)
}
