// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"

	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
)

// fenceSlack is how much younger than the policy's age a silence may be when a
// process is ended for it: clocks run up to a twentieth fast.
const fenceSlack = 2 * second

// fences is an end by order of a process because it hangs.
func (w *world) fences(n *node) {
	age := incident.DefaultPolicy().Ages.Fence - fenceSlack
	hangs := n.hung && w.now.Sub(n.silentAt) >= age
	f, stands := get[isolate.Fence](w, store.Fence(n.name))
	barred := stands && f.Levels.Has(isolate.Process) && n.local.Fence != nil && n.local.Fence.Levels.Has(isolate.Process)
	if !hangs || !barred {
		w.broken(fenceEvidence, "%s is ended for hanging: it hangs %v, for %s; its gate refuses the next: %v", n.process, n.hung, w.now.Sub(n.silentAt), barred)
	}
	if window := incident.DefaultPolicy().Budgets.FencesWindow; n.fencedAt != 0 && !w.jumped && w.now.Sub(n.fencedAt) < window-time.Minute {
		w.broken(oneFence, "%s is fenced %s after the last time", n.name, w.now.Sub(n.fencedAt))
	}
	n.fencedAt = w.now
	w.rep.Fenced++
}

// fenceHolds holds a proof against the truth.
func (w *world) fenceHolds(r incident.Record) {
	n := w.byName[r.Node]
	if r.Fenced != nil && r.Fenced.Power.Off != "" {
		w.offProven(r)
		return
	}
	if r.Fenced != nil && r.Fenced.Cut {
		w.notAsked()
		w.cutProven(r)
		return
	}
	if r.Fenced == nil || n.runs() && n.process == r.Fenced.Process {
		w.broken(fenceProven, "%s takes the fence of %s for proven and %s runs", r.ID, r.Node, n.process)
	}
}
