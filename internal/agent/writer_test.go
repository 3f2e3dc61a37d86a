// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"

	"supervisor/cluster"
	"supervisor/internal/store"
	"supervisor/loadbalancer"
)

// A proxy obeys whoever speaks to it, so an agent with an old picture must not
// speak, and somebody else must.
func TestWhoHasNoStoreWritesNoPool(t *testing.T) {
	first := store.KV{Key: store.Agent("n1"), Value: []byte(`{"boot":"b1"}`), Mod: 3}
	rows := []struct {
		why     string
		writers []cluster.Name
		kvs     []store.KV
		unread  bool
		lost    string
		writes  bool
	}{
		{"the first writer with a store writes", []cluster.Name{"n3", "n1"}, nil, false, "", true},
		{"without an answer of the store it does not", []cluster.Name{"n3", "n1"}, nil, false, "silent", false},
		{"nor before the store was read", []cluster.Name{"n3", "n1"}, nil, true, "", false},
		{"the second leaves it to a first that has the store", []cluster.Name{"n1", "n3"}, []store.KV{first}, false, "", false},
		{"the second writes when the first has none", []cluster.Name{"n1", "n3"}, nil, false, "", true},
		{"who is not named never writes", []cluster.Name{"n1"}, nil, false, "", false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			d := desktop(t)
			d.state.Picture.Apply(store.Batch{Rev: 9, KVs: r.kvs, Whole: true})
			d.whole, d.state.Store.Lost = !r.unread, r.lost
			if got := d.writes(loadbalancer.Declared{Name: "web", Writers: r.writers}); got != r.writes {
				t.Errorf("writes: %v", got)
			}
		})
	}
}
