// SPDX-License-Identifier: Apache-2.0

package kills

import (
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"supervisor/incident"
)

func TestTableLinesUp(t *testing.T) {
	rows := []Row{
		{Story: "crash", Point: 4, At: Moment{incident.Returning, "starting", "start"}, Victim: "n3", Gone: "n1", Store: "n2", Too: "n2",
			Deed: Deed{Signal: syscall.SIGSTOP}, BackAt: Over, Heir: 6500 * time.Millisecond, Word: 9 * time.Second, Outcome: "closed", Serving: 62 * time.Second, Starts: 1},
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
	if !strings.Contains(lines[0], "leader stopped") {
		t.Errorf("%q, want it to say what was done", lines[0])
	}
	for _, want := range []string{"returning/starting, start pending", "6.5", "9.0", "62.0", "n2, stopped too"} {
		if !strings.Contains(lines[2], want) {
			t.Errorf("%q lacks %q", lines[2], want)
		}
	}
}

// Who waits for the store's second member is not slow.
func TestLongestKeepsApartWhoHadNoStore(t *testing.T) {
	heir, word, bereft := Longest([]Row{{Heir: 7 * time.Second, Word: 9 * time.Second}, {Heir: 8 * time.Second}, {Heir: 20 * time.Second, Too: "n2"}})
	if heir != 8*time.Second || word != 9*time.Second || bereft != 20*time.Second {
		t.Errorf("longest %s, %s and %s", heir, word, bereft)
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
		{"an entry of a term that was over", func(r *Row) { r.Strays = []Stray{{Entry: "dc1-4", By: "n1", Led: "n2"}} }, "dc1-4 was written by n1 while n2 led"},
		{"it still believes that it leads", func(r *Row) { r.Unaware = true }, "n1 woke up and did not see that it leads no more"},
		{"held with a rule until somebody had it tried again", func(r *Row) { r.Rule = incident.RuleReach }, ""},
		{"the last moment is still in time", func(r *Row) { r.Heir = heirMax }, ""},
		{"nobody led", func(r *Row) { r.Heir = heirMax + 1 }, "nobody led for 1m0.000000001s"},
	} {
		r := Row{Gone: "n1", Outcome: "closed", Audited: 600, Heir: 7 * time.Second}
		row.spoil(&r)
		if got := strings.Join(r.Faults(), "; "); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestTableIsEnteredBetweenItsMarks(t *testing.T) {
	doc := "# kills\n\n<!-- kills:begin -->\nold\n<!-- kills:end -->\n\nafter\n<!-- stops:begin -->\nother\n<!-- stops:end -->\n"
	if got, want := Enter(doc, "kills", "new\n"), strings.Replace(doc, "old", "new", 1); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := Enter(doc, "stops", "new\n"), strings.Replace(doc, "other", "new", 1); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Enter("", "stops", "new\n"); got != "<!-- stops:begin -->\nnew\n<!-- stops:end -->\n" {
		t.Errorf("%q of an empty document", got)
	}
}
