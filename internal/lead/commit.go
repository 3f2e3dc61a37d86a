// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
)

// incidentID names incident n of a datacenter; counted in that datacenter's
// ledger, never centrally.
func incidentID(dc cluster.Datacenter, n int64) string { return fmt.Sprintf("inc-%s-%d", dc, n) }

// guards are compared in every transaction of this leader: that it still
// leads, in this era, writing this level, under this policy and these holds.
func (s *State) guards() []store.Compare {
	p := s.Picture
	return []store.Compare{
		{Key: s.term.Key, On: store.Create, Rev: s.term.Rev},
		{Key: store.Era, Rev: p.Era.Mod},
		{Key: store.Level, Rev: p.Level.Mod},
		{Key: store.Policy, Rev: p.Policy.Mod},
		{Key: store.Holds, Rev: p.Holds.Mod},
	}
}

// txnMax bounds what one transaction puts, in bytes of keys and values. etcd
// refuses a request above 1.5 MiB, compares and framing included, and would
// refuse the same decision for ever.
const txnMax = 1 << 20

// commit writes a decision: record, ledger, journal, effects and the order
// that is folded in, together and compared with everything it rests on. One
// that the store would not take because of its size holds the incident instead.
func (s *State) commit(before incident.Record, d incident.Decision, w incident.World, folded string) (Commit, bool) {
	writer := incident.Writer{Cluster: s.Cluster, Actor: incident.Actor{Kind: "leader", Name: string(s.Self)},
		Wall: w.Wall, Elapsed: w.Elapsed}
	if before.ID != "" && before.Step == d.Record.Step {
		d.Record.Waited = w.InStep
	}
	ledger, rec, entries, err := incident.Append(d.Ledger, d.Record, d.Lines, writer)
	if err != nil {
		return Commit{}, false
	}
	d.Ledger, d.Record = ledger, rec
	t := &txn{s: s, t: store.Txn{Compare: s.guards()}}
	t.record(before, t.apart(rec))
	t.ledger(rec.Datacenter, ledger)
	for _, e := range entries {
		t.put(store.Log(rec.Datacenter, number(e)), e)
	}
	for _, e := range d.Effects {
		t.effect(e, rec, d)
	}
	t.abandon(before, rec, folded)
	if folded != "" {
		t.t.Compare = append(t.t.Compare, store.Compare{Key: folded, Rev: s.Picture.Orders[folded].Mod})
		t.t.Delete = append(t.t.Delete, folded)
	}
	if t.err != nil {
		return Commit{}, false
	}
	if size := t.size(); size > txnMax {
		held := tooLarge(before, w, size)
		if before.ID == "" || d.Record.HeldRule == incident.RuleSize || !held.Changed {
			return Commit{}, false
		}
		return s.commit(before, held, w, folded)
	}
	return Commit{Datacenter: rec.Datacenter, Incident: rec.ID, Txn: t.t, Decision: d, Entries: entries, asOf: w.Now}, true
}

// tooLarge hands over to people what the store would not take.
func tooLarge(before incident.Record, w incident.World, size int) incident.Decision {
	if before.Asked() {
		return incident.HoldRepair(before, w, incident.RuleSize, fmt.Sprintf("its next step is %d KiB and the store takes %d KiB at once; abort it, and ask for one keyspace at a time", size>>10, txnMax>>10))
	}
	return incident.HoldTooLarge(before, w, size, txnMax)
}

// number is the journal number of an entry, the last part of its ID.
func number(e incident.Entry) int64 {
	var n int64
	dc := string(e.Subject.Datacenter)
	if _, err := fmt.Sscanf(e.ID[len(dc):], "-%d", &n); err != nil {
		return 0
	}
	return n
}

// txn collects a transaction; the first error ends it.
type txn struct {
	s   *State
	t   store.Txn
	err error
}

func (t *txn) put(key string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		t.err = fmt.Errorf("encode %s: %w", key, err)
		return
	}
	t.t.Put = append(t.t.Put, store.Put{Key: key, Value: b})
}

// size is what the transaction puts, in bytes.
func (t *txn) size() int {
	n := 0
	for _, p := range t.t.Put {
		n += len(p.Key) + len(p.Value)
	}
	return n
}

func (t *txn) compare(key string, mod int64) {
	t.t.Compare = append(t.t.Compare, store.Compare{Key: key, Rev: mod})
}

// record writes the record, opens the node's one incident or ends it.
func (t *txn) record(before, rec incident.Record) {
	if rec.Asked() {
		t.repair(rec)
		return
	}
	p := t.s.Picture
	t.compare(store.Record(rec.ID), p.Records[rec.ID].Mod)
	if before.ID == "" {
		t.t.Compare = append(t.t.Compare, store.Compare{Key: store.Open(rec.Node), On: store.Create, Rev: 0})
		t.put(store.Open(rec.Node), rec.ID)
	}
	if rec.Ended() {
		if f, stands := p.Fences[rec.Node]; stands && p.Older(f.Mod) {
			t.lift(rec.Node) // it is shown to nobody who decides, and nobody else takes it away
		}
		t.t.Delete = append(t.t.Delete, store.Record(rec.ID), store.Open(rec.Node))
		t.put(store.Archived(rec.ID), rec)
		return
	}
	t.put(store.Record(rec.ID), rec)
}

