// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math/rand"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/obey"
)

// drawGrace is gc_grace_seconds of the table, scaled like the hint window, or no
// run would reach it; in some worlds it is the usual ten days. It has a chance of
// its own: it makes no other story.
func drawGrace(seed int64) time.Duration {
	all := []time.Duration{3 * time.Minute, 3 * time.Minute, 4 * time.Minute, 6 * time.Minute, 10 * time.Minute, time.Hour, 240 * time.Hour, 240 * time.Hour}
	return all[rand.New(rand.NewSource(seed^0x67635f6772616365)).Intn(len(all))]
}

// gcGrace is how long a deletion is remembered by who has it.
func (w *world) gcGrace() time.Duration { return w.schema.Keyspaces[0].Tables[0].GCGrace }

// schemaAsRead is what a leader reads of ring and tables.
func (w *world) schemaAsRead() lead.Schemed {
	s := w.schema
	if w.bug(usualGrace) {
		s.Keyspaces = append([]cluster.Keyspace(nil), s.Keyspaces...)
		s.Keyspaces[0].Tables = []cluster.Table{{Name: "t", GCGrace: 240 * time.Hour}}
		s = s.Ready()
	}
	return lead.Schemed{Schema: s}
}

// tooOld is a write that a node lacks and that is older than the grace: were it a
// deletion the others would have dropped it by now, and what it deleted would go
// from here to them. A clock that was set may have hidden that from the leaders,
// and nobody knows of a disk how old it is when a host comes back on it.
func (w *world) tooOld(n *node) (id int, is bool) {
	if w.jumped {
		return 0, false
	}
	for _, id := range w.lacks(n, w.now.Add(-w.gcGrace())) {
		if w.writes[id].at >= n.restoredAt {
			return id, true
		}
	}
	return 0, false
}

// withinGrace is an act by order that lets the data of a node to others.
func (w *world) withinGrace(n *node, act string) {
	if id, is := w.tooOld(n); is {
		w.broken(gcGrace, "%s %s and lacks write %d of %s, which is older than %s", n.name, act, id, time.Duration(w.writes[id].at-epoch), w.gcGrace())
	}
}

// tooLate turns an act away whose node's deadline has passed, as far as this agent
// was told of one.
func (a *agent) tooLate(o incident.Order, done []int, ended outcome) bool {
	late := obey.Expired(o.Once.Verb, a.state.Picture.Records[o.Incident].Value.Outage.Deadline, a.n.wall())
	if late {
		ended(incident.TurnedAway, incident.Result{Rule: incident.RuleGCGrace, Why: "the deadline has passed", Done: done})
	}
	return late
}
