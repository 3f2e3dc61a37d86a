// SPDX-License-Identifier: Apache-2.0

package lan

import (
	"testing"
	"time"
)

func TestWordsAreReadAsFarAsTheyAreWhole(t *testing.T) {
	words := parse([]byte(`{"at":"2026-11-28T01:00:00Z","node":"n1","alive":true}
panic: something else
{"at":"2026-11-28T01:00:01Z","node":"n3","alive":true}
{"at":"2026-11-28T01:00:05Z","node":"n3","alive":false}
{"at":"2026-11-28T01:00:09Z","node":"n3","alive":true}
{"at":"2026-11-28T01:00:20Z","node":"n3","alive":false}
{"at":"2026-11-28T01:0`))
	if len(words) != 5 {
		t.Fatalf("%d words, want the five whole ones", len(words))
	}
	at := func(second int) time.Time { return time.Date(2026, 11, 28, 1, 0, second, 0, time.UTC) }
	for why, row := range map[string]struct {
		node string
		from time.Time
		want time.Time
	}{
		"the first since then":            {"n3", at(2), at(5)},
		"the moment itself counts":        {"n3", at(5), at(5)},
		"an earlier death is not asked":   {"n3", at(6), at(20)},
		"one that never died":             {"n1", at(0), time.Time{}},
		"nobody has died since":           {"n3", at(21), time.Time{}},
		"a node that nobody has heard of": {"n9", at(0), time.Time{}},
	} {
		if got := Dead(words, row.node, row.from); !got.Equal(row.want) {
			t.Errorf("%s: got %v, want %v", why, got, row.want)
		}
	}
	for why, row := range map[string]struct{ of, want int }{
		"both are there":         {2, 2},
		"the last word is dead":  {3, 1},
		"back again, and it is":  {4, 2},
		"and dead once more":     {5, 1},
		"nobody has said a word": {0, 0},
	} {
		if got := Alive(words[:row.of]); got != row.want {
			t.Errorf("%s: %d are alive, want %d", why, got, row.want)
		}
	}
}
