// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/isolate"
	"supervisor/loadbalancer"
)

// write sends a transaction to the store and looks at what it changed.
func (w *world) write(lease model.Lease, t store.Txn) (store.Result, error) {
	if w.bug(noCompare) {
		t.Compare = nil
	}
	res, err := w.store.Commit(lease, t)
	if err != nil {
		if w.store.Live(lease) {
			w.broken(transaction, "%v", err)
		}
		return res, err
	}
	if res.OK && !w.bug(untold) {
		w.written(t)
	}
	return res, err
}

// written checks a transaction that landed.
func (w *world) written(t store.Txn) {
	if n := len(t.Put) + len(t.Delete); n >= 16 {
		w.broken(transaction, "%d writes", n)
	}
	opened := false
	w.wordsWritten(t)
	for _, p := range t.Put {
		switch {
		case strings.HasPrefix(p.Key, store.Orders):
			w.orderWritten(p)
			w.mildWritten(p)
		case strings.HasPrefix(p.Key, store.Archive):
			w.archived(p)
		case strings.HasPrefix(p.Key, store.Incidents):
			opened = true
			w.recordWritten(p)
		case strings.HasPrefix(p.Key, store.Pools):
			w.poolWritten(p)
		case strings.HasPrefix(p.Key, store.Fences):
			w.mildWritten(p)
		}
	}
	w.fencesWritten(t)
	if opened || len(t.Delete) > 0 {
		w.oneOpen()
	}
	if touches(t, store.Fences, store.Pools, store.Ledgers, store.Opens) {
		w.orphans()
	}
}

// touches tells whether a transaction puts or deletes in one of the folders.
func touches(t store.Txn, folders ...string) bool {
	for _, f := range folders {
		for _, p := range t.Put {
			if strings.HasPrefix(p.Key, f) {
				return true
			}
		}
		for _, key := range t.Delete {
			if strings.HasPrefix(key, f) {
				return true
			}
		}
	}
	return false
}

// orphans looks for what stands without an open incident of its node.
func (w *world) orphans() {
	isOpen := func(n cluster.Name) bool { _, ok := w.store.Get(store.Open(n)); return ok }
	fences, _ := w.store.List(store.Fences)
	for _, kv := range fences {
		if n := cluster.Name(strings.TrimPrefix(kv.Key, store.Fences)); !isOpen(n) {
			w.broken(noOrphan, "a fence stands on %s", n)
		}
	}
	if pool, ok := w.wanted(); ok {
		for _, m := range pool.Members() {
			if pool.Wants[m] != loadbalancer.Full && !isOpen(m) && !w.forgottenOut(m) {
				w.broken(noOrphan, "%s is wanted %s in its pool", m, pool.Wants[m])
			}
		}
	}
	for dc := range w.policy.Modes { // order: a violation is one in any
		if l, ok := get[incident.Ledger](w, store.Ledger(dc)); ok {
			for _, h := range l.Holders {
				if !isOpen(h.Node) {
					w.broken(noOrphan, "%s holds budget for %s", h.Node, h.Incident)
				}
			}
		}
	}
}

func (w *world) orderWritten(p store.Put) {
	var o incident.Order
	if json.Unmarshal(p.Value, &o) != nil || o.Once == nil {
		return
	}
	w.joinOrdered(o)
	w.orderInPeace(o)
	if o.State == incident.Open && o.Once.Silent {
		w.calmFor(w.byName[o.Once.Target], "is to be ended")
	}
	if o.State != incident.Claimed {
		return
	}
	if r, ok := get[incident.Record](w, store.Record(o.Incident)); !ok || !r.Awaits(o.ID) {
		w.broken(string(incident.IntentFirst), "%s was claimed by %s and no record waits for it", o.ID, o.By)
	}
}

func (w *world) recordWritten(p store.Put) {
	r, err := lead.ReadOnce[incident.Record](w.decoded, store.KV{Key: p.Key, Value: p.Value}, true)
	if err != nil {
		w.broken(format, "%s: %v", p.Key, err)
		return
	}
	if _, closed := w.archive[r.ID]; closed {
		w.broken(string(incident.ClosedIsQuiet), "%s opens again", r.ID)
	}
	step := ""
	if r.Return != nil {
		step = r.Return.Step.String()
	}
	if was, known := w.phases[r.ID]; known && was != r.Phase && !slices.Contains(edges()[was], r.Phase) {
		w.broken(legalEdges, "%s goes from %s to %s", r.ID, was, r.Phase)
	}
	if r.Phase == incident.Deciding && w.phases[r.ID] != incident.Deciding {
		w.fenceHolds(r)
	}
	w.slowOpened(r)
	w.goesOn(r)
	w.standsWritten(r)
	w.phases[r.ID] = r.Phase
	w.asked[r.ID] = w.asked[r.ID] || r.Phase == incident.Held
	w.note("%s %s %s %s waits %s held %s", r.ID, r.Node, r.Phase, step, r.Waits, r.Held)
	w.dirty()
}

