// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Row is one fault, over all its runs.
type Row struct {
	Fault         Fault
	With, Without int // halves in which the fault was given
	Verdict       Sample
	Drained       Sample
	Cassandra     Sample // the first peer
	CassandraAll  Sample
	HAProxy       Sample
	LAN           Sample // the first other member
	StoreLeader   int    // of With: the host carried the store's leader too
}

// Rows sorts halves by fault, in the order of the table. Of those that failed it takes
// what was measured.
func Rows(halves []Half) []Row {
	var rows []Row
	for _, f := range Faults() {
		r := Row{Fault: f}
		for _, h := range halves {
			if h.Fault == f && h.Given() {
				r.take(h)
			}
		}
		if r.With+r.Without > 0 {
			rows = append(rows, r)
		}
	}
	return rows
}

func (r *Row) take(h Half) {
	if !h.With {
		r.Without++
		r.Cassandra.Add(h.CassandraMS)
		r.CassandraAll.Add(h.CassandraAllMS)
		r.HAProxy.Add(h.HAProxyMS)
		r.LAN.Add(h.LANMS)
		return
	}
	r.With++
	r.Verdict.Add(h.VerdictMS)
	r.Drained.Add(h.DrainedMS)
	if h.StoreLeader {
		r.StoreLeader++
	}
}

// Faster is how many times sooner the node is drained than Cassandra's first peer
// calls it down, by the medians; least is true where Cassandra never did, so that it
// is at least so many. 0: cannot be told.
func (r Row) Faster() (times float64, least bool) {
	ours, drained := r.Drained.Median()
	if !drained || ours == 0 || r.Without == 0 {
		return 0, false
	}
	theirs, said := r.Cassandra.Median()
	if !said {
		theirs = lookMax.Milliseconds()
	}
	return float64(theirs) / float64(ours), !said
}

// Missed tells which goals were not reached; of a fault without goals none.
func (r Row) Missed() []string {
	var missed []string
	goal := traits[r.Fault]
	if worst, ok := r.Drained.P99(); goal.drained > 0 && r.With > 0 && (!ok || worst > goal.drained.Milliseconds()) {
		missed = append(missed, "drained "+words(worst, ok))
	}
	if times, _ := r.Faster(); goal.faster > 0 && r.With > 0 && r.Without > 0 && times < goal.faster {
		missed = append(missed, fmt.Sprintf("%.1f times", times))
	}
	return missed
}

func (r Row) goal() string {
	goal := traits[r.Fault]
	if goal.drained == 0 {
		return "none set"
	}
	aim := fmt.Sprintf("≤ %s", plain(goal.drained))
	if goal.faster > 0 {
		aim += fmt.Sprintf(", %.0f times", goal.faster)
	}
	switch missed := r.Missed(); {
	case r.With == 0:
		return aim
	case len(missed) > 0:
		return aim + ": **no**, " + strings.Join(missed, ", ")
	}
	return aim + ": yes"
}

// plain is a goal without needless digits.
func plain(d time.Duration) string { return fmt.Sprintf("%g s", d.Seconds()) }

func (r Row) cells() []string {
	return []string{r.words(), r.count(), both(r.Verdict), both(r.Drained), r.cassandra(), r.faster(), middle(r.HAProxy), r.lan(), r.goal()}
}

func (r Row) words() string {
	text := fmt.Sprintf("`%s`: %s", r.Fault, traits[r.Fault].words)
	if r.Fault == Leader && r.With > 0 {
		text += fmt.Sprintf(" (that led the store in %d of %d)", r.StoreLeader, r.With)
	}
	return text
}

// count is how often the fault was given in each half.
func (r Row) count() string {
	if r.With == r.Without {
		return fmt.Sprint(r.With)
	}
	return fmt.Sprintf("%d with us, %d without", r.With, r.Without)
}

func (r Row) cassandra() string {
	if r.Without == 0 {
		return "–"
	}
	first, said := r.Cassandra.Median()
	if !said {
		return notWithin()
	}
	return words(first, true) + ", all " + words(r.CassandraAll.Median())
}

