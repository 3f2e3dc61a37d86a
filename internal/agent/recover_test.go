// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/internal/store/model"
	"supervisor/isolate"
)

// copyOf is a backup of the region's store.
func (r *region) copyOf() *model.Store {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return r.store.m.Copy()
}

// restore brings the store back from a copy, as another etcd cluster whose era
// names the given one.
func (r *region) restore(from *model.Store, etcd string, doc lead.EraDoc) {
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.sessions {
		x.end()
	}
	s.m.Restore(from, 1_000_000)
	s.cluster = etcd
	if doc.Recovered != nil {
		doc.Recovered.Rev = s.m.Rev()
	}
	b, err := json.Marshal(doc)
	if err == nil {
		_, err = s.m.Commit(0, store.Txn{Put: []store.Put{{Key: store.Era, Value: b}}})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	s.touch()
}

func recovered() lead.EraDoc {
	return lead.EraDoc{Era: 2, EtcdClusterID: "c2", Recovered: &incident.Recovery{By: "ana", Why: "disks", From: "backup", At: time.Now()}}
}

// acknowledge is a person's word about the recovered store.
func (r *region) acknowledge() {
	kv, _ := r.store.get(store.Era)
	var doc lead.EraDoc
	if err := json.Unmarshal(kv.Value, &doc); err != nil {
		r.t.Fatal(err)
	}
	doc.Recovered.Acknowledged = &incident.Acknowledgement{By: "bo", Why: "looked", At: time.Now()}
	b, err := json.Marshal(doc)
	if err != nil {
		r.t.Fatal(err)
	}
	r.store.put(store.Era, b)
}

// returning waits until n3 is being repaired behind its fence.
func (r *region) returning() {
	r.wait("a repair of n3", 5*time.Minute, func() bool {
		rec, open := r.open()
		return open && rec.Return != nil && rec.Return.Step == incident.Repairing
	})
}

func TestARecoveredStoreIsFollowedAndActedUponWhenAcknowledged(t *testing.T) {
	for why, during := range map[string]bool{"the copy does not know the incident": false, "the copy was taken in the middle of it": true} {
		t.Run(why, func(t *testing.T) {
			inRegion(t, incident.Auto, func(r *region) {
				copied := r.copyOf()
				r.crash("n3")
				r.returning()
				if during {
					copied = r.copyOf()
					time.Sleep(3 * time.Second)
				}
				r.restore(copied, "c2", recovered())
				for _, n := range names {
					r.wait("the finding at "+string(n), time.Minute, func() bool { return r.host(n).finds("STORE_UNACKNOWLEDGED") })
				}
				time.Sleep(20 * time.Second) // what was begun before ends
				before := r.touchedSoFar()
				time.Sleep(3 * time.Minute)
				if n := r.touchedSoFar(); n != before {
					t.Errorf("%d acts before it was acknowledged: %v", n-before, r.story)
				}
				if rec, open := r.open(); open && rec.HeldRule != incident.RuleEra && rec.Phase != incident.Suspected {
					t.Errorf("%s is %s by %s", rec.ID, rec.Phase, rec.HeldRule)
				}
				if ans, err := r.host("n3").agent.Gate(context.Background(), gateQuestion("n3")); err != nil || ans.Start == isolate.Normal {
					t.Errorf("the gate of a node in the middle of its return says %s (%s), %v", ans.Start, ans.Rule, err)
				}
				if h, err := r.nodes["n1"].disk.Horizon(); err != nil || h.EtcdCluster != "c2" || h.Era != 2 {
					t.Errorf("kept is %+v, %v", h, err)
				}
				r.acknowledge()
				r.wait("a whole return", 10*time.Minute, func() bool { return len(r.closed()) == 1 })
				r.wait("no finding about the store", time.Minute, func() bool {
					h := r.host("n2")
					return !h.finds("STORE_UNACKNOWLEDGED") && !h.finds("STORE_WENT_BACK") && !h.finds("STORE_NO_QUORUM")
				})
			})
		})
	}
}

func gateQuestion(n cluster.Name) api.GateQuestion { return api.GateQuestion{Node: n} }

func TestAnotherStoreIsNotFollowed(t *testing.T) {
	rows := []struct {
		why      string
		doc      lead.EraDoc
		restarts bool
		want     string
	}{
		{"a copy that nobody recovered", lead.EraDoc{Era: 1, EtcdClusterID: "c1"}, false, "copy of another store"},
		{"a copy that nobody recovered, found by agents that come back", lead.EraDoc{Era: 1, EtcdClusterID: "c1"}, true, "copy of another store"},
		{"another store of the same era", lead.EraDoc{Era: 1, EtcdClusterID: "c2"}, false, "both are in era 1"},
	}
	for _, row := range rows {
		t.Run(row.why, func(t *testing.T) {
			inRegion(t, incident.Auto, func(r *region) {
				time.Sleep(2 * horizonEvery)
				if row.restarts {
					for _, n := range names {
						r.halt(n, true)
					}
				}
				r.restore(r.copyOf(), "c2", row.doc)
				if row.restarts {
					for _, n := range names {
						r.start(n)
					}
				}
				for _, n := range names {
					r.host(n).shows("STORE_WENT_BACK")
				}
				if why := r.host("n1").snapshot().World.Store.Back; !strings.Contains(why, row.want) {
					t.Errorf("said is %q, want %q", why, row.want)
				}
				r.crash("n3")
				time.Sleep(time.Minute)
				r.obeysNothing("n3")
				r.restore(r.copyOf(), "c2", recovered())
				r.acknowledge()
				r.wait("a return when the era was raised", 10*time.Minute, func() bool { return len(r.closed()) == 1 })
			})
		})
	}
}
