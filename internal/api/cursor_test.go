// SPDX-License-Identifier: Apache-2.0

package api

import (
	"strings"
	"testing"

	"supervisor/cluster"
	"supervisor/incident"
)

func entryOf(dc, id string) incident.Entry {
	return incident.Entry{ID: id, Subject: incident.Subject{Datacenter: cluster.Datacenter(dc)}}
}

func TestCursor(t *testing.T) {
	for _, tt := range []struct{ why, text, want string }{
		{"one datacenter", "fra-42", "fra-42"},
		{"two, in any order", "iad-7,fra-42", "fra-42,iad-7"},
		{"a datacenter with a dash and a comma in its name", "eu%2Cwest-1-42", "eu%2Cwest-1-42"},
		{"nothing", "", ""},
		{"what cannot be read is left out, so the reader gets all of it", "fra-x,iad-7,-,nonsense", "iad-7"},
	} {
		if got := parseCursor(tt.text).String(); got != tt.want {
			t.Errorf("%s: %q is %q, want %q", tt.why, tt.text, got, tt.want)
		}
	}
}

func TestCursorFollowsEveryDatacenter(t *testing.T) {
	log := []incident.Entry{entryOf("fra", "fra-5"), entryOf("fra", "fra-6"), entryOf("iad", "iad-1")}
	c := parseCursor("fra-5")
	text := c.write(log)
	if strings.Count(text, "data: ") != 2 || !strings.Contains(text, "id: fra-6\n") || !strings.Contains(text, "id: fra-6,iad-1\n") || strings.Contains(text, "gap") {
		t.Errorf("news after fra-5:\n%s", text)
	}
	if again := c.write(log); again != "" {
		t.Errorf("told twice:\n%s", again)
	}
	c.now(append(log, entryOf("iad", "iad-9")))
	if c.String() != "fra-6,iad-9" {
		t.Errorf("at the end: %s", c)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("fra-42,iad-7")
	f.Add("a%2-1,,--")
	f.Fuzz(func(t *testing.T, text string) {
		c := parseCursor(text)
		if again := parseCursor(c.String()); again.String() != c.String() {
			t.Errorf("%q: %q read again is %q", text, c, again)
		}
	})
}

func FuzzDistance(f *testing.F) {
	f.Add("n33", "n3")
	f.Add("", strings.Repeat("x", 300))
	f.Fuzz(func(t *testing.T, a, b string) {
		if d := distance(a, b); d < 0 || d > 64 || d != distance(b, a) || (a == b) && d != 0 {
			t.Errorf("distance of %q and %q is %d", a, b, d)
		}
	})
}
