// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
)

// strange tells whether the policy, or what people asked to leave alone, cannot
// be read: a later program wrote it, and nothing is decided past it.
func (s *State) strange() bool { return s.Picture.unreadable(store.Policy, store.Holds) }

// lawless tells whether nobody knows the bounds: they cannot be read, or the
// policy is gone while incidents are under way that it is needed for. Such a
// leader decides nothing but to take in a new policy.
func (s *State) lawless() bool {
	return s.strange() || s.Picture.Policy.Value == nil && slices.ContainsFunc(s.Picture.OpenRecords(), func(r incident.Record) bool { return r.Phase != incident.Suspected })
}

// home is the datacenter in whose journal and ledger a word is taken in: that
// of its node or incident, else the first one.
func (s *State) home(w Word) cluster.Datacenter {
	dcs := s.datacenters()
	if len(dcs) == 0 {
		return ""
	}
	if w.About == nil {
		return dcs[0]
	}
	node := w.About.Node
	if r, open := s.Picture.Records[w.About.Incident]; open {
		node = r.Value.Node
	}
	if host, listed := s.Picture.Hosts[node]; listed {
		return host.Datacenter
	}
	if slices.Contains(dcs, w.About.Datacenter) {
		return w.About.Datacenter
	}
	return dcs[0]
}

// wordTxn is a transaction that takes a word out of the inbox.
func (s *State) wordTxn(id string) *txn {
	t := &txn{s: s, t: store.Txn{Compare: s.guards()}}
	t.word(id)
	return t
}

func (t *txn) word(id string) {
	t.compare(store.Word(id), t.s.Picture.Inbox[id].Mod)
	t.t.Delete = append(t.t.Delete, store.Word(id))
}

// hear decides about a person's word, in one transaction with taking it in: it
// is followed or refused as a whole, and never twice.
func (s *State) hear(dc cluster.Datacenter, id string, now cluster.Moment, wall time.Time) (Commit, bool) {
	word := s.Picture.Inbox[id].Value
	a := incident.Ask{Verb: incident.AskVerb(word.Verb), Request: id, Who: word.Who, Why: word.Why, Plan: word.Plan, About: *word.About}
	rec, w := s.concerned(&a, dc, now, wall)
	if rec.ID != "" && w.Older {
		// What a record of an older era had reached is not believed, before anybody
		// says a word about it. The word waits for the next turn.
		return s.step(rec, s.base(dc, now, wall))
	}
	fresh := incidentID(dc, w.Ledger.NextIncident+1)
	h, broke := s.heard(a, w, fresh)
	if id := h.Decision.Record.ID; id == fresh || id == incident.RepairID(fresh) {
		h.Decision.Ledger.NextIncident++
		h.Decision.Record.Cluster = s.Cluster
	}
	if h.Decision.Record.ID != "" && !broke {
		if c, ok := s.commit(rec, h.Decision, w, ""); ok && c.Decision.Record.HeldRule == h.Decision.Record.HeldRule {
			t := &txn{s: s, t: c.Txn}
			t.word(id)
			c.Txn = t.t
			if rec.ID == "" {
				c.began = now
			}
			return c, true
		}
		h = incident.Unwritten(a)
	}
	t := s.wordTxn(id)
	if h.Holds != nil {
		t.put(store.Holds, s.asWritten(*h.Holds))
	}
	return s.tell(dc, t, s.Picture.Ledgers[dc].Value, h.Lines, wall)
}

// concerned is the open incident that a word is about, if there is one, and the
// world in which it is decided upon.
func (s *State) concerned(a *incident.Ask, dc cluster.Datacenter, now cluster.Moment, wall time.Time) (incident.Record, incident.World) {
	base := s.base(dc, now, wall)
	i := slices.IndexFunc(base.Open, func(r incident.Record) bool {
		return r.Node == a.Node && a.Node != "" || r.ID == a.Incident && a.Incident != ""
	})
	rec := incident.Record{}
	if k := slices.IndexFunc(base.Repairs, func(r incident.Record) bool { return r.ID == a.Incident && !r.Ended() }); k >= 0 {
		rec = base.Repairs[k]
	} else if i >= 0 && a.Verb != incident.AskRepair {
		rec = base.Open[i]
	}
	if rec.ID == "" {
		return rec, base
	}
	for _, e := range rec.Pending {
		if e.Once != nil && s.Picture.Orders[store.Order(e.Once.Agent, e.ID)].State == incident.Claimed {
			a.Claimed = append(a.Claimed, e.ID)
		}
	}
	ck, mine := s.clocks[rec.ID]
	if !mine || ck.step != rec.Step {
		ck = clock{began: ck.began, step: rec.Step, entered: now}
	}
	return rec, s.aboutOpen(rec, ck, base)
}

// heard asks the deciding room; a word about which an invariant breaks is
// refused, and the invariant is told.
func (s *State) heard(a incident.Ask, w incident.World, id string) (h incident.Heard, broke bool) {
	defer func() {
		var b cluster.Broken
		if b, broke = breach(recover()); broke {
			s.Store.Broken = append(s.Store.Broken, incident.Breach{Invariant: b.Invariant, Incident: a.Incident, Detail: b.Detail})
			h = incident.Unwritten(a)
		}
	}()
	if a.Verb == incident.AskRepair && s.Picture.unreadable(store.Repair(a.Node)) {
		return incident.Unwritten(a), false // a later program wrote what stands there
	}
	return incident.Hear(a, w, id), false
}

// tell writes lines that are about no incident, with whatever else stands in
// the transaction.
func (s *State) tell(dc cluster.Datacenter, t *txn, ledger incident.Ledger, lines []incident.Line, wall time.Time) (Commit, bool) {
	stub := incident.Record{Datacenter: dc, Region: s.Region, Mode: s.Picture.Policy.Value.ModeOf(dc)}
	writer := incident.Writer{Cluster: s.Cluster, Actor: incident.Actor{Kind: "leader", Name: string(s.Self)}, Wall: wall}
	ledger, _, entries, err := incident.Append(ledger, stub, lines, writer)
	if err != nil {
		return Commit{}, false
	}
	t.ledger(dc, ledger)
	for _, e := range entries {
		t.put(store.Log(dc, number(e)), e)
	}
	return Commit{Datacenter: dc, Txn: t.t, Entries: entries}, t.err == nil
}

// lapse takes away the pauses and mutes that have ended, in the first
// datacenter's turn. A leader whose wall clock jumped takes no pause away.
func (s *State) lapse(dc cluster.Datacenter, now cluster.Moment, wall time.Time) (Commit, bool) {
	holds := s.holds(now, wall)
	if len(holds.Pauses)+len(holds.Mutes) == 0 || s.datacenters()[0] != dc {
		return Commit{}, false
	}
	rest, lines := holds.Lapsed(wall)
	if len(lines) == 0 {
		return Commit{}, false
	}
	t := &txn{s: s, t: store.Txn{Compare: s.guards()}}
	t.put(store.Holds, s.asWritten(rest))
	return s.tell(dc, t, s.Picture.Ledgers[dc].Value, lines, wall)
}
