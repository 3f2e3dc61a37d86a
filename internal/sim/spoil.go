// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/loadbalancer"
)

// spoil plants the bugs of leaders in what they send. The parts of a
// transaction are the leader's own and are not changed in place.
func (w *world) spoil(t store.Txn) store.Txn {
	if w.planted.spoil != nil {
		t.Put, t.Delete, t.Compare = slices.Clone(t.Put), slices.Clone(t.Delete), slices.Clone(t.Compare)
		w.planted.spoil(w, &t)
	}
	return t
}

// edit changes what is put in one folder.
func edit[T any](folder string, change func(*world, *T)) func(*world, *store.Txn) {
	return func(w *world, t *store.Txn) {
		for i, p := range t.Put {
			var v T
			if strings.HasPrefix(p.Key, folder) && json.Unmarshal(p.Value, &v) == nil {
				change(w, &v)
				t.Put[i].Value = encoded(v)
			}
		}
	}
}

func records(change func(*world, *incident.Record)) func(*world, *store.Txn) {
	return edit(store.Incidents, change)
}

func orders(change func(*world, *incident.Order)) func(*world, *store.Txn) {
	return edit(store.Orders, change)
}

// recordIn reads what is put when it is the record of an open incident.
func recordIn(p store.Put) (r incident.Record, is bool) {
	is = strings.HasPrefix(p.Key, store.Incidents) && json.Unmarshal(p.Value, &r) == nil
	return r, is
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// without leaves out what is put in one folder.
func without(folder string) func(*world, *store.Txn) {
	return func(_ *world, t *store.Txn) {
		t.Put = slices.DeleteFunc(t.Put, func(p store.Put) bool { return strings.HasPrefix(p.Key, folder) })
	}
}

// opening and closing plant a bug only where an incident begins or ends.
func opening(bug func(*world, *store.Txn)) func(*world, *store.Txn) {
	return putting(store.Opens, bug)
}

func closing(bug func(*world, *store.Txn)) func(*world, *store.Txn) {
	return putting(store.Archive, bug)
}

func putting(folder string, bug func(*world, *store.Txn)) func(*world, *store.Txn) {
	return func(w *world, t *store.Txn) {
		if slices.ContainsFunc(t.Put, func(p store.Put) bool { return strings.HasPrefix(p.Key, folder) }) {
			bug(w, t)
		}
	}
}

func waitOn(_ *world, r *incident.Record) {
	r.Pending = append(r.Pending, incident.Effect{ID: r.ID + ".late", Once: &incident.Once{Agent: r.Node, Verb: incident.VerbKill}})
}

// believeWord takes a fence for proven when its order has ended.
func believeWord(_ *world, r *incident.Record) {
	if r.Phase == incident.Fencing && len(r.Pending) == 0 && r.Fenced != nil {
		r.Phase, r.Fenced.Proof = incident.Deciding, []string{"its word", "its word"}
	}
}

func suspectAgain(_ *world, r *incident.Record) {
	if r.Phase == incident.Returning {
		r.Phase = incident.Suspected
	}
}

// suspectOnce has its own memory: a bug is made anew for each run.
func suspectOnce() func(*world, *incident.Record) {
	did := false
	return func(w *world, r *incident.Record) {
		if !did && r.Phase == incident.Returning && w.phases[r.ID] == incident.Draining {
			r.Phase, did = incident.Suspected, true
		}
	}
}

func otherID(_ *world, id *string) { *id += "-other" }

func killWitness(w *world, o *incident.Order) {
	if o.Once.Verb == incident.VerbPreview {
		witness := w.byName[o.Once.Agent]
		o.Once = &incident.Once{Agent: witness.name, Verb: incident.VerbKill, Target: witness.name, Process: witness.process}
	}
}

func addStranger(w *world, o *incident.Order) {
	if o.Once.Verb != incident.VerbRepair {
		return
	}
	for i, s := range o.Once.Segments {
		for _, n := range w.nodes {
			if !w.allowed(n) {
				o.Once.Segments[i].Hosts = append(slices.Clone(s.Hosts), n.name)
			}
		}
	}
}

func coldFence(_ *world, f *isolate.Fence) { f.Levels, f.Start = 0, isolate.Normal }

func halfPool(_ *world, p *loadbalancer.Pool) { delete(p.Wants, p.Members()[0]) }

func emptyPool(_ *world, p *loadbalancer.Pool) {
	for _, m := range p.Members() {
		p.Wants[m] = loadbalancer.Wish{Want: loadbalancer.Drain}
	}
}

// drainNeighbour leaves the pool its floor.
func drainNeighbour(w *world, p *loadbalancer.Pool) {
	for _, m := range p.Members() {
		if _, open := w.store.Get(store.Open(m)); !open {
			p.Wants[m] = loadbalancer.Wish{Want: loadbalancer.Drain}
			return
		}
	}
}

// deepDrain leaves one member ready.
func deepDrain(_ *world, p *loadbalancer.Pool) {
	for _, m := range p.Members()[1:] {
		p.Wants[m] = loadbalancer.Wish{Want: loadbalancer.Drain}
	}
}

func noHolders(_ *world, l *incident.Ledger) { l.Holders = nil }

// seenStorm acknowledges the storm that the leader sees.
func seenStorm(w *world, r *incident.Record) {
	a := w.leading()
	if a == nil {
		return
	}
	if on, storm := incident.Storm(a.state.World(r.Datacenter, a.now(), a.n.wall()), r.Datacenter); on {
		r.Ack = &incident.Ack{By: "nobody", Storm: storm}
	}
}

// forgetWho lets what a person stopped go on like what a policy stopped.
func forgetWho(_ *world, r *incident.Record) {
	if r.HeldRule == incident.RuleOperator {
		r.HeldRule = incident.RulePolicy
	}
}

// refuseYoung adds a compare that does not hold until a node is gone for long.
func refuseYoung(w *world, t *store.Txn) {
	for _, p := range t.Put {
		if r, is := recordIn(p); is && w.now.Sub(w.byName[r.Node].changedAt) < time.Minute {
			t.Compare = append(t.Compare, store.Compare{Key: store.Era, Rev: -1})
		}
	}
}

// refuseAnswers adds a compare that never holds.
func refuseAnswers(_ *world, t *store.Txn) {
	if slices.ContainsFunc(t.Delete, func(key string) bool { return strings.HasPrefix(key, store.Inbox) }) {
		t.Compare = append(t.Compare, store.Compare{Key: store.Era, Rev: -1})
	}
}

// earlyReady waits until everybody can know how the node is.
func earlyReady(w *world, t *store.Txn) {
	for _, p := range t.Put {
		r, is := recordIn(p)
		if !is || r.Return == nil {
			continue
		}
		pool, stands := w.wanted()
		if n := w.byName[r.Node]; stands && !n.answers() && w.now.Sub(n.changedAt) > steady {
			pool.Wants[r.Node] = loadbalancer.Full
			without(store.Pools)(w, t)
			t.Put = append(t.Put, store.Put{Key: store.Pool(pool.Name), Value: encoded(pool)})
			return
		}
	}
}

// freeAborted opens the fence with the hold that an abort is.
func freeAborted(w *world, t *store.Txn) {
	for _, p := range t.Put {
		r, is := recordIn(p)
		if is && r.HeldRule == incident.RuleOperator && r.Return != nil {
			without(store.Fences)(w, t)
			t.Put = append(t.Put, store.Put{Key: store.Fence(r.Node), Value: encoded(isolate.Fence{Node: r.Node, Start: isolate.Hibernate, Incident: r.ID})})
			return
		}
	}
}

func twoRecords(_ *world, t *store.Txn) {
	for _, p := range slices.Clone(t.Put) {
		if r, is := recordIn(p); is {
			r.ID += "-twin"
			t.Put = append(t.Put, store.Put{Key: store.Record(r.ID), Value: encoded(r)})
		}
	}
}

func widen(_ *world, t *store.Txn) {
	for i := range 16 {
		t.Put = append(t.Put, store.Put{Key: fmt.Sprintf("inbox/wide-%d", i), Value: []byte("{}")})
	}
}

// wideReports are words of agents that nobody has, about fences that nobody put.
func wideReports(_ *world, t *store.Txn) {
	for i := range 16 {
		t.Put = append(t.Put, store.Put{Key: store.SeenFence(cluster.Name(fmt.Sprintf("wide-%d", i)), "nobody"), Value: []byte("{}")})
	}
}

func cutRecords(_ *world, t *store.Txn) {
	for i, p := range t.Put {
		if strings.HasPrefix(p.Key, store.Incidents) {
			t.Put[i].Value = p.Value[:len(p.Value)/2]
		}
	}
}

// refuseReturns adds a compare that never holds.
func refuseReturns(_ *world, t *store.Txn) {
	for _, p := range t.Put {
		if r, is := recordIn(p); is && r.Return != nil {
			t.Compare = append(t.Compare, store.Compare{Key: store.Era, Rev: -1})
		}
	}
}
