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

// Row is one death: where, whose, and what became of the incident.
type Row struct {
	Story   string
	Point   int
	At      Moment
	Victim  cluster.Name
	Killed  cluster.Name  // the leader whose agent was killed; empty: the moment did not come again
	Heir    time.Duration // from the kill until another one's seat was the first
	Word    time.Duration // from the kill until the heir's first entry in the journal; 0: there was nothing to write
	Outcome string
	Serving time.Duration // from the fault until all nodes served and nothing was open
	Stale   int           // live reads at ONE, and rows of the audit, that were old
	Audited int           // rows of the audit
	Lost    int           // acknowledged writes that a quorum does not show
	Starts  int           // of the victim's Cassandra
	Twice   []string
}

// heirMax is very generous: how long it took is told in the table, and depends on
// the machine.
const heirMax = time.Minute

// Faults tells what is not as it has to be; none is what is wanted.
func (r Row) Faults() []string {
	faults := slices.Clone(r.Twice)
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

var head = []string{"story", "point", "phase/step of the record", "victim", "leader killed", "heir seated s", "first word s",
	"outcome", "serving s", "stale", "lost", "starts", "twice"}

func (r Row) cells() []string {
	killed := string(r.Killed)
	if killed == "" {
		killed = "–"
	}
	return []string{r.Story, fmt.Sprint(r.Point), r.At.String(), string(r.Victim), killed, seconds(r.Heir), seconds(r.Word),
		r.Outcome, seconds(r.Serving), fmt.Sprint(r.Stale), fmt.Sprint(r.Lost), fmt.Sprint(r.Starts), fmt.Sprint(len(r.Twice))}
}

func seconds(d time.Duration) string {
	if d <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", d.Seconds())
}

// Table draws rows so that they line up, which is Markdown too.
func Table(rows []Row) string {
	lines := [][]string{head}
	for _, r := range rows {
		lines = append(lines, r.cells())
	}
	width := make([]int, len(head))
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
// word.
func Longest(rows []Row) (heir, word time.Duration) {
	for _, r := range rows {
		heir, word = max(heir, r.Heir), max(word, r.Word)
	}
	return heir, word
}

// The marks between which a document holds a table.
const (
	begin = "<!-- kills:begin -->\n"
	end   = "<!-- kills:end -->\n"
)

// Enter puts a table between the marks of a document; one without marks is
// replaced by the table between them.
func Enter(doc, table string) string {
	before, rest, marked := strings.Cut(doc, begin)
	_, after, ended := strings.Cut(rest, end)
	if !marked || !ended {
		before, after = "", ""
	}
	return before + begin + table + end + after
}
