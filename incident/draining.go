// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/loadbalancer"
	"supervisor/membership"
	"supervisor/replace"
)

// drainWait is how long a return waits for a proxy that does not confirm the
// drain. A dead node serves nobody, so its way back does not depend on it.
const drainWait = 10 * time.Second

// suspected decides whether anything is done at all.
func (t *turn) suspected() {
	v := t.w.verdict(t.r.Node)
	if answers(v) {
		t.close("closed_untouched")
		return
	}
	if t.w.mode(t.r.Datacenter) == Observe {
		t.would()
		return
	}
	if !Worth(v) {
		t.wait(RuleEvidence, "waits_evidence", "for", count(v.For), "heard", count(v.Heard), "of", count(v.Of))
		return
	}
	t.r.Cause = v.Cause
	t.enter(Draining)
	t.drain()
}

// would says once what another mode would have done.
func (t *turn) would() {
	if t.r.Would {
		return
	}
	t.r.Would = true
	t.say(Waited, "would_drain", "node", string(t.r.Node), "mode", Observe.String())
	t.under(RuleMode)
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

// wantPools writes the wanted state of every pool the node is in. A refusal
// is said and leaves that pool as it is.
func (t *turn) wantPools(wish loadbalancer.Wish) bool {
	all := true
	for _, d := range t.w.Policy.PoolsOf(t.r.Node) {
		pool := t.pool(d)
		next, err := loadbalancer.Take(pool, []cluster.Name{t.r.Node}, wish, func(n cluster.Name) bool { return t.w.Serves(n) })
		if err != nil {
			all = false
			t.say(Refused, "refused_drain", "reason", err.Error())
			t.under(PoolFloor)
			continue
		}
		t.emit(Effect{Pool: &next})
	}
	return all
}

// pool is the standing wanted state of a declared pool; before anybody wrote
// one, every member is wanted ready.
func (t *turn) pool(d loadbalancer.Declared) loadbalancer.Pool {
	return d.Pool(t.w.Pools[d.Name].Pool)
}

// poolsStand tells whether every pool of the node was read back as wanted,
// and names those that were not. Any agent's reading counts: it is a look,
// not the writer's word.
func (t *turn) poolsStand() (ok bool, rest []string) {
	for _, d := range t.w.Policy.PoolsOf(t.r.Node) {
		want, standing := t.w.Pools[d.Name]
		if !standing || !t.poolSeen(d.Name, want.Token) {
			rest = append(rest, d.Name)
		}
	}
	return len(rest) == 0, rest
}

func (t *turn) poolSeen(pool string, token cluster.Token) bool {
	for _, s := range t.w.PoolSeen[pool] {
		if s.InStep && s.Token.Compare(token) >= 0 {
			return true
		}
	}
	return false
}

// draining waits for the proxies' read-back and then chooses the way on.
func (t *turn) draining() {
	v := t.w.verdict(t.r.Node)
	if v.Answer == membership.Gone && v.Cause != membership.NoCause && v.Cause != membership.Planned {
		t.r.Cause = v.Cause
	}
	drained, rest := t.poolsStand()
	if drained && !t.marked(StageDrained) {
		t.mark(StageDrained)
		t.say(Proved, "proved_drain", "node", string(t.r.Node), "pools", t.poolNames())
	}
	if answers(v) {
		t.enter(Verifying)
		t.say(Decided, "decided_verify", "node", string(t.r.Node))
		return
	}
	if !drained && t.w.Storm == "" {
		t.wait(RulePreflight, "waits_pools", "pools", fmt.Sprint(rest))
		if t.w.InStep < drainWait {
			return
		}
	}
	t.afterDrain(v)
}

// afterDrain follows the table of causes. What would need a fence is Held in
// this version: a node that may still act is never returned on a guess.
func (t *turn) afterDrain(v membership.Verdict) {
	if v.Answer == membership.Unknown {
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
	case membership.Hung, membership.HostGone, membership.Isolated:
		t.hold(RuleFencing, fmt.Sprintf("%s would need a fence, which this version does not raise by itself; it goes on when the node answers or its process is gone",
			cluster.Title(t.r.Cause.String())))
	case membership.DiskFailed:
		_, why := replace.Needed(replace.Case{DiskFailed: true})
		t.hold(FenceBeforeReplace, "a replacement is needed: "+why.Sentence())
	case membership.NoCause, membership.Slow, membership.AgentGone, membership.Planned:
		t.wait(RuleEvidence, "waits_evidence", "for", count(v.For), "heard", count(v.Heard), "of", count(v.Of))
	}
}

// beginReturn checks the rate of starts and enters Returning.
func (t *turn) beginReturn() {
	b := t.w.Policy.Budgets
	if n := t.ledger.startsSince(t.r.Node, t.w.Wall, b.StartsWindow); n >= b.StartsMax {
		t.hold(RuleRate, fmt.Sprintf("it was started %d times in %s; read its log, mend what ends it, then retry", n, b.StartsWindow))
		return
	}
	if t.r.Return == nil {
		t.r.Return = &Return{}
	}
	t.r.Return.Step = Preflight
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
	t.r.Held, t.r.HeldRule, t.r.HeldFrom = "", "", PhaseUnknown
	t.enter(Closed)
	t.mark(StageClosed)
	t.ledger = t.ledger.without(t.r.ID)
	t.say(Ended, code, append([]string{"node", string(t.r.Node), "after", seconds(t.w.Elapsed)}, pairs...)...)
}

// held waits for a person, but a node that answers by itself, or whose
// process is gone for good, needs none: the incident goes back to where it
// came from.
func (t *turn) held() {
	v := t.w.verdict(t.r.Node)
	released := t.r.HeldRule == RuleFencing || t.r.HeldRule == RuleMinAge
	if !released || t.r.HeldFrom != Draining {
		return
	}
	gone := v.Answer == membership.Gone && v.Cause == membership.ProcessDown
	if !answers(v) && !gone {
		return
	}
	if gone {
		t.r.Cause = v.Cause
	}
	t.r.Held, t.r.HeldRule, t.r.HeldFrom = "", "", PhaseUnknown
	t.enter(Draining)
	t.say(Decided, "released", "node", string(t.r.Node))
}
