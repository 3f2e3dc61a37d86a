// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/repair"
)

// A large plan stands at a key of its own, work/INCIDENT/PLAN, and is written
// once. The record, which is written at every step, has its name and what is
// done of it. PLAN is a hash of what stands there, so no key ever changes.

// apartFrom is how large a plan is, in bytes, that does not stand in its record.
const apartFrom = 2 << 10

// WorkAt is what stands at one such key.
type WorkAt struct {
	Segments repair.Segments // nil: it cannot be read
	Mod      int64
}

// placeWork takes a plan in and gives it to its record.
func (p *Picture) placeWork(kv store.KV) error {
	p.open = nil
	parts := store.Split(kv.Key, store.Works)
	if len(parts) != 2 {
		return fmt.Errorf("key has %d parts, want 2", len(parts))
	}
	defer p.join(parts[0])
	if kv.Mod == 0 {
		delete(p.Works, kv.Key)
		return nil
	}
	segments, err := ReadOnce[repair.Segments](p.memo, kv, true)
	p.Works[kv.Key] = WorkAt{segments, kv.Mod}
	return err
}

// join gives a record the segments of its job. Where they are not, or cannot be
// read, the job is lost and says so.
func (p *Picture) join(id string) {
	if incident.IsRepairID(id) {
		p.joinRepair(id)
		return
	}
	at, open := p.Records[id]
	if !open || at.Value.Return == nil || at.Value.Return.Job == nil || at.Value.Return.Job.Plan == "" {
		return
	}
	ret := *at.Value.Return
	job := ret.Job.With(p.Works[store.Work(id, ret.Job.Plan)].Segments)
	ret.Job, at.Value.Return = &job, &ret
	p.Records[id] = at
}

// apart puts the plan of a record at its own key, if it is large and not there
// yet, and returns the record as it is written then.
func (t *txn) apart(rec incident.Record) incident.Record {
	if rec.Return == nil || rec.Return.Job == nil {
		return rec
	}
	if job := *rec.Return.Job; job.Plan != "" {
		key := store.Work(rec.ID, job.Plan)
		if at, stands := t.s.Picture.Works[key]; stands {
			t.compare(key, at.Mod)
		}
		return rec
	}
	plan, err := json.Marshal(repair.Segments(rec.Return.Job.Segments))
	if err != nil {
		t.err = fmt.Errorf("encode the plan of %s: %w", rec.ID, err)
		return rec
	}
	if len(plan) < apartFrom {
		return rec
	}
	sum := sha256.Sum256(plan)
	name := hex.EncodeToString(sum[:8])
	key := store.Work(rec.ID, name)
	at, stands := t.s.Picture.Works[key]
	t.compare(key, at.Mod)
	if !stands || at.Segments == nil {
		t.t.Put = append(t.t.Put, store.Put{Key: key, Value: plan})
	}
	ret := *rec.Return
	job := ret.Job.Apart(name)
	ret.Job, rec.Return = &job, &ret
	return rec
}

// idle is the first plan that no record of a datacenter names: its repair is
// over, or was planned anew. What a record that cannot be read names is not known.
func (p *Picture) idle(dc cluster.Datacenter) (first string, there bool) {
	for key := range p.Works { // order: the least key
		id := store.Split(key, store.Works)[0]
		if (!there || key < first) && p.mayForget(id, dc) && !p.names(id, key) {
			first, there = key, true
		}
	}
	return first, there
}

// names tells whether the record of an incident names a plan.
func (p *Picture) names(id, key string) bool {
	rec, open := p.Records[id]
	if asked, is := p.repairBy(id); is {
		rec, open = asked, true
	}
	return open && rec.Value.Return != nil && rec.Value.Return.Job != nil && store.Work(id, rec.Value.Return.Job.Plan) == key
}

// sweepWork removes a plan that no record names.
func (s *State) sweepWork(dc cluster.Datacenter) (Commit, bool) {
	key, there := s.Picture.idle(dc)
	if !there {
		return Commit{}, false
	}
	id := store.Split(key, store.Works)[0]
	t := &txn{s: s, t: store.Txn{Compare: s.guards(), Delete: []string{key}}}
	t.compare(key, s.Picture.Works[key].Mod)
	t.compare(store.Record(id), s.Picture.Records[id].Mod)
	return Commit{Datacenter: dc, Txn: t.t}, true
}