func (r Row) faster() string {
	switch times, least := r.Faster(); {
	case times == 0:
		return "–"
	case least:
		return fmt.Sprintf("over %.0f", times)
	case times < 1:
		return fmt.Sprintf("%.2f", times)
	default:
		return fmt.Sprintf("%.1f", times)
	}
}

func (r Row) lan() string {
	if !traits[r.Fault].host {
		return "never"
	}
	return middle(r.LAN)
}

// both are median and 99th percentile.
func both(s Sample) string {
	if s.N() == 0 {
		return "–"
	}
	return words(s.Median()) + " / " + words(s.P99())
}

func middle(s Sample) string {
	if s.N() == 0 {
		return "–"
	}
	return words(s.Median())
}

var head = []string{"fault", "N", "our verdict, median / p99", "drained, median / p99", "Cassandra's own, first peer, all peers", "times faster",
	"HAProxy `tcp-check`", "memberlist alone", "goal for drained"}

// Table draws what was measured, as Markdown that lines up, with what has to be known
// to read it.
func Table(halves []Half) string {
	lines := [][]string{head}
	most := 0
	for _, r := range Rows(halves) {
		lines = append(lines, r.cells())
		most = max(most, r.With, r.Without)
	}
	var b strings.Builder
	draw(&b, lines)
	b.WriteString("\n" + when(halves) + "\n" + legend(most) + "\n")
	if failed := Failed(halves); len(failed) > 0 {
		fmt.Fprintf(&b, "\n**Not all went as it must: %d of %d halves failed.** What they measured before is counted.\n\n", len(failed), len(halves))
		for _, line := range failed {
			fmt.Fprintf(&b, "- %s\n", line)
		}
	}
	return b.String()
}

func draw(b *strings.Builder, lines [][]string) {
	width := make([]int, len(lines[0]))
	for _, cells := range lines {
		for i, c := range cells {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	rule := make([]string, len(width))
	for i, w := range width {
		rule[i] = strings.Repeat("-", w)
	}
	for _, cells := range slices.Insert(slices.Clone(lines), 1, rule) {
		for i, c := range cells {
			fmt.Fprintf(b, "| %s%s ", c, strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)))
		}
		b.WriteString("|\n")
	}
}

// when says on which days it was measured, and on how many cores.
func when(halves []Half) string {
	var days, cores []string
	for _, h := range halves {
		if h.Given() {
			days = append(days, strings.SplitN(h.At, "T", 2)[0])
			cores = append(cores, fmt.Sprint(h.Cores))
		}
	}
	if days == nil {
		return "No fault was given yet."
	}
	slices.Sort(days)
	slices.Sort(cores)
	if days = slices.Compact(days); len(days) > 2 {
		days = []string{days[0], days[len(days)-1]}
	}
	return fmt.Sprintf("Measured %s, three nodes with their agents, HAProxy and a light load on one machine of %s cores.",
		strings.Join(days, " to "), strings.Join(slices.Compact(cores), " and "))
}

// legend says what the columns are.
func legend(most int) string {
	p99 := "p99 is the worst of N while N is below 100."
	if most >= 100 {
		p99 = "p99 is the time that 99 of 100 are not above, and the worst where N is below 100."
	}
	return strings.Join([]string{
		"Times count from the fault. The verdict is the leader's, drained is what HAProxy says itself: no new session goes there.",
		p99,
		"The other three are medians of the halves in which the agents only look; Cassandra's is asked at the peers every 0.1 s, HAProxy checks with `inter 2s fall 3`, memberlist runs with `DefaultLANConfig`",
		fmt.Sprintf("and sees hosts, so never a Cassandra. \"%s\": had not happened when the fault was ended; it counts as later than all others.", notWithin()),
		"Times faster: Cassandra's first peer against our drain, by the medians.",
	}, "\n")
}

// Failed tells of every half that did not go as it must.
func Failed(halves []Half) []string {
	var lines []string
	for _, h := range halves {
		if h.Failed != "" {
			lines = append(lines, h.Slot.String()+": "+h.Failed)
		}
	}
	return lines
}

// String is a half in words.
func (s Slot) String() string {
	if s.With {
		return fmt.Sprintf("%s %d with us", s.Fault, s.Run)
	}
	return fmt.Sprintf("%s %d without us", s.Fault, s.Run)
}
