// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
)

// Recovery tells that the store was brought back from an older copy of itself:
// what was written between that copy and its loss is gone, and may have been
// done.
type Recovery struct {
	By   string    `json:"by"`
	Why  string    `json:"why"`
	From string    `json:"from"` // the file or directory it was brought back from
	At   time.Time `json:"at"`   // wall time, for people
	// Rev is the revision of the store right before its new era was written: what
	// was changed last at or before it belongs to an older era.
	Rev int64 `json:"revision"`
	// Acknowledged is the word of a person who looked; without it everything is
	// only observed.
	Acknowledged *Acknowledgement `json:"acknowledged,omitempty"`
}

// Acknowledgement is a person's word that the recovered store may be acted upon.
type Acknowledgement struct {
	By  string    `json:"by"`
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

// Waits tells whether the store was recovered and nobody has acknowledged it.
func (r *Recovery) Waits() bool { return r != nil && r.Acknowledged == nil }

// ModeOf is the mode in which a datacenter is led: that of the policy, and
// Observe while the store waits for a person's word.
func (w *World) ModeOf(dc cluster.Datacenter) Mode {
	if w.Recovery.Waits() {
		return Observe
	}
	return w.Policy.ModeOf(dc)
}

// waitsForPerson tells whether something would be done about the incident, if the
// store were acknowledged.
func (t *turn) waitsForPerson() bool {
	return t.w.Recovery.Waits() && t.w.Policy.ModeOf(t.r.Datacenter) != Observe
}

// recovered takes up a record that the store had before it was recovered. What
// was decided about it since is lost and may have been done: the orders that it
// waits for are nobody's any more, their end is not known, and no step that its
// return had reached is believed. Where something was done it is Held until the
// store is acknowledged, and then begins again with what is always right.
func (t *turn) recovered() {
	lost, untouched := len(t.r.Pending), t.r.Phase == Suspected && t.r.Mode == Observe
	t.r.Pending, t.r.Approx = nil, true
	t.takenOver()
	t.nextStep()
	t.say(Saw, "saw_recovered", "era", fmt.Sprint(t.w.Era), "orders", count(lost), "node", string(t.r.Node))
	t.under(RuleEra)
	if t.r.Return != nil {
		t.r.Return.Step, t.r.Return.Job, t.r.Return.InPlace = Preflight, nil, true
	}
	if t.r.cutOff() { // what peers and a hook said
		t.r.Fenced.Proof, t.r.Fenced.Power = nil, PowerOff{}
		if t.r.HeldFrom == Deciding {
			t.r.HeldFrom = Fencing
		}
	}
	if t.r.Phase == Held || untouched {
		return
	}
	t.hold(RuleEra, fmt.Sprintf("the store was recovered (era %d): what was done about %s after the copy it came from is not known; "+
		"when the store is acknowledged the node is kept from readers and repaired", t.w.Era, t.r.Node))
}

// fenceAgain raises the fence of a held node in this era that an older one had
// raised: why it was is not known any more.
func (t *turn) fenceAgain() bool {
	if !t.w.OlderFence || !t.quorumAllows() {
		return false
	}
	t.nextStep()
	t.say(Decided, "decided_fence_reads", "node", string(t.r.Node))
	behindCut := t.r.cutOff()
	if t.staysCut() {
		t.fence(cutLevels, isolate.Refuse)
		return true
	}
	t.fence(isolate.Clients|isolate.Reads, isolate.Hibernate)
	if behindCut && t.r.HeldRule != RuleEra && !t.r.handStands() {
		t.r.Held, t.r.HeldRule, t.r.HeldFrom = "", "", PhaseUnknown
		t.inPlace() // its proof was of a cut that is none any more
	}
	return true
}

// rederive goes on with an incident of an older era once a person has
// acknowledged the store. Whatever had been done and forgotten, a node that is
// out of its pools, behind a fence of this era and repaired is sound.
func (t *turn) rederive() {
	t.r.Held, t.r.HeldRule, t.r.HeldFrom = "", "", PhaseUnknown
	t.say(Decided, "decided_anew", "node", string(t.r.Node))
	t.under(RuleEra)
	if t.r.Return != nil {
		t.r.Return.Tries, t.r.Return.Kills, t.r.Return.Rounds, t.r.Return.Uncertain = 0, 0, 0, 0
	}
	if t.r.handStands() {
		t.enter(Draining)
		t.fenceAgain()
		return
	}
	if t.staysCut() {
		t.r.Fenced.Proof = nil
		t.enter(Fencing)
	} else {
		t.inPlace()
	}
	t.wantPoolsStill(loadbalancer.Wish{Want: loadbalancer.Drain})
}

// keepOut wants those other members of a pool drained that a proxy has not ready
// and that an incident is open about, or will be: whoever drained them, nobody
// wrote it in this era, and what is written first must not let them in. The end of
// their incident does.
func (t *turn) keepOut(d loadbalancer.Declared, pool loadbalancer.Pool) {
	for _, n := range d.Members {
		open := slices.ContainsFunc(t.w.Open, func(r Record) bool { return r.Node == n })
		if n != t.r.Node && (open || t.w.Agents[n].Unrepaired || Worth(t.w.verdict(n))) && t.foundOut(d, n) {
			pool.Wants[n] = loadbalancer.Wish{Want: loadbalancer.Drain}
		}
	}
}

// leftOut tells whether a node to which nothing was done, for all that a recovered
// store knows, stands out of a pool: then it is given back like any other.
func (t *turn) leftOut() bool {
	return t.w.Recovery != nil && slices.ContainsFunc(t.w.Policy.PoolsOf(t.r.Node), func(d loadbalancer.Declared) bool {
		return t.pool(d).Wants[t.r.Node] != loadbalancer.Full || t.foundOut(d, t.r.Node)
	})
}

// foundOut tells whether any proxy of a pool was read back with a member not ready.
func (t *turn) foundOut(d loadbalancer.Declared, n cluster.Name) bool {
	for _, s := range t.w.PoolSeen[d.Name] { // order: only whether there is one
		for _, p := range s.Proxies { // order: the same
			for _, a := range p.Actual {
				if a.Server == n && a.Want != loadbalancer.Ready {
					return true
				}
			}
		}
	}
	return false
}

func storeBack(w World) []Subjected {
	if w.Store.Back == "" {
		return nil
	}
	return one("store", "why", w.Store.Back)
}

func storeUnacknowledged(w World) []Subjected {
	r := w.Recovery
	if !r.Waits() {
		return nil
	}
	return one("store", "by", r.By, "from", r.From, "at", r.At.UTC().Format(time.RFC3339), "era", fmt.Sprint(w.Era))
}
