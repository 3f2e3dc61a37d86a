// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"strings"

	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/repair"
)

// fullEvery is how many steps come to one full pass, and chainEvery how many
// full passes to one reading of the whole journal, which only grows.
const (
	fullEvery  = 1000
	chainEvery = 50
)

// standingTruths checks what must be true at every moment: when it may have
// become untrue, and from time to time all of it, to show that nothing is
// missed.
func (w *world) standingTruths() {
	if w.stale {
		w.stale = false
		w.staleReads()
		for _, n := range w.nodes {
			n.shown = n.read()
		}
	}
	if w.steps%fullEvery == 0 {
		w.full = true
		w.fullPass()
		w.full = false
	}
	if w.steps%(fullEvery*chainEvery) == 0 {
		w.journalHolds()
	}
}

// fullPass holds the whole store, and who may be read, against what the checks
// saw change by change. What it finds they missed: a violation says so. Those of
// the moment of an act have nothing that stands and are not repeated, nor is
// what time alone makes untrue: each second looks at that.
func (w *world) fullPass() {
	for _, n := range w.nodes {
		if n.read() && !n.shown {
			w.broken(noStaleRead, "%s may be read, and no change of the truth was told", n.name)
		}
		n.shown = n.read()
	}
	w.decodes()
	w.oneOpen()
	for _, r := range w.open() {
		if was, known := w.phases[r.ID]; !known || was != r.Phase {
			w.broken(legalEdges, "%s is %s and was last seen %s", r.ID, r.Phase, was)
		}
	}
	w.archiveStands()
	w.orphans()
	if pool, stands := w.wanted(); stands {
		w.poolFloor(pool)
	}
}

// archiveStands wants each incident that was closed as it was then.
func (w *world) archiveStands() {
	kvs, _ := w.store.List(store.Archive)
	for _, kv := range kvs {
		if was, closed := w.archive[strings.TrimPrefix(kv.Key, store.Archive)]; !closed || !bytes.Equal(was, kv.Value) {
			w.broken(string(incident.ClosedIsQuiet), "%s is not as it was written when it closed", kv.Key)
		}
	}
	if len(kvs) < len(w.archive) {
		w.broken(noLostIncident, "%d incidents are closed and %d are in the archive", len(w.archive), len(kvs))
	}
}

// decodes wants everything that this program writes to be what it can read.
func (w *world) decodes() {
	decodes[incident.Record](w, store.Incidents, true)
	decodes[incident.Record](w, store.Archive, false)
	decodes[repair.Segments](w, store.Works, true)
	decodes[incident.Order](w, store.Orders, true)
	decodes[isolate.Fence](w, store.Fences, true)
	decodes[loadbalancer.Pool](w, store.Pools, true)
	decodes[incident.Ledger](w, store.Ledgers, true)
}

func decodes[T any](w *world, folder string, strict bool) {
	kvs, _ := w.store.List(folder)
	for _, kv := range kvs {
		if _, err := lead.ReadOnce[T](w.decoded, kv, strict); err != nil {
			w.broken(format, "%s: %v", kv.Key, err)
		}
	}
}
