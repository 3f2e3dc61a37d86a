// SPDX-License-Identifier: Apache-2.0

package kills

import (
	"encoding/json"
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/internal/store"
)

func entry(t *testing.T, n, rev int64, by string) store.KV {
	t.Helper()
	b, err := json.Marshal(incident.Entry{ID: "dc1-4", Code: "did_start", Actor: incident.Actor{Kind: "leader", Name: by}})
	if err != nil {
		t.Fatal(err)
	}
	return store.KV{Key: store.Log("dc1", n), Value: b, Mod: rev, Create: rev}
}

// The seats are those of each entry's revision: also inside one batch the old
// leader may write until its seat is gone, and not any more.
func TestWhoDidNotLeadIsNamed(t *testing.T) {
	gone := store.KV{Key: store.Leaders + "a"}
	for _, row := range []struct {
		name  string
		batch []store.KV
		want  string
	}{
		{"the old one, before its seat goes", []store.KV{entry(t, 1, 3, "n1"), gone, entry(t, 2, 5, "n2")}, ""},
		{"the old one, after that", []store.KV{gone, entry(t, 1, 4, "n1")}, "dc1-4 (did_start) was written by n1 while n2 led"},
		{"the heir, too early", []store.KV{entry(t, 1, 3, "n2"), gone}, "dc1-4 (did_start) was written by n2 while n1 led"},
		{"the old one, while nobody has a seat", []store.KV{gone, {Key: store.Leaders + "b"}, entry(t, 1, 5, "n1")}, "dc1-4 (did_start) was written by n1 while nobody led"},
	} {
		b := NewBook()
		b.take(store.Batch{Rev: 2, Whole: true, KVs: []store.KV{seat("a", 1, "n1"), seat("b", 2, "n2"), entry(t, 0, 2, "n9")}}, dawn)
		b.take(store.Batch{Rev: 5, KVs: row.batch}, dawn.Add(time.Second))
		got := ""
		for _, s := range b.Strays(dawn) {
			got += s.String()
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

// A watch that begins again shows no order of seats and entries: the old
// leader's come before the new one's, or they are strays.
func TestWhatAWatchMissedIsReadInItsOrder(t *testing.T) {
	for _, row := range []struct {
		name string
		kvs  []store.KV
		want int
	}{
		{"old, then new", []store.KV{entry(t, 2, 4, "n2"), entry(t, 1, 3, "n1")}, 0},
		{"only new", []store.KV{entry(t, 1, 3, "n2")}, 0},
		{"the old one after the new one", []store.KV{entry(t, 1, 3, "n2"), entry(t, 2, 4, "n1")}, 1},
		{"a third", []store.KV{entry(t, 1, 3, "n3")}, 1},
	} {
		b := NewBook()
		b.take(store.Batch{Rev: 2, KVs: []store.KV{seat("a", 1, "n1"), seat("b", 2, "n2")}}, dawn)
		b.take(store.Batch{Rev: 6, Whole: true, KVs: append(row.kvs, seat("b", 2, "n2"))}, dawn.Add(time.Second))
		if got := b.Strays(dawn); len(got) != row.want {
			t.Errorf("%s: %v, want %d", row.name, got, row.want)
		}
		if _, ok := b.Word("n1", dawn); !ok {
			t.Errorf("%s: no word of the heir", row.name)
		}
	}
}

func TestWokenTellsOfTheOldTermOnly(t *testing.T) {
	refused, over, new := `{"msg":"commit not written, reading everything anew"}`+"\n", `{"msg":"leads no more"}`+"\n", `{"msg":"leads the region"}`+"\n"
	for _, row := range []struct {
		log   string
		want  int
		knows bool
	}{
		{"", 0, false},
		{over, 0, true},
		{refused + over, 1, true},
		{over + refused, 1, true},
		{over + new + refused + over, 0, true},
		{new + over, 0, false},
	} {
		if n, knows := Woken(row.log); n != row.want || knows != row.knows {
			t.Errorf("%q: %d %t, want %d %t", row.log, n, knows, row.want, row.knows)
		}
	}
}