func (t *txn) ledger(dc cluster.Datacenter, l incident.Ledger) {
	t.compare(store.Ledger(dc), t.s.Picture.Ledgers[dc].Mod)
	t.put(store.Ledger(dc), l)
}

// lift takes a fence away.
func (t *txn) lift(n cluster.Name) {
	t.compare(store.Fence(n), t.s.Picture.Fences[n].Mod)
	t.t.Delete = append(t.t.Delete, store.Fence(n))
}

// effect writes one effect at its key. A kind nobody taught it is an error,
// and nothing is written.
func (t *txn) effect(e incident.Effect, rec incident.Record, d incident.Decision) {
	p := t.s.Picture
	switch {
	case e.Fence != nil:
		t.compare(store.Fence(e.Fence.Node), p.Fences[e.Fence.Node].Mod)
		t.put(store.Fence(e.Fence.Node), e.Fence)
	case e.Lift != "":
		t.lift(e.Lift)
	case e.Pool != nil:
		t.compare(store.Pool(e.Pool.Name), p.Pools[e.Pool.Name].Mod)
		t.put(store.Pool(e.Pool.Name), e.Pool)
	case e.Once != nil:
		o := incident.Order{Effect: e, Incident: rec.ID, Why: why(d), Policy: rec.Policy, Era: p.Era.Value.Era}
		t.put(store.Order(e.Once.Agent, e.ID), o)
	default:
		t.err = fmt.Errorf("effect %s of %s has no kind", e.ID, rec.ID)
	}
}

// abandon takes back the orders that the record waited for and waits for no
// more, in the same transaction: from its revision on nobody can claim one,
// and no later boot of its executor finds it and acts on it. What is already
// being done is seen through the world.
func (t *txn) abandon(before, rec incident.Record, folded string) {
	for _, e := range before.Pending {
		if e.Once == nil || rec.Awaits(e.ID) {
			continue
		}
		key := store.Order(e.Once.Agent, e.ID)
		if o, stands := t.s.Picture.Orders[key]; stands && key != folded {
			t.compare(key, o.Mod)
			t.t.Delete = append(t.t.Delete, key)
		}
	}
}

// why is the code of the last line of a decision, for the order's reader.
func why(d incident.Decision) string {
	if len(d.Lines) == 0 {
		return ""
	}
	return d.Lines[len(d.Lines)-1].Code
}

// fold takes in the oldest operator's word that is about this datacenter. Only
// the first one's journal tells of the policy, and of all that is about the
// region. While the bounds cannot be read the other words wait, and keep no policy
// waiting: it is the way out.
func (s *State) fold(dc cluster.Datacenter, now cluster.Moment, wall time.Time) (Commit, bool) {
	ids := slices.Sorted(maps.Keys(s.Picture.Inbox))
	strange := s.strange()
	i := slices.IndexFunc(ids, func(id string) bool {
		w := s.Picture.Inbox[id].Value
		return s.home(w) == dc && (w.About == nil || !strange)
	})
	if i < 0 && strange {
		return Commit{}, false
	}
	if i < 0 {
		return s.lapse(dc, now, wall)
	}
	id := ids[i]
	word := s.Picture.Inbox[id]
	if word.Value.About != nil {
		return s.hear(dc, id, now, wall)
	}
	t := s.wordTxn(id)
	t.asItStands()
	line := incident.Line{Kind: incident.Refused, Code: "policy_stale", Rule: incident.RulePolicy,
		Args: map[string]string{"by": word.Value.Who, "request": id}}
	if p := s.newPolicy(word.Value); p != nil {
		t.put(store.Policy, p)
		t.put(store.PolicyVersion(p.Version), p)
		line = incident.Line{Kind: incident.Asked, Code: "policy_applied", Args: map[string]string{
			"version": fmt.Sprint(p.Version), "by": p.By, "why": p.Why, "request": id}}
	}
	line.Who = word.Value.Who
	return s.tell(dc, t, s.Picture.Ledgers[dc].Value, []incident.Line{line}, wall)
}

// newPolicy is the next version a word asks for; nil when the word was made
// against another version than the one that stands.
func (s *State) newPolicy(w Word) *incident.Policy {
	standing := s.Picture.policyVersion()
	if w.Verb != "policy_apply" || w.Policy == nil || w.Base != standing {
		return nil
	}
	p := *w.Policy
	p.Version, p.By, p.Why = standing+1, w.Who, w.Why
	return &p
}
