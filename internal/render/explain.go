// SPDX-License-Identifier: Apache-2.0

package render

import (
	"strings"

	"supervisor/internal/api"
)

// Explain draws /v1/explain/SUBJECT.
func Explain(p Page, e api.Envelope[api.Explanation]) string {
	l := &lines{p: p}
	x := e.Data
	l.wrapped("", x.Headline)
	rows := [][]string{{"verdict", x.Verdict}}
	l.table("  ", append(rows, barRows(x)...)...)
	if x.Slow != nil {
		l.wrapped("  slow     ", x.Slow.Sentence())
		l.wrapped("  inside   ", orDash(strings.Join(x.Slow.Inside, " · ")))
	}
	if len(x.Votes) > 0 {
		l.add("  votes")
		var votes [][]string
		for _, b := range x.Votes {
			votes = append(votes, []string{who(b), "rack " + string(b.Rack), ballot(b) + age(p, b)})
		}
		l.table("    ", votes...)
	}
	if x.Gate != nil {
		l.wrapped("  gate     ", "says "+x.Gate.Start.String()+": "+x.Gate.Why)
	}
	if len(x.Changes) > 0 {
		l.wrapped("  changes  ", strings.Join(x.Changes, " · "))
	}
	l.guards(x.Guards)
	for i, ev := range x.Said {
		label := "  said     "
		if i > 0 {
			label = "           "
		}
		l.wrapped(label, ev.Sentence+ruleWords(ev))
	}
	l.findings(x.Findings, "  finding  ")
	missing(l, e)
	return l.text()
}

func barRows(x api.Explanation) [][]string {
	var rows [][]string
	for _, b := range x.Bars {
		words := strings.ReplaceAll(b.Answer, "_", " ")
		if len(b.Reasons) > 0 {
			words += ": " + strings.Join(b.Reasons, " · ")
		}
		rows = append(rows, []string{b.Step, words})
	}
	return rows
}

func (l *lines) guards(guards []api.Guard) {
	var words []string
	for _, g := range guards {
		word := string(g.Rule) + " allows (" + g.Words + ")"
		if g.Stands {
			word = string(g.Rule) + " FORBIDS (" + g.Words + ")"
		}
		words = append(words, word)
	}
	if len(words) > 0 {
		l.wrapped("  guards   ", strings.Join(words, " · "))
	}
}
