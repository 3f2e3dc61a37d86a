// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/internal/api"
)

// Repairs draws /v1/repairs.
func Repairs(p Page, e api.Envelope[[]api.RepairLine]) string {
	l := &lines{p: p}
	if len(e.Data) == 0 {
		l.add("no repair, under way or kept")
		missing(l, e)
		return l.text()
	}
	rows := [][]string{{"ID", "NODE", "DC", "FOR", "ROUND", "STATE", "SEGMENTS", "BEGAN", "LEFT", "WAITS FOR"}}
	for _, x := range e.Data {
		rows = append(rows, []string{x.ID, string(x.Node), string(x.Datacenter), forWhom(x), fmt.Sprint(x.Round), x.State, doneWords(p, x),
			began(x.Began), leftWords(p, x), orDash(waitsFor(x))})
	}
	l.table("", rows...)
	missing(l, e)
	return l.text()
}

// Repair draws /v1/repairs/ID.
func Repair(p Page, e api.Envelope[api.Repair]) string {
	l := &lines{p: p}
	x := e.Data
	l.head(strings.Join([]string{x.ID, string(x.Node), "for " + forWhom(x.RepairLine), fmt.Sprintf("round %d", x.Round), x.State, doneWords(p, x.RepairLine) + " segments"}, dot), asOf(p, e))
	rows := [][]string{{"began", began(x.Began)}}
	if x.Moved != nil {
		rows = append(rows, []string{"moved", movedWords(p, e.AsOf, x.Moved)})
	}
	if x.State == api.RepairRuns && !p.Steady {
		rows = append(rows, []string{"left", leftWords(p, x.RepairLine)})
	}
	if x.SegmentMS != nil && !p.Steady {
		rows = append(rows, []string{"segment", exact(*x.SegmentMS) + " each, as lately"})
	}
	if words := waitsFor(x.RepairLine); words != "" {
		rows = append(rows, []string{"waits", words})
	}
	if b := x.Batch; b != nil {
		rows = append(rows, []string{"batch", fmt.Sprintf("%s of %s of %s by %s, at most %s (%s)", b.Verb, api.Counted(b.Segments, "segment"),
			strings.Join(b.Keyspaces, ", "), b.Agent, Span(time.Duration(b.LimitMS)*time.Millisecond), b.Effect)})
	}
	if x.Failed > 0 {
		rows = append(rows, []string{"failed", fmt.Sprintf("%s, the last: %s", api.Counted(x.Failed, "order"), x.LastFailure)})
	}
	if x.LeftOut > 0 {
		rows = append(rows, []string{"left out", api.Counted(x.LeftOut, "range") + " that a rule forbade when it was asked for"})
	}
	if x.CassandraMS > 0 {
		rows = append(rows, []string{"work", exact(x.CassandraMS) + " of Cassandra's own so far"})
	}
	l.table("  ", rows...)
	l.parts(x.Keyspaces)
	l.add("  story: supervisor incident show %s --timeline", x.ID)
	missing(l, e)
	return l.text()
}

// forWhom is who asked for a repair, or that it brings its node back.
func forWhom(x api.RepairLine) string {
	if x.By == "" {
		return "its return"
	}
	return x.By
}

func (l *lines) parts(parts []api.RepairPart) {
	if len(parts) == 0 {
		return
	}
	rows := [][]string{{"KEYSPACE", "TABLES", "SEGMENTS", "RANGES", "WITH"}}
	for _, k := range parts {
		rows = append(rows, []string{k.Keyspace, tableWords(k), bar(l.p, k.Done, k.Total) + fmt.Sprintf("%d/%d", k.Done, k.Total), fmt.Sprint(k.Ranges), nodeWords(k.Peers)})
	}
	l.table("  ", rows...)
}

// RepairPlan draws /v1/repairs/plan/NODE.
func RepairPlan(p Page, e api.Envelope[api.RepairPlan]) string {
	l := &lines{p: p}
	x := e.Data
	where := "with the replicas of every region where the data may stand"
	if x.Region != "" {
		where = "with the replicas of region " + string(x.Region) + " alone"
	}
	l.head(fmt.Sprintf("repair of %s %s", x.Node, where), asOf(p, e))
	l.repairPlan(x)
	missing(l, e)
	return l.text()
}

func (l *lines) repairPlan(x api.RepairPlan) {
	if len(x.Keyspaces) > 0 {
		rows := [][]string{{"KEYSPACE", "TABLES", "SEGMENTS", "RANGES", "WITH"}}
		for _, k := range x.Keyspaces {
			rows = append(rows, []string{k.Keyspace, tableWords(k), fmt.Sprint(k.Total), fmt.Sprint(k.Ranges), nodeWords(k.Peers)})
		}
		l.table("  ", rows...)
	}
	switch {
	case x.Segments > 0:
		l.add("  in all %s of %s, %s", api.Counted(x.Segments, "segment"), api.Counted(x.Ranges, "range"), bytesWords(x.Bytes))
	case len(x.Refused) == 0:
		l.add("  nothing to compare: what is asked for has one copy, or none on this node")
	}
	for _, r := range x.Refused {
		l.wrapped("  REFUSED  ", fmt.Sprintf("%s of %s: %s (rule %s)", api.Counted(r.Ranges, "range"), r.Keyspace, r.Why, r.Rule))
	}
}

func bytesWords(n *int64) string {
	if n == nil {
		return "bytes not known"
	}
	return fmt.Sprintf("%d MiB to compare", *n>>20)
}

// waitsFor is why a repair does not go on, by the name of the rule.
func waitsFor(x api.RepairLine) string {
	words := x.Why
	if words == "" {
		words = string(x.Rule)
	} else if x.Rule != "" {
		words += " (rule " + string(x.Rule) + ")"
	}
	if x.State == api.RepairHeld {
		words = "a person: " + words
	}
	return words
}

func doneWords(p Page, x api.RepairLine) string {
	if x.Done == nil || x.Total == nil {
		return "-"
	}
	return bar(p, *x.Done, *x.Total) + fmt.Sprintf("%d/%d", *x.Done, *x.Total)
}

// bar draws how much is done, where somebody watches on a terminal. It is never
// full before all is.
func bar(p Page, done, total int) string {
	const room = 16
	if !p.Bars || total <= 0 {
		return ""
	}
	full := min(room, max(0, done)*room/total)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", room-full) + "] "
}

func leftWords(p Page, x api.RepairLine) string {
	switch {
	case x.State != api.RepairRuns || p.Steady:
		return "-"
	case x.Estimate == nil:
		return "no estimate yet"
	}
	least, most := Span(time.Duration(x.Estimate.LeastMS)*time.Millisecond), Span(time.Duration(x.Estimate.MostMS)*time.Millisecond)
	if least == most {
		return "about " + most
	}
	return least + " to " + most
}

func movedWords(p Page, asOf api.Time, t *api.Time) string {
	if p.Steady {
		return moment(t)
	}
	return since(p, asOf, t) + " ago"
}

func began(t *api.Time) string {
	if t == nil {
		return "-"
	}
	return moment(t)
}

func tableWords(k api.RepairPart) string {
	if len(k.Tables) == 0 {
		return "all"
	}
	return strings.Join(k.Tables, ", ")
}

func nodeWords(nodes []cluster.Name) string {
	words := make([]string, len(nodes))
	for i, n := range nodes {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}
