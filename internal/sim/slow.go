// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

// foundSlow is how long a node has to be slow before the judges of a world with
// Options.Slow say so. The looks of this model carry no times: that a node stands
// out among its peers is told here.
const foundSlow = 6 * second

// findsSlow adds to a judge's view which nodes it has found slow. Its memory ends
// with the agent.
func (a *agent) findsSlow(v membership.View) membership.View {
	if !a.w.o.Slow {
		return v
	}
	v.Verdicts = maps.Clone(v.Verdicts)
	for _, n := range a.w.nodes {
		x, known := v.Verdicts[n.name]
		if !known || x.Answer != membership.Alive || x.Cause == membership.Planned || !n.slow {
			delete(a.slowSince, n.name)
			if known && x.Cause == membership.Slow {
				x.Cause, x.Slow = membership.NoCause, membership.Slowness{}
				v.Verdicts[n.name] = x
			}
			continue
		}
		since, is := a.slowSince[n.name]
		if !is {
			since = a.now()
			a.slowSince[n.name] = since
		}
		if age := a.now().Sub(since); age >= foundSlow {
			x.Cause, x.Slow = membership.Slow, membership.Slowness{Since: since, For: age, Says: a.w.watchersOf(n), Of: len(a.w.nodes) - 1,
				Typical: 40 * time.Millisecond, Peers: 2 * time.Millisecond}
			v.Verdicts[n.name] = x
		}
	}
	return v
}

// watchersOf are two that find a node slow.
func (w *world) watchersOf(n *node) (names []cluster.Name) {
	for _, m := range w.nodes {
		if m != n && len(names) < 2 {
			names = append(names, m.name)
		}
	}
	return names
}

// severitySet is when a node's Severity was set last, and when it changed last before
// that, otherwise.
type severitySet struct{ at, before moment }

func (n *node) severitySet(v float64) {
	set := n.w.severities[n.name]
	if n.changedAt != set.at {
		set.before = n.changedAt
	}
	set.at = n.w.now
	n.severity, n.changedAt, n.w.severities[n.name] = v, n.w.now, set
}

// befell is when something other than our Severity was last done to a node, or
// happened to it, that more than slowness may come of.
func (n *node) befell() moment {
	at := n.changedAt
	if set := n.w.severities[n.name]; at == set.at {
		at = set.before
	}
	return max(at, n.shakenAt, n.helplessAt, n.clonedAt, n.agent.laggedAt)
}

// slowOpened notes when an incident about a slow node began.
func (w *world) slowOpened(r incident.Record) {
	if _, known := w.slowAt[r.ID]; !known && r.OfSlowness() {
		w.slowAt[r.ID] = w.now
		w.rep.Slowed++
	}
}

// mildWritten holds what is to be done about a node that was found slow against the
// truth: as long as nothing else befell it its process and its ports are left alone,
// and it is not repaired.
func (w *world) mildWritten(p store.Put) {
	switch {
	case strings.HasPrefix(p.Key, store.Fences):
		var f isolate.Fence
		strong := json.Unmarshal(p.Value, &f) == nil && (f.Levels|isolate.Reads != isolate.Reads || f.Start == isolate.Hibernate || f.Start == isolate.Refuse)
		if strong {
			w.mild(f.Node, f.Incident, "is to be fenced, "+f.Levels.String()+", start "+f.Start.String())
		}
	case strings.HasPrefix(p.Key, store.Orders):
		o, err := lead.ReadOnce[incident.Order](w.decoded, store.KV{Key: p.Key, Value: p.Value}, true)
		if err == nil && o.Once != nil {
			w.mild(o.Once.Target, o.Incident, o.Once.Verb.String()+" is ordered")
		}
	}
}

func (w *world) mild(name cluster.Name, id, what string) {
	began, slow := w.slowAt[id]
	n := w.byName[name]
	r, open := get[incident.Record](w, store.Record(id))
	if !slow || n == nil || !open || r.Hand != nil || r.Process != n.process || n.unrepaired || n.diskSays == membership.Wrong {
		return
	}
	if n.befell() < began.Add(-steady) {
		w.broken(slowIsMild, "%s is only slow, and %s", name, what)
	}
}

// harsh has clients shut out of a node that readers are only to avoid.
func harsh(_ *world, f *isolate.Fence) {
	if f.Avoids() {
		f.Levels, f.Start = isolate.Clients|isolate.Reads, isolate.Hibernate
	}
}

// slowed has the victim be slow for so long that its Severity is raised.
func slowed() Story {
	return Story{Slow: true, Storm: 2 * time.Minute, Strokes: []Stroke{{At: 20 * time.Second, Fault: "gray", Node: victim, Salt: 1, For: 80 * time.Second}}}
}
