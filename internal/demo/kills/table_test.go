// SPDX-License-Identifier: Apache-2.0

package kills

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"supervisor/incident"
)

func TestTableLinesUp(t *testing.T) {
	rows := []Row{
		{Story: "crash", Point: 4, At: Moment{incident.Returning, "starting", "start"}, Victim: "n3", Killed: "n1",
			Heir: 6500 * time.Millisecond, Word: 9 * time.Second, Outcome: "closed", Serving: 62 * time.Second, Starts: 1},
		{Story: "crash", Point: 12, At: Over, Victim: "n3", Outcome: "closed", Serving: 60 * time.Second, Starts: 1, Twice: []string{"one"}},
	}
	lines := strings.Split(strings.TrimSpace(Table(rows)), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines, want head, rule and two rows", len(lines))
	}
	for _, l := range lines {
		if utf8.RuneCountInString(l) != utf8.RuneCountInString(lines[0]) {
			t.Errorf("a line of another length:\n%s", strings.Join(lines, "\n"))
		}
	}
	for _, want := range []string{"returning/starting, start pending", "6.5", "9.0", "62.0"} {
		if !strings.Contains(lines[2], want) {
			t.Errorf("%q lacks %q", lines[2], want)
		}
	}
	if heir, word := Longest(rows); heir != 6500*time.Millisecond || word != 9*time.Second {
		t.Errorf("longest %s and %s", heir, word)
	}
}

// Each row is a sound one with one thing that must not be.
func TestEachFaultIsNamed(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(*Row)
		want  string
	}{
		{"a sound one", func(*Row) {}, ""},
		{"left open", func(r *Row) { r.Outcome = "held" }, "it ended held"},
		{"a stale read", func(r *Row) { r.Stale = 1 }, "1 stale reads, 0 writes lost"},
		{"a lost write", func(r *Row) { r.Lost = 2 }, "0 stale reads, 2 writes lost"},
		{"nothing was looked at", func(r *Row) { r.Audited = 0 }, "no row was audited"},
		{"an effect done twice", func(r *Row) { r.Twice = []string{"i.4.1 twice"} }, "i.4.1 twice"},
		{"the last moment is still in time", func(r *Row) { r.Heir = heirMax }, ""},
		{"nobody led", func(r *Row) { r.Heir = heirMax + 1 }, "nobody led for 1m0.000000001s"},
	} {
		r := Row{Outcome: "closed", Audited: 600, Heir: 7 * time.Second}
		row.spoil(&r)
		if got := strings.Join(r.Faults(), "; "); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestTableIsEnteredBetweenTheMarks(t *testing.T) {
	doc := "# kills\n\n" + begin + "old\n" + end + "\nafter\n"
	if got, want := Enter(doc, "new\n"), strings.Replace(doc, "old", "new", 1); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Enter("", "new\n"); got != begin+"new\n"+end {
		t.Errorf("%q of an empty document", got)
	}
}