// archived checks what a closed incident must have given back.
func (w *world) archived(p store.Put) {
	var r incident.Record
	if err := json.Unmarshal(p.Value, &r); err != nil {
		w.broken(format, "%s: %v", p.Key, err)
		return
	}
	if before, again := w.archive[r.ID]; again && !bytes.Equal(before, p.Value) {
		w.broken(string(incident.ClosedIsQuiet), "%s changed after its end", r.ID)
	}
	delete(w.phases, r.ID)
	delete(w.stands, r.ID)
	delete(w.aborted, r.ID)
	w.archive[r.ID] = p.Value
	w.rep.Closed++
	w.note("%s %s closed", r.ID, r.Node)
	if r.Mode == incident.Observe {
		w.leftAlone(w.byName[r.Node])
	}
	if len(r.Pending) > 0 {
		w.broken(string(incident.ClosedIsQuiet), "%s is closed and waits for %d orders", r.ID, len(r.Pending))
	}
	if f, stands := get[isolate.Fence](w, store.Fence(r.Node)); stands {
		w.broken(string(incident.ClosedIsQuiet), "%s is closed and a fence of %s stands on %s", r.ID, f.Incident, r.Node)
	}
	if l, ok := get[incident.Ledger](w, store.Ledger(r.Datacenter)); ok {
		for _, h := range l.Holders {
			if h.Incident == r.ID {
				w.broken(string(incident.ClosedIsQuiet), "%s is closed and holds its budget", r.ID)
			}
		}
	}
	if pool, ok := w.wanted(); ok && pool.Wants[r.Node] != loadbalancer.Full && w.allowed(w.byName[r.Node]) {
		w.broken(string(incident.ClosedIsQuiet), "%s is closed and %s is %s in its pool", r.ID, r.Node, pool.Wants[r.Node])
	}
	if n := w.byName[r.Node]; !n.excused && !n.pardoned && n.takes() && !w.unnoticed(n) {
		if l := w.missing(n); len(l) > 0 {
			w.broken(noStaleRead, "%s is closed and %s lacks %d acknowledged writes, first %d of %s", r.ID, r.Node, len(l), l[0], time.Duration(w.writes[l[0]].at-epoch))
		}
	}
}

func (w *world) poolWritten(p store.Put) {
	var pool loadbalancer.Pool
	if json.Unmarshal(p.Value, &pool) != nil {
		return
	}
	w.poolFloor(pool)
	w.takenOut(pool)
	w.poolInPeace(pool)
	w.givesWeight(pool)
}

// poolFloor wants all members named and one at least ready.
func (w *world) poolFloor(pool loadbalancer.Pool) {
	if err := w.policy.Pools[0].Whole(pool); err != nil {
		w.broken(string(incident.PoolFloor), "%v", err)
	}
	ready := 0
	for _, wish := range pool.Wants { // order: counted
		if wish.Want == loadbalancer.Ready {
			ready++
		}
	}
	if ready == 0 {
		w.broken(string(incident.PoolFloor), "nobody is wanted ready")
	}
}

// givesWeight looks at the members that a pool takes back.
func (w *world) givesWeight(pool loadbalancer.Pool) {
	for _, m := range pool.Members() {
		n, was := w.byName[m], w.wants[m]
		w.wants[m] = pool.Wants[m]
		if was.Want == loadbalancer.Ready || pool.Wants[m].Want != loadbalancer.Ready || w.now.Sub(max(n.changedAt, n.shakenAt, n.helplessAt)) < steady {
			continue
		}
		if !n.answers() || n.severity != 0 {
			w.broken(readyBeforeAdd, "%s is given weight: it answers %v, its severity is %v", m, n.answers(), n.severity)
		}
	}
}

// oneOpen holds records against the keys that open them.
func (w *world) oneOpen() {
	open := w.open()
	by := map[cluster.Name]string{}
	for _, r := range open {
		if other, twice := by[r.Node]; twice {
			w.broken(string(incident.OneOpenIncident), "%s and %s are both about %s", other, r.ID, r.Node)
		}
		by[r.Node] = r.ID
		if id, ok := get[string](w, store.Open(r.Node)); !ok || id != r.ID {
			w.broken(string(incident.OneOpenIncident), "%s is not the one that %s names: %q", r.ID, r.Node, id)
		}
	}
	here := map[string]bool{}
	for _, r := range open {
		here[r.ID] = true
	}
	for id := range w.phases { // order: a violation is one in any
		if !here[id] {
			w.broken(noLostIncident, "%s is neither open nor in the archive", id)
		}
	}
	w.rep.Opened = max(w.rep.Opened, len(open)+len(w.archive))
}
