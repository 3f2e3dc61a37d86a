// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/isolate"
)

// Recovery is a loss of the whole store and its way back from an older copy, in
// moments since the storm began.
type Recovery struct {
	Copied       time.Duration // the copy is taken
	Lost         time.Duration // the store answers nobody any more
	Back         time.Duration // it is brought back from the copy, in a higher era
	Acknowledged time.Duration // a person says that it may be acted upon
}

// restored are stories of a store that was brought back from an older copy.
func restored() []Scenario {
	during := small(2, 3*time.Minute, hit(second, "kill", 3))
	during.Recovery = &Recovery{Copied: 12 * second, Lost: 24 * second, Back: 32 * second, Acknowledged: 50 * second}
	before := small(1, 3*time.Minute, hit(5*second, "kill", 3), hitFor(70*second, 40*second, "vm-pause", 1))
	before.Recovery = &Recovery{Copied: 0, Lost: 25 * second, Back: 60 * second, Acknowledged: 2 * time.Minute}
	return []Scenario{
		Scenario{
			Name:    "store-restored",
			Story:   "Feared: the majority of the store is lost in the middle of a return, and a copy from a moment before is brought back; what it asks for was done.",
			Options: during,
			Guard:   string(incident.RuleEra),
			Remove:  func(o *Options) { o.Bug = believeRestored },
			Breaks:  intentOnce,
		}.truths(allServe()),
		Scenario{
			Name:    "store-forgot",
			Story:   "Feared: the copy that is brought back is older than an incident, whose node hibernates; and before a person has looked another node is silent for longer than hints are kept.",
			Options: before,
		}.truths(allServe()),
	}
}

// raisedBy is how much higher a recovered store counts on, as `store recover` has it.
const raisedBy = 1_000_000

// firstEtcd is the etcd cluster of every world.
const firstEtcd = "c"

// recovers plans the recovery of the options.
func (w *world) recovers(r Recovery) {
	var copied *model.Store
	w.after(r.Copied, func() {
		w.note("the store is copied at %d", w.store.Rev())
		copied = w.store.Copy()
	})
	w.after(r.Lost, func() {
		w.note("the store is lost")
		w.journal.away = true
	})
	w.after(r.Back, func() {
		w.journal.away = false
		w.comesBack(copied)
	})
	w.after(r.Acknowledged, w.acknowledge)
}

// comesBack puts the copy in the store's place.
func (w *world) comesBack(copied *model.Store) {
	doc, _ := get[lead.EraDoc](w, store.Era)
	w.etcd = fmt.Sprintf("%s%d", firstEtcd, doc.Era+1)
	if w.bug(believeRestored) {
		w.store.Restore(copied, 0)
		w.put(store.Era, lead.EraDoc{Era: doc.Era, EtcdClusterID: firstEtcd})
		w.etcd = firstEtcd
		w.readAgain()
	} else {
		w.store.Restore(copied, raisedBy)
		w.put(store.Era, lead.EraDoc{Era: doc.Era + 1, EtcdClusterID: w.etcd, Recovered: &incident.Recovery{By: "ana", From: "copy", Rev: w.store.Rev()}})
	}
	w.note("the store is back at %d, etcd %s", w.store.Rev(), w.etcd)
	w.remember()
	w.dirty()
}

// acknowledge is a person's word that the recovered store may be acted upon. The
// policy that stood is applied again first: the copy's may be an older one.
func (w *world) acknowledge() {
	doc, _ := get[lead.EraDoc](w, store.Era)
	if !doc.Recovered.Waits() {
		return
	}
	w.note("era %d is acknowledged", doc.Era)
	r := *doc.Recovered
	r.Acknowledged = &incident.Acknowledgement{By: "bo"}
	doc.Recovered = &r
	w.put(store.Policy, w.policy)
	w.put(store.Era, doc)
}

// waits tells whether nobody is to act before a person has spoken.
func (w *world) waits() bool {
	if w.o.Recovery == nil {
		return false
	}
	doc, _ := get[lead.EraDoc](w, store.Era)
	return doc.Recovered.Waits()
}

// remember has the checkers go by what the store says now: what it forgot is lost
// for them too. What was done in the world is not.
func (w *world) remember() {
	w.archive, w.phases = map[string][]byte{}, map[string]incident.Phase{}
	kvs, _ := w.store.List(store.Archive)
	for _, kv := range kvs {
		w.archive[strings.TrimPrefix(kv.Key, store.Archive)] = kv.Value
	}
	w.stands, w.aborted, w.raised = map[string]stepped{}, map[string]bool{}, map[cluster.Name]isolate.Fence{}
	for _, r := range w.open() {
		w.phases[r.ID] = r.Phase
		w.standsWritten(r)
	}
	fences, _ := w.store.List(store.Fences)
	for _, kv := range fences {
		name := cluster.Name(strings.TrimPrefix(kv.Key, store.Fences))
		w.raised[name], _ = get[isolate.Fence](w, kv.Key)
	}
	w.pausesStand()
	for _, m := range w.pool() {
		w.wants[m] = w.balancer.says[m]
	}
}

// forgottenOut tells whether a member may have stood out of its pool when the store was
// brought back that knew nothing of it, and its incident is opened yet.
func (w *world) forgottenOut(m cluster.Name) bool {
	n := w.byName[m]
	return w.o.Recovery != nil && (n.unrepaired || !n.answers())
}

// readAgain is the bug: agents take a store that was put back for their own, and
// read it as after a time without it.
func (w *world) readAgain() {
	for _, n := range w.nodes {
		n.agent.watch, n.agent.whole = model.Watch{}, false
		n.agent.state.Forget(n.agent.now(), n.wall())
	}
}

// goesOver follows another store than the one that this host knows, if the real
// rule says so. What it knows stands on its disk.
func (a *agent) goesOver() {
	n := a.n
	if n.etcd == a.w.etcd || a.w.journal.away || !a.w.talks(n.name, storeAt) {
		return
	}
	kv, _ := a.w.store.Get(store.Era)
	sight := store.Sight{EtcdCluster: a.w.etcd, Rev: a.w.store.Rev(), Era: kv.Value}
	over, why := lead.Follow(lead.Known{EtcdCluster: n.etcd, Rev: 0, Era: n.era}, sight)
	if !over {
		a.w.note("%s does not follow: %s", a.id, why)
		return
	}
	var doc lead.EraDoc
	if json.Unmarshal(kv.Value, &doc) != nil {
		return
	}
	a.w.note("%s goes over to era %d", a.id, doc.Era)
	n.etcd, n.era = a.w.etcd, doc.Era
	a.state.Forget(a.now(), n.wall())
	a.watch, a.whole = model.Watch{}, false
	a.self, a.fences, a.pool = selfTold{}, map[cluster.Name]fenceTold{}, poolTold{}
	if a.term {
		a.term = false
		a.turn(lead.Lost{})
	}
}

// settledAs names an effect among those that were done: names come again in a
// store that was brought back, and mean something else there.
func settledAs(o incident.Order) string {
	if o.Era <= 1 {
		return o.ID
	}
	return fmt.Sprintf("%d/%s", o.Era, o.ID)
}
