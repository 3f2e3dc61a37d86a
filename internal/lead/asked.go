// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"maps"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
)

// The repairs that people ask for stand apart from the incidents: a program that
// does not know them does nothing about them, and takes none of them for an
// outage. Each node has one key, so the last one of it stands there until the next.

// RepairRecords lists the repairs that people asked for, by node. Nobody may
// change the list.
func (p *Picture) RepairRecords() []incident.Record {
	var out []incident.Record
	for _, n := range slices.Sorted(maps.Keys(p.Repairs)) {
		out = append(out, p.Repairs[n].Value)
	}
	return out
}

// Busy tells whether orders of an incident or of a repair may be under way.
func (p *Picture) Busy() bool {
	return len(p.Records) > 0 || p.repairing()
}

// repairing tells whether a repair that a person asked for is not over.
func (p *Picture) repairing() bool {
	for _, r := range p.Repairs { // order: only whether there is one
		if !r.Value.Ended() {
			return true
		}
	}
	return false
}

// awaiting is the record that orders of an ID belong to; ok is false when there is
// none, or it is over.
func (p *Picture) awaiting(id string, target cluster.Name) (incident.Record, bool) {
	if rec, open := p.Records[id]; open {
		return rec.Value, true
	}
	rec, asked := p.Repairs[target]
	return rec.Value, asked && rec.Value.ID == id && !rec.Value.Ended()
}

// mod is the revision at which the record of an incident or a repair stands.
func (p *Picture) mod(r incident.Record) int64 {
	if r.Asked() {
		return p.Repairs[r.Node].Mod
	}
	return p.Records[r.ID].Mod
}

// repairs lets the repairs that people asked for go on, those of one datacenter.
func (s *State) repairs(dc cluster.Datacenter, now cluster.Moment, wall time.Time) (Commit, bool) {
	if !s.Picture.repairing() {
		return Commit{}, false
	}
	base := s.base(dc, now, wall)
	for _, rec := range base.Repairs {
		if rec.Datacenter != dc || rec.Ended() {
			continue
		}
		if c, ok := s.step(rec, base); ok {
			return c, true
		}
	}
	return Commit{}, false
}

// repair writes the record of a repair at the key of its node.
func (t *txn) repair(rec incident.Record) {
	t.compare(store.Repair(rec.Node), t.s.Picture.Repairs[rec.Node].Mod)
	t.put(store.Repair(rec.Node), rec)
}

// decided asks the door of a record.
func decided(rec incident.Record, ev incident.Event, w incident.World) incident.Decision {
	if rec.Asked() {
		return incident.NextRepair(rec, ev, w)
	}
	return incident.Next(rec, ev, w)
}

// held hands a record to people whose decision broke an invariant.
func held(rec incident.Record, w incident.World, why string) incident.Decision {
	if rec.Asked() {
		return incident.HoldRepair(rec, w, incident.NoSilentWait, "an invariant broke, nothing more is done here: "+why)
	}
	return incident.Hold(rec, w, why)
}

// repairBy is the repair of an ID, as it stands at the key of its node.
func (p *Picture) repairBy(id string) (at At[incident.Record], is bool) {
	for _, r := range p.Repairs { // order: one at most has the ID
		if r.Value.ID == id {
			return r, true
		}
	}
	return at, false
}

// joinRepair is join for the record of a repair.
func (p *Picture) joinRepair(id string) {
	at, is := p.repairBy(id)
	if !is || at.Value.Return == nil || at.Value.Return.Job == nil || at.Value.Return.Job.Plan == "" {
		return
	}
	ret := *at.Value.Return
	job := ret.Job.With(p.Works[store.Work(id, ret.Job.Plan)].Segments)
	ret.Job, at.Value.Return = &job, &ret
	p.Repairs[at.Value.Node] = at
}

// mayForget tells whether the records are readable that could name a plan of an ID
// of a datacenter.
func (p *Picture) mayForget(id string, dc cluster.Datacenter) bool {
	of := id[:max(0, strings.LastIndex(id, "-"))]
	if of == "rep-"+string(dc) {
		return !slices.ContainsFunc(p.Unread(), func(key string) bool { return strings.HasPrefix(key, store.Repairs) })
	}
	return of == "inc-"+string(dc) && !p.unreadable(store.Record(id))
}

// placeRepair takes the repair of a node in.
func (p *Picture) placeRepair(n cluster.Name, kv store.KV) error {
	err := putAt(p.memo, p.Repairs, n, kv)
	p.joinRepair(p.Repairs[n].Value.ID)
	return err
}
