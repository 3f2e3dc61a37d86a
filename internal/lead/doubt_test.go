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
