// SPDX-License-Identifier: Apache-2.0

package kills

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"supervisor/cluster"
	"supervisor/incident"
)

// Row is one death, or stop: where, whose, and what became of the incident.
type Row struct {
	Story   string
	Point   int
	At      Moment
	Deed    Deed
	Victim  cluster.Name
	Gone    cluster.Name  // the leader whose agent was killed or stopped; empty: the moment did not come again
	Store   cluster.Name  // who carried the store's leader in that moment
	Too     cluster.Name  // another agent that went in the same moment
	Heir    time.Duration // from then until another one's seat was the first
	Word    time.Duration // until the heir's first entry in the journal; 0: there was nothing to write
	Back    time.Duration // until the agent was there again
	BackAt  Moment        // where the record stood then
	Late    bool          // it woke up before what it was to wait for: that took too long
	Outcome string
	Rule    incident.Rule // that held the incident until a person had it tried again; empty: nothing did
	Serving time.Duration // from the fault until all nodes served and nothing was open
	Stale   int           // live reads at ONE, and rows of the audit, that were old
	Audited int           // rows of the audit
	Lost    int           // acknowledged writes that a quorum does not show
	Starts  int           // of the victim's Cassandra
	Twice   []string
	Strays  []Stray // entries of the journal by who did not lead
	Refused int     // commits of the old term that the store turned away
	Unaware bool    // the woken agent did not say that it leads no more
}

// heirMax is very generous: how long it took is told in the table, and depends on
// the machine.
const heirMax = time.Minute

// Faults tells what is not as it has to be; none is what is wanted.
func (r Row) Faults() []string {
	faults := slices.Clone(r.Twice)
	for _, s := range r.Strays {
		faults = append(faults, s.String())
	}
	if r.Unaware {
		faults = append(faults, fmt.Sprintf("%s woke up and did not see that it leads no more", r.Gone))
	}
	if r.Outcome != incident.Closed.String() {
		faults = append(faults, "it ended "+r.Outcome)
	}
	if r.Stale != 0 || r.Lost != 0 {
		faults = append(faults, fmt.Sprintf("%d stale reads, %d writes lost", r.Stale, r.Lost))
	}
	if r.Audited == 0 {
		faults = append(faults, "no row was audited")
	}
	if r.Heir > heirMax {
		faults = append(faults, fmt.Sprintf("nobody led for %s", r.Heir))
	}
	return faults
}

// head names the columns; the leader was killed or stopped.
func head(done string) []string {
	return []string{"story", "point", "phase/step of the record", "victim", "leader " + done, "store's leader", "heir seated s", "first word s",
		"back s", "back at", "outcome", "serving s", "stale", "lost", "starts", "twice", "strays", "refused"}
}

func (r Row) cells() []string {
	gone, at, back := "–", string(r.Store), "–"
	if r.Gone != "" {
		gone, back = string(r.Gone), r.BackAt.String()
	}
	switch {
	case r.Too != "":
		at += ", " + r.Deed.done() + " too"
	case at == "":
		at = "–"
	}
	if r.Late {
		back += " (late)"
	}
	outcome := r.Outcome
	if r.Rule != "" {
		outcome = fmt.Sprintf("held (%s), %s", r.Rule, outcome)
	}
	return []string{r.Story, fmt.Sprint(r.Point), r.At.String(), string(r.Victim), gone, at, seconds(r.Heir), seconds(r.Word),
		seconds(r.Back), back, outcome, seconds(r.Serving), fmt.Sprint(r.Stale), fmt.Sprint(r.Lost), fmt.Sprint(r.Starts),
		fmt.Sprint(len(r.Twice)), fmt.Sprint(len(r.Strays)), fmt.Sprint(r.Refused)}
}

func seconds(d time.Duration) string {
	if d <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", d.Seconds())
}

// Table draws rows so that they line up, which is Markdown too.
func Table(rows []Row) string {
	done := Deed{}.done()
	if len(rows) > 0 {
		done = rows[0].Deed.done()
	}
	lines := [][]string{head(done)}
	for _, r := range rows {
		lines = append(lines, r.cells())
	}
	width := make([]int, len(lines[0]))
	for _, cells := range lines {
		for i, c := range cells {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for n, cells := range lines {
		write(&b, cells, width)
		if n == 0 {
			rule := make([]string, len(width))
			for i, w := range width {
				rule[i] = strings.Repeat("-", w)
			}
			write(&b, rule, width)
		}
	}
	return b.String()
}

func write(b *strings.Builder, cells []string, width []int) {
	for i, c := range cells {
		fmt.Fprintf(b, "| %s%s ", c, strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)))
	}
	b.WriteString("|\n")
}

// Longest is the longest time until an heir was seated, and until its first
// word, where the store kept two members, and where it did not.
func Longest(rows []Row) (heir, word, bereft time.Duration) {
	for _, r := range rows {
		if r.Too != "" {
			bereft = max(bereft, r.Heir)
			continue
		}
		heir, word = max(heir, r.Heir), max(word, r.Word)
	}
	return heir, word, bereft
}

// Enter puts a table between the marks of its name in a document; one without
// marks is replaced by the table between them.
func Enter(doc, name, table string) string {
	begin, end := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->\n"
	before, rest, marked := strings.Cut(doc, begin)
	_, after, ended := strings.Cut(rest, end)
	if !marked || !ended {
		before, after = "", ""
	}
	return before + begin + table + end + after
}
