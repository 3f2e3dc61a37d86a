// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"time"

	"supervisor/internal/lead"
	"supervisor/internal/store"
)

// Writing is what somebody writes into the store with a client of their own, at a
// moment of the storm. No seed draws one.
type Writing struct {
	At         time.Duration
	Key, Value string
	// Alien tells that from then on the store is not to be believed, until the next
	// Writing.
	Alien bool
}

// writings plans what is written in this world.
func (w *world) writings() {
	for _, x := range w.o.Written {
		w.after(x.At, func() {
			w.note("somebody writes %s: %s", x.Key, x.Value)
			w.putRaw(x.Key, []byte(x.Value))
			w.journal.alien = false
			if x.Alien {
				w.after(landed, func() { w.journal.alien = true })
			}
		})
	}
}

// changed gives the leader's state a piece of the store, if the real doubt lets it
// be believed. Who doubts the store leads nobody.
func (a *agent) changed(b store.Batch) {
	known := lead.Known{EtcdCluster: a.w.etcd, Era: max(a.n.era, a.state.Picture.Era.Value.Era)}
	now, relist := a.belief.Read(b, known)
	if a.w.bug(credulous) {
		now = lead.Belief{}
	}
	if now.Doubt != "" && a.belief.Doubt == "" {
		a.w.note("%s does not believe the store: %s", a.id, now.Doubt)
	}
	a.belief = now
	if relist {
		a.relist()
	}
	switch {
	case now.Doubt == "":
		a.whole = a.whole || b.Whole
		a.turn(lead.Changed{Batch: b})
	case a.term:
		a.resign()
	}
}

// doubted are stories of a store that is not the one that is meant, or is written
// by a later program.
func doubted() []Scenario {
	era := func(number int, etcd string) string {
		return fmt.Sprintf(`{"era":%d,"etcd_cluster_id":%q}`, number, etcd)
	}
	return []Scenario{
		alien("store-later-program", "Feared: somebody tries a later program, which raises the level of what is written, and takes it back; a process ends meanwhile.",
			store.Level, "2", "1"),
		alien("store-copied", "Feared: a copy of the store is put in its place by hand, under an etcd that its era does not name; a process ends meanwhile.",
			store.Era, era(1, "elsewhere"), era(1, firstEtcd)),
		alien("store-older-era", "Feared: a copy of the store from before its era is put in its place by hand; a process ends meanwhile.",
			store.Era, era(0, firstEtcd), era(1, firstEtcd)),
	}
}

// alien is a node that is killed while for a minute a key says that the store is
// not to be believed.
func alien(name, story, key, strange, meant string) Scenario {
	o := small(1, 4*time.Minute, hit(20*second, "kill", 3))
	o.Written = []Writing{{At: 10 * second, Key: key, Value: strange, Alien: true}, {At: 70 * second, Key: key, Value: meant}}
	return Scenario{Name: name, Story: story, Options: o, Guard: "store-doubt",
		Remove: func(o *Options) { o.Bug = credulous }}.truths(nothingWithoutStore(), believedAgain(), allServe())
}

// believedAgain wants what happened meanwhile to be made good afterwards: who
// would go on doubting would leave everything as it is, and nothing would break.
func believedAgain() Truth {
	return Truth{Holds: "in the end an incident was closed", atEnd: true, fails: func(w *world) string {
		if len(w.archive) > 0 {
			return ""
		}
		return "none was"
	}}
}
