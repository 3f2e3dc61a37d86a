// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
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
			reached := int64(0)
			for i, b := range r.batches {
				if taken, want := p.Apply(b), !b.Whole || b.Rev >= reached; taken != want {
					t.Errorf("batch %d taken: %v, want %v", i, taken, want)
				}
				reached = p.Rev
			}
			if got := p.Opens[cluster.Name("n3")].Value; got != r.want {
				t.Errorf("open is %q, want %q", got, r.want)
			}
		})
	}
}

func TestTheNewestClosedIncidentsStayInMemory(t *testing.T) {
	closed := func(i int) store.KV {
		node := fmt.Sprintf("n%d", i%3+1)
		if i == 1 {
			node = "rare"
		}
		id := fmt.Sprintf("inc-dc1-%d", i)
		return store.KV{Key: store.Archived(id), Value: fmt.Appendf(nil, `{"schema":1,"id":%q,"node":%q}`, id, node), Mod: int64(i), Create: int64(i)}
	}
	const all = archiveKept + 50
	whole := store.Batch{Rev: all, Whole: true}
	for i := 1; i <= all; i++ {
		whole.KVs = append(whole.KVs, closed(i))
	}
	slices.SortFunc(whole.KVs, func(a, b store.KV) int { return strings.Compare(a.Key, b.Key) }) // as the store lists them
	one := NewPicture()
	for i := 1; i <= all; i++ {
		one.Apply(store.Batch{Rev: int64(i), KVs: []store.KV{closed(i)}})
	}
	once := NewPicture()
	once.Apply(whole)
	for why, p := range map[string]*Picture{"read whole": once, "one by one": one} {
		t.Run(why, func(t *testing.T) {
			if len(p.Archive) != archiveKept+1 {
				t.Errorf("%d are kept, want %d and the only one of a node", len(p.Archive), archiveKept)
			}
			for i, want := range map[int]bool{1: true, 2: false, 50: false, 51: true, all: true} {
				if _, kept := p.Archive[fmt.Sprintf("inc-dc1-%d", i)]; kept != want {
					t.Errorf("number %d is kept: %v", i, kept)
				}
			}
		})
	}
}

func TestAJournalOfALaterVersionIsStillAChain(t *testing.T) {
	first := []byte(`{"v":2,"id":"dc1-0","subject":{"datacenter":"dc1"},"a_later_part":1,"prev":""}`)
	sum := sha256.Sum256(first)
	for prev, broken := range map[string]bool{hex.EncodeToString(sum[:]): false, "another": true} {
		p := NewPicture()
		second := fmt.Appendf(nil, `{"v":1,"id":"dc1-1","subject":{"datacenter":"dc1"},"prev":%q}`, prev)
		p.Apply(store.Batch{Rev: 9, Whole: true, KVs: []store.KV{
			{Key: store.Log("dc1", 0), Value: first, Mod: 8, Create: 8}, {Key: store.Log("dc1", 1), Value: second, Mod: 9, Create: 9}}})
		if at, found := p.Chain["dc1"]; found != broken || found && at != 1 {
			t.Errorf("after %q: broken %v at %d", prev, found, at)
		}
	}
}
