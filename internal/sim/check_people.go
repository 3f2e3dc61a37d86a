// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"strings"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/loadbalancer"
)

// obeyed is how long leaders and executors have to stop what a person does not
// want any more: two seconds, and as long again for answers that are lost.
const obeyed = 5 * second

// wordsWritten takes in what a transaction answers people, before anything that
// stands in it is looked at.
func (w *world) wordsWritten(t store.Txn) {
	answered := map[string]bool{}
	for _, p := range t.Put {
		var e incident.Entry
		if !strings.HasPrefix(p.Key, store.Logs) || json.Unmarshal(p.Value, &e) != nil || e.Actor.Kind != "operator" {
			continue
		}
		answered[e.Args["request"]] = e.Kind == incident.Asked || e.Kind == incident.Refused && e.Rule != ""
		switch e.Code {
		case "asked_abort":
			w.aborted[e.Incident] = true
		case "asked_ack":
			w.acked[e.Subject.Node] = true
		case "asked_retry":
			delete(w.aborted, e.Incident)
		}
	}
	for _, key := range t.Delete {
		id, word := strings.CutPrefix(key, store.Inbox)
		if word && !answered[id] {
			w.broken(refusalsTold, "word %s is taken in and not answered", id)
		}
		delete(w.said, id)
	}
	for _, p := range t.Put {
		if p.Key == store.Holds {
			w.pausesStand()
		}
	}
}

// pausesStand notes since when each datacenter is paused.
func (w *world) pausesStand() {
	for dc := range w.policy.Modes { // order: each for itself
		switch paused := w.pausedFor(dc); {
		case !paused:
			delete(w.paused, dc)
		case w.paused[dc] == 0:
			w.paused[dc] = w.now
		}
	}
}

// pausedFor tells whether a datacenter is paused, by the clock of whoever may
// lead.
func (w *world) pausedFor(dc cluster.Datacenter) bool {
	h, _ := get[incident.Holds](w, store.Holds)
	if len(h.Pauses) == 0 {
		return false
	}
	for _, name := range w.control {
		if _, stands := h.Paused(dc, w.byName[name].wall()); !stands {
			return false
		}
	}
	return true
}

// leftAsItIs wants nothing begun at a node whose datacenter is paused, or whose
// incident a person stopped. Each transaction of a leader rests on both, so there
// is no moment in which it need not know.
func (w *world) leftAsItIs(n *node, id, what string) {
	if w.pausedFor(n.home()) {
		w.broken(pauseHolds, "%s: %s, which is paused", what, n.home())
	}
	if w.aborted[id] {
		w.broken(abortHolds, "%s: %s, which a person stopped", what, id)
	}
}

// orderInPeace looks at an order that is given, or begun with.
func (w *world) orderInPeace(o incident.Order) {
	n, listed := w.byName[o.Once.Target]
	switch {
	case !listed:
	case o.State == incident.Open:
		w.leftAsItIs(n, o.Incident, o.Once.Verb.String()+" of "+string(n.name)+" is ordered")
	case o.State == incident.Claimed:
		since, paused := w.paused[n.home()]
		if paused && w.pausedFor(n.home()) && w.longFit(since) > obeyed {
			w.broken(pauseHolds, "%s is begun by %s %s after the pause of %s", o.ID, o.By, w.now.Sub(since), n.home())
		}
	}
}

// fenceInPeace lets a fence be raised whatever people want left alone: it keeps
// readers off what is handed to them.
func (w *world) fenceInPeace(name cluster.Name, was, f isolate.Fence) {
	safe := f.Start == isolate.Hibernate && f.Levels == isolate.Clients|isolate.Reads
	if f != was && !(safe && f.Levels.Has(was.Levels&^isolate.Process)) {
		w.leftAsItIs(w.byName[name], f.Incident, "the fence of "+string(name)+" is changed to "+f.Levels.String())
	}
}

// poolInPeace wants the members of a pool as they are while people want them
// left alone.
func (w *world) poolInPeace(pool loadbalancer.Pool) {
	for _, m := range pool.Members() {
		if was, is := w.wants[m], pool.Wants[m]; was != is {
			id, _ := get[string](w, store.Open(m))
			w.leftAsItIs(w.byName[m], id, string(m)+" is wanted "+is.String()+" in its pool")
		}
	}
}

// goesOn looks at an incident that a person stopped and that is not held any
// more. It is over by itself when nothing was done and the node answers as the
// one it was.
func (w *world) goesOn(r incident.Record) {
	if !w.aborted[r.ID] || r.Phase == incident.Held {
		return
	}
	n := w.byName[r.Node]
	if asWas := n.answers() && n.process == r.Process || !w.longAsNow(n); r.Return != nil || !asWas {
		w.broken(abortHolds, "%s goes on and a person stopped it", r.ID)
	}
	delete(w.aborted, r.ID)
}
