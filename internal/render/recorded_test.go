// SPDX-License-Identifier: Apache-2.0

package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"supervisor/incident"
	"supervisor/internal/api"
)

// Incidents of a real cluster, as an agent of that day told them. Whoever comes
// later still reads them, finds their chain whole, and says the same of them.
func TestRecordedIncidents(t *testing.T) {
	files, err := filepath.Glob("testdata/recorded/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded incident: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			e, err := api.Decode[api.Timeline](raw)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "recorded/"+name, Timeline(Page{Width: 100, Now: e.AsOf.Time}, retold(t, e)))
		})
	}
}

// retold makes the sentences anew from the codes and arguments that the journal
// keeps.
func retold(t *testing.T, e api.Envelope[api.Timeline]) api.Envelope[api.Timeline] {
	t.Helper()
	var entries []incident.Entry
	for i := range e.Data.Events {
		ev := &e.Data.Events[i]
		entries = append(entries, ev.Entry)
		if ev.Sentence = ev.Entry.Sentence(); strings.Contains(ev.Sentence, "{") {
			t.Errorf("%s: %q lacks an argument", ev.ID, ev.Sentence)
		}
	}
	if len(entries) == 0 {
		t.Fatal("nothing happened")
	}
	if i := incident.Chain(entries[0].Prev, entries); i >= 0 {
		t.Errorf("the chain breaks at %s", entries[i].ID)
	}
	return e
}
