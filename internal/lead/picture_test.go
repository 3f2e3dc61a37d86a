// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"testing"

	"supervisor/cluster"
	"supervisor/internal/store"
)

// open is the node's open incident at a revision; Mod 0 deletes it.
func open(id string, mod int64) store.KV {
	return store.KV{Key: store.Open("n3"), Value: []byte(`"` + id + `"`), Mod: mod, Create: mod}
}

func TestOfEachKeyTheYoungestChangeStands(t *testing.T) {
	gone := store.KV{Key: store.Open("n3")}
	rows := []struct {
		why     string
		batches []store.Batch
		want    string
	}{
		{"closed and opened again within one batch", []store.Batch{{Rev: 4, KVs: []store.KV{open("a", 4)}},
			{Rev: 6, KVs: []store.KV{gone, open("b", 6)}}}, "b"},
		{"opened and closed again within one batch", []store.Batch{{Rev: 6, KVs: []store.KV{open("a", 5), gone}}}, ""},
		{"a watch behind a whole reading brings back nothing that was deleted before it",
			[]store.Batch{{Rev: 9, Whole: true}, {Rev: 5, KVs: []store.KV{open("a", 5)}}}, ""},
		{"nor does it delete what was opened again before it",
			[]store.Batch{{Rev: 9, Whole: true, KVs: []store.KV{open("b", 8)}}, {Rev: 6, KVs: []store.KV{gone}}}, "b"},
		{"what comes after a whole reading counts",
			[]store.Batch{{Rev: 9, Whole: true}, {Rev: 10, KVs: []store.KV{open("c", 10)}}}, "c"},
		{"the own commit was seen before the watch tells of the deletion that it followed",
			[]store.Batch{{Rev: 4, KVs: []store.KV{open("a", 4)}}, {Rev: 6, KVs: []store.KV{open("b", 6)}}, {Rev: 6, KVs: []store.KV{gone, open("b", 6)}}}, "b"},
		{"an older reading of the whole is left out",
			[]store.Batch{{Rev: 9, Whole: true, KVs: []store.KV{open("b", 8)}}, {Rev: 7, Whole: true}}, "b"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			p := NewPicture()
			for _, b := range r.batches {
				p.Apply(b)
			}
			if got := p.Opens[cluster.Name("n3")].Value; got != r.want {
				t.Errorf("open is %q, want %q", got, r.want)
			}
		})
	}
}
