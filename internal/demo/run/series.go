// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"slices"
	"strings"
)

// Series draws several results of one scenario: what counts is the median,
// and beside it stand those who noticed without us, in the same runs.
func Series(results []Result) string {
	var b strings.Builder
	row := func(name string, cells ...string) {
		b.WriteString("  " + left(name, nameWidth))
		for _, c := range cells {
			b.WriteString(right(c, 10))
		}
		b.WriteString("\n")
	}
	row(fmt.Sprintf("%d runs of %s", len(results), results[0].Scenario), "median", "min", "max", "of")
	for _, line := range []struct {
		name string
		of   func(Document) *int64
	}{
		{"supervisor: verdict", func(d Document) *int64 { return d.VerdictMS }},
		{"supervisor: verdict and drain", func(d Document) *int64 { return later(d.VerdictMS, d.DrainedMS) }},
		{"Cassandra's own detector", func(d Document) *int64 { return d.CassandraDownMS }},
		{"HAProxy's own check", func(d Document) *int64 { return d.HAProxyDownMS }},
		{"clean and serving again", func(d Document) *int64 { return d.ServingMS }},
		{"closed", func(d Document) *int64 { return d.ClosedMS }},
	} {
		all := times(results, line.of)
		if len(all) == 0 {
			row(line.name, "-", "-", "-", "0")
			continue
		}
		mid, low, high := median(all), all[0], all[len(all)-1]
		row(line.name, took(&mid), took(&low), took(&high), fmt.Sprint(len(all)))
	}
	fmt.Fprintf(&b, "  %s%s\n", left("tail rows lost without us", nameWidth+2), tailLost(results))
	fmt.Fprintf(&b, "  %s%s\n", left("all runs together", nameWidth+2), together(results))
	return b.String()
}

// together sums what has to be 0 in every run.
func together(results []Result) string {
	stale, old, lost, missed := 0, 0, 0, 0
	for _, r := range results {
		d := r.Document()
		stale += d.StaleReads
		old += deref(d.AuditOld)
		lost += deref(d.WritesLost)
		if len(r.Faults()) > 0 {
			missed++
		}
	}
	return fmt.Sprintf("%d stale live reads, %d old rows, %d writes lost, %d not reached", stale, old, lost, missed)
}

// tailLost are the lost tail rows of each run.
func tailLost(results []Result) string {
	var words []string
	for _, r := range results {
		words = append(words, fmt.Sprintf("%d/%d", r.Alone.TailLost, r.Alone.TailRows))
	}
	return strings.Join(words, "  ")
}

// later is when both have happened.
func later(a, b *int64) *int64 {
	if a == nil || b == nil {
		return nil
	}
	both := max(*a, *b)
	return &both
}

// times are those that happened, sorted.
func times(results []Result, of func(Document) *int64) []int64 {
	var all []int64
	for _, r := range results {
		if ms := of(r.Document()); ms != nil {
			all = append(all, *ms)
		}
	}
	slices.Sort(all)
	return all
}

// median of sorted times; of an even number the mean of the two in the middle.
func median(sorted []int64) int64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
