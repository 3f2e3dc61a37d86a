// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/internal/store"
)

func TestAStoreThatIsDoubtedIsNotObeyed(t *testing.T) {
	const fence = `{"node":"n3","host_id":"id-n3","levels":["clients","reads"],"start":"hibernate","incident":"inc-dc1-9"}`
	rows := []struct {
		why        string
		key, value string
		restarts   bool
		code       string
	}{
		{"a copy of another store, restored while the agents were away", store.Era, `{"era":1,"etcd_cluster_id":"c0"}`, true, "STORE_WENT_BACK"},
		{"a store of an earlier era, found by agents that come back", store.Era, `{"era":0,"etcd_cluster_id":"c1"}`, true, "STORE_WENT_BACK"},
		{"a level of a later program, found by agents that come back", store.Level, `2`, true, "STORE_NO_QUORUM"},
		{"a level of a later program, raised while the agents run", store.Level, `2`, false, "STORE_NO_QUORUM"},
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
				r.store.put(row.key, []byte(row.value))
				r.store.put(store.Fence("n3"), []byte(fence))
				if row.restarts {
					for _, n := range names {
						r.start(n)
					}
				}
				for _, n := range names {
					r.host(n).shows(row.code)
				}
				written := len(r.store.list(store.Logs))
				r.crash("n3")
				time.Sleep(2 * time.Minute)
				r.quiet()
				r.obeysNothing("n3")
				if n := len(r.store.list(store.Logs)); n != written {
					t.Errorf("%d events were written", n-written)
				}
				if n := len(r.store.list(store.Leaders)); n != 0 {
					t.Errorf("%d candidates stand in the way of those who can read the store", n)
				}
			})
		})
	}
}

func TestWhatIsKnownOfTheStoreIsKept(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		disk := r.nodes["n1"].disk
		kept := func() Horizon {
			h, err := disk.Horizon()
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		r.wait("a horizon on the disk", 2*horizonEvery, func() bool { return kept().Rev > 0 })
		if h := kept(); h.EtcdCluster != "c1" || h.Era != 1 {
			t.Errorf("kept: %+v", h)
		}
		before := kept()
		r.store.put(store.Agent("x"), []byte(`{}`))
		time.Sleep(time.Second)
		if kept() != before {
			t.Error("it is written more often than is meant")
		}
		r.halt("n1", true)
		if h := kept(); h.Rev <= before.Rev {
			t.Errorf("a stop left revision %d, had %d", h.Rev, before.Rev)
		}
	})
}

func TestAHorizonThatCannotBeReadIsNone(t *testing.T) {
	for why, text := range map[string]string{"torn": `{"schema":1,`, "of a later version": `{"schema":2,"revision":7}`} {
		t.Run(why, func(t *testing.T) {
			dir := t.TempDir()
			disk, err := NewDisk(dir)
			if err != nil {
				t.Fatal(err)
			}
			if h, err := disk.Horizon(); err != nil || h != (Horizon{}) {
				t.Errorf("before there is one: %+v, %v", h, err)
			}
			if err := os.WriteFile(filepath.Join(dir, horizonFile), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if h, err := disk.Horizon(); err == nil {
				t.Errorf("read as %+v", h)
			}
		})
	}
}
