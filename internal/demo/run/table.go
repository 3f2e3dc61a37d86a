// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Columns of the table; a row's name is as wide as the longest one.
const (
	nameWidth = 30
	ownWidth  = 14
	cassWidth = 18
	haWidth   = 19
)

// Table is the result as people read it.
func (r Result) Table() string {
	d := r.Document()
	var b strings.Builder
	row := func(name, own, cassandra, haproxy string) {
		fmt.Fprintf(&b, "  %s%s%s%s\n", left(name, nameWidth), right(own, ownWidth), right(cassandra, cassWidth), right(haproxy, haWidth))
	}
	line := func(name, text string) { fmt.Fprintf(&b, "  %s%s\n", left(name, nameWidth+2), text) }
	row("", "supervisor", "Cassandra alone", "HAProxy tcp-check")
	row("knows", took(d.VerdictMS), notWithin(d.CassandraDownMS), notWithin(d.HAProxyDownMS))
	row("sends no new client there", took(d.DrainedMS), "-", notWithin(d.HAProxyDownMS))
	if d.FencedMS != nil {
		row("ended what hung, proven", took(d.FencedMS), "-", "-")
	}
	row("clean and serving again", took(d.ServingMS), "-", "-")
	row("closed, all given back", took(d.ClosedMS), "-", "-")
	line("old rows in the audit at ONE", fmt.Sprintf("%s of %s, without us %s of %s", known(d.AuditOld), known(d.AuditRows), grouped(d.AuditOldWithout), grouped(r.Alone.Audit.Rows)))
	line("stale live reads", fmt.Sprintf("%s of %s, without us %s", grouped(d.StaleReads), grouped(d.Reads), grouped(r.Alone.Stale)))
	line("acknowledged writes lost", fmt.Sprintf("%s of %s", known(d.WritesLost), grouped(d.WritesAcked)))
	line("tail rows lost without us", fmt.Sprintf("%d of %d", r.Alone.TailLost, r.Alone.TailRows))
	line("client errors", r.Healed.errorWords())
	line("node away until its start", awayWords(r.Healed.Away)+", without us "+awayWords(r.Alone.Away))
	if !r.Healed.Killed.IsZero() {
		line("the leader's agent "+r.Healed.Done, fmt.Sprintf("of %s, at T+%.1f s", r.Healed.Leader, r.Healed.Killed.Sub(r.Healed.Fault).Seconds()))
	}
	line("agent at rest", r.Alone.Rest.short())
	for _, f := range r.Faults() {
		fmt.Fprintf(&b, "NOT REACHED: %s\n", f)
	}
	return b.String()
}

func (h Healed) errorWords() string {
	e := h.Counts.WriteErrors
	if e.Count == 0 {
		return "none"
	}
	return fmt.Sprintf("%s, the last at T+%.1f s", grouped(e.Count), e.Last.Sub(h.Fault).Seconds())
}

func (r Rest) short() string {
	if r.Resident == 0 {
		return "not measured: every agent carries a member of the store"
	}
	return fmt.Sprintf("%s MiB (%s anonymous), %.1f %% of a core", mebi(r.Resident), mebi(r.Anonymous), 100*r.CPU)
}

func awayWords(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// took shows milliseconds as seconds.
func took(ms *int64) string {
	if ms == nil {
		return "-"
	}
	if *ms < 1000 {
		return fmt.Sprintf("%.2f s", float64(*ms)/1000)
	}
	return fmt.Sprintf("%.1f s", float64(*ms)/1000)
}

func notWithin(ms *int64) string {
	if ms == nil {
		return fmt.Sprintf("not within %.0f s", noticeMax.Seconds())
	}
	return took(ms)
}

func known(n *int) string {
	if n == nil {
		return "unknown"
	}
	return grouped(*n)
}

// grouped writes 41233 as 41 233.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + " " + digits[i:]
	}
	return digits
}

func left(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func right(s string, width int) string {
	return strings.Repeat(" ", max(1, width-utf8.RuneCountInString(s))) + s
}
