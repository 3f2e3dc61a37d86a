// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"strings"
	"testing"

	"supervisor/internal/store"
)

func TestAStoreIsDoubted(t *testing.T) {
	put := func(key, value string) store.KV { return store.KV{Key: key, Value: []byte(value), Mod: 7, Create: 7} }
	rows := []struct {
		why  string
		kv   store.KV
		want string // empty: believed
	}{
		{"its own era", put(store.Era, `{"era":3,"etcd_cluster_id":"c1"}`), ""},
		{"a later era", put(store.Era, `{"era":4,"etcd_cluster_id":"c1"}`), ""},
		{"an era before the one that was seen", put(store.Era, `{"era":2,"etcd_cluster_id":"c1"}`), "older store"},
		{"an era that was written in another etcd", put(store.Era, `{"era":3,"etcd_cluster_id":"c2"}`), "copy of another store"},
		{"an era of a later form", put(store.Era, `{"era":3,"etcd_cluster_id":"c1","more":1}`), "cannot be read"},
		{"its own level", put(store.Level, `1`), ""},
		{"a level above what this program knows", put(store.Level, `2`), "later version"},
		{"a level of a later form", put(store.Level, `{"level":1}`), "cannot be read"},
		{"a deletion says nothing", store.KV{Key: store.Level}, ""},
		{"other keys say nothing", put(store.Policy, `{`), ""},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			got, back := Doubt(store.Batch{KVs: []store.KV{r.kv}}, "c1", 3)
			if got == "" != (r.want == "") || !strings.Contains(got, r.want) {
				t.Errorf("doubt %q, want %q", got, r.want)
			}
			if want := strings.Contains(got, "store"); back != want {
				t.Errorf("another store: %v, want %v", back, want)
			}
		})
	}
}

// A doubt stands until the whole store was read again, and that is done when what
// it is about has changed.
func TestADoubtStandsUntilTheWholeIsRead(t *testing.T) {
	level := func(value string) store.KV {
		return store.KV{Key: store.Level, Value: []byte(value), Mod: 7, Create: 7}
	}
	other := store.KV{Key: store.Policy, Value: []byte(`{}`), Mod: 8}
	rows := []struct {
		why            string
		before         Belief
		piece          store.Batch
		doubts, relist bool
	}{
		{"nothing speaks against it", Belief{}, store.Batch{KVs: []store.KV{level("1"), other}}, false, false},
		{"a later level", Belief{}, store.Batch{KVs: []store.KV{other, level("2")}}, true, false},
		{"it is still read as such", Belief{Doubt: "x"}, store.Batch{KVs: []store.KV{level("2")}, Whole: true}, true, false},
		{"something else changed", Belief{Doubt: "x"}, store.Batch{KVs: []store.KV{other}}, true, false},
		{"the level changed back, and what came meanwhile was not taken in", Belief{Doubt: "x"}, store.Batch{KVs: []store.KV{level("1")}}, true, true},
		{"all of it was read", Belief{Doubt: "x"}, store.Batch{KVs: []store.KV{level("1")}, Whole: true}, false, false},
	}
	for _, r := range rows {
		now, relist := r.before.Read(r.piece, Known{EtcdCluster: "c1", Era: 1})
		if (now.Doubt != "") != r.doubts || relist != r.relist {
			t.Errorf("%s: %+v, read anew %v", r.why, now, relist)
		}
	}
	era := store.KV{Key: store.Era, Value: []byte(`{"era":1,"etcd_cluster_id":"c2"}`), Mod: 7}
	if now, _ := (Belief{}).Read(store.Batch{KVs: []store.KV{era}}, Known{EtcdCluster: "c1", Era: 1}); !now.Back {
		t.Errorf("a copy of another store: %+v", now)
	}
}
