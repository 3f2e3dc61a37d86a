// SPDX-License-Identifier: Apache-2.0

package kills

import (
	"encoding/json"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
)

var dawn = time.Unix(1_000_000, 0)

func record(t *testing.T, rev int64, r incident.Record) store.KV {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return store.KV{Key: store.Record(r.ID), Value: b, Mod: rev, Create: 1}
}

func seat(key string, create int64, name string) store.KV {
	return store.KV{Key: store.Leaders + key, Value: []byte(name), Mod: create, Create: create}
}

func TestMomentsAreToldOnceAndInOrder(t *testing.T) {
	b := NewBook()
	var told []string
	b.Arm(func(s Sight) { told = append(told, s.Moment.String()) })
	starting := incident.Record{ID: "i1", Node: "n3", Phase: incident.Returning, Return: &incident.Return{Step: incident.Starting},
		Pending: []incident.Effect{{ID: "i1.4.1", Once: &incident.Once{Verb: incident.VerbStart}}}}
	b.take(store.Batch{KVs: []store.KV{record(t, 5, incident.Record{ID: "i1", Node: "n3", Phase: incident.Suspected})}}, dawn)
	b.take(store.Batch{KVs: []store.KV{record(t, 6, starting)}}, dawn)
	starting.Waits = "hibernation" // nothing that an heir would do otherwise
	b.take(store.Batch{KVs: []store.KV{record(t, 7, starting)}}, dawn)
	b.take(store.Batch{KVs: []store.KV{{Key: store.Record("i1")}}}, dawn)
	want := []string{"suspected", "returning/starting, start pending", "closed"}
	if len(told) != len(want) {
		t.Fatalf("%q, want %q", told, want)
	}
	for i := range want {
		if told[i] != want[i] {
			t.Errorf("%q, want %q", told, want)
		}
	}
}

// A watch that had to begin again is given everything that stands: what does
// not is over.
func TestWholeBatchEndsWhatIsNotInIt(t *testing.T) {
	b := NewBook()
	b.take(store.Batch{KVs: []store.KV{record(t, 5, incident.Record{ID: "i1", Node: "n3", Phase: incident.Suspected}), seat("a", 1, "n1"), seat("b", 2, "n2")}}, dawn)
	b.take(store.Batch{Whole: true, KVs: []store.KV{seat("b", 2, "n2")}}, dawn.Add(time.Second))
	if s := b.Sights("n3", dawn); len(s) != 2 || s[1].Moment != Over {
		t.Errorf("%+v, want it over", s)
	}
	if got := b.Leader(); got != "n2" {
		t.Errorf("%s leads, want n2", got)
	}
}

// The oldest seat leads, also when another one was taken meanwhile.
func TestHeirIsAnotherOne(t *testing.T) {
	b := NewBook()
	b.take(store.Batch{KVs: []store.KV{seat("a", 1, "n1"), seat("b", 2, "n2")}}, dawn)
	killed := dawn.Add(time.Second)
	if _, ok := b.Heir("n1", killed); ok {
		t.Error("an heir while the dead one's seat stands")
	}
	b.take(store.Batch{KVs: []store.KV{{Key: store.Leaders + "a"}, seat("c", 9, "n1")}}, dawn.Add(7*time.Second))
	heir, ok := b.Heir("n1", killed)
	if !ok || heir.Name != cluster.Name("n2") || heir.At.Sub(killed) != 6*time.Second {
		t.Errorf("%+v %t, want n2 after 6 s", heir, ok)
	}
	b.take(store.Batch{KVs: []store.KV{entry(t, 4, 10, "n2")}}, dawn.Add(9*time.Second))
	if at, ok := b.Word("n1", heir.At); !ok || at.Sub(killed) != 8*time.Second {
		t.Errorf("first word at %v %t, want 8 s after the kill", at, ok)
	}
}

func TestLackingNamesWhatWasNotPassed(t *testing.T) {
	passed := []Moment{{Phase: incident.Draining}, {Phase: incident.Returning, Step: "starting"}, Over}
	got := Lacking(passed, []incident.Phase{incident.Draining, incident.Fencing}, []incident.ReturnStep{incident.Starting, incident.Reading})
	if len(got) != 2 || got[0] != "phase fencing" || got[1] != "step reading" {
		t.Errorf("%q, want the fence and the reading", got)
	}
}
