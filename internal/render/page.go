// SPDX-License-Identifier: Apache-2.0

// Package render draws the answers of the interface as people read them on a
// terminal. It computes nothing: what it prints stands in the answer, so a
// table can never say something else than the JSON of the same moment.
package render

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"supervisor/cluster"
	"supervisor/internal/api"
)

// Page is how something is drawn.
type Page struct {
	Now   time.Time // for "as of 1 s ago"
	Width int       // columns of the terminal; 0: lines are never broken
	Color bool      // on the state word only, and always with the word
	// Zone is where the reader's clock stands; nil: UTC. A time says its zone.
	Zone *time.Location
	// Steady leaves out what changes by itself: ages become clock times, so
	// that a watcher sees a new line only when something happened.
	Steady bool
	Bars   bool // where somebody watches on a terminal: bars of progress beside the numbers
}

// lines collects a drawing.
type lines struct {
	p   Page
	out []string
}

func (l *lines) add(format string, args ...any) {
	l.out = append(l.out, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// wrapped adds text behind a label; what does not fit stands under the text's
// beginning.
func (l *lines) wrapped(label, text string) {
	l.hanging(label, utf8.RuneCountInString(label), text)
}

// dot stands between facts; a line is broken there before anywhere else.
const dot = " · "

// hanging adds text behind a label and breaks it: between facts where it can,
// between words where one fact is longer than a line.
func (l *lines) hanging(label string, indent int, text string) {
	const least = 20 // columns; in less nothing can be read anyway
	label, text = l.p.Times(label), l.p.Times(text)
	line, empty := label, true
	room := func(s string) bool { return width(line)+width(s) <= l.p.Width }
	next := func() {
		l.add("%s", line)
		line, empty = strings.Repeat(" ", indent), true
	}
	if l.p.Width == 0 || l.p.Width-max(indent, width(label)) < least {
		l.add("%s%s", label, text)
		return
	}
	facts := strings.Split(text, dot)
	for i, fact := range facts {
		if i < len(facts)-1 {
			fact += " ·"
		}
		if !empty {
			fact = " " + fact
		}
		if !room(fact) && !empty && indent+width(fact)-1 <= l.p.Width {
			next()
			fact = strings.TrimPrefix(fact, " ")
		}
		for j, word := range strings.Split(strings.TrimPrefix(fact, " "), " ") {
			if j > 0 || !empty {
				word = " " + word
			}
			if !room(word) && !empty {
				next()
				word = strings.TrimPrefix(word, " ")
			}
			line, empty = line+word, false
		}
	}
	l.add("%s", line)
}

// head puts right at the right edge, when it fits there.
func (l *lines) head(left, right string) {
	left = l.p.Times(left)
	gap := l.p.Width - width(left) - utf8.RuneCountInString(right)
	switch {
	case right == "":
		l.hanging("", 2, left)
	case l.p.Width == 0 || gap < 2:
		l.hanging("", 2, left+dot+right)
	default:
		l.add("%s%s%s", left, strings.Repeat(" ", gap), right)
	}
}

// width counts what is seen of a text: without the colour's codes.
func width(s string) int {
	n := 0
	for {
		before, rest, found := strings.Cut(s, "\x1b[")
		n += utf8.RuneCountInString(before)
		if !found {
			return n
		}
		_, s, _ = strings.Cut(rest, "m")
	}
}

func (l *lines) text() string {
	if len(l.out) == 0 {
		return ""
	}
	return strings.Join(l.out, "\n") + "\n"
}

// table adds rows with aligned columns; the last column is not padded, and is
// broken at words when it does not fit.
func (l *lines) table(indent string, rows ...[]string) {
	widths := make([]int, 0)
	for r, row := range rows {
		row = slices.Clone(row)
		rows[r] = row
		for i := range row {
			row[i] = l.p.Times(row[i])
			cell := row[i]
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		label := indent
		for i, cell := range row[:len(row)-1] {
			label += cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
		}
		l.wrapped(label, row[len(row)-1])
	}
}

// asOf says how old and how whole the answer is.
func asOf[T any](p Page, e api.Envelope[T]) string {
	if p.Steady {
		return ""
	}
	words := "as of " + Span(max(0, p.Now.Sub(e.AsOf.Time))) + " ago"
	if e.Partial {
		words = "partial · " + words
	}
	return words
}

// missing names what the answer does not hold.
func missing[T any](l *lines, e api.Envelope[T]) {
	for _, m := range e.Missing {
		l.wrapped("MISSING   ", m)
	}
}

// since is the age of a moment at the time of the answer, or its clock time
// when the page is steady.
func since(p Page, asOf api.Time, t *api.Time) string {
	switch {
	case t == nil || t.IsZero():
		return "-"
	case p.Steady:
		return moment(t)
	}
	return Span(max(0, asOf.Sub(t.Time)))
}

// Span renders a duration as people say it, in its largest unit that tells
// something.
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// exact renders milliseconds with a tenth of a second.
func exact(ms int64) string { return fmt.Sprintf("%.1f s", float64(ms)/1000) }

// moment is a wall time as it stands in sentences of the journal. What makes a
// line of it says it as people read it.
func moment(t *api.Time) string {
	if t == nil || t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339)
}

var stamps = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)

// Times says every UTC stamp of a text by the reader's clock: with the date when
// that is not today's, and always on a steady page, whose lines must not become
// others at midnight.
func (p Page) Times(text string) string {
	zone := time.UTC
	if p.Zone != nil {
		zone = p.Zone
	}
	return stamps.ReplaceAllStringFunc(text, func(stamp string) string {
		t, err := time.Parse(time.RFC3339, stamp)
		if err != nil {
			return stamp // a day that no month has: somebody's own words
		}
		t = t.In(zone)
		y, m, d := t.Date()
		ny, nm, nd := p.Now.In(zone).Date()
		switch {
		case y == ny && m == nm && d == nd && !p.Steady:
			return t.Format("15:04:05 MST")
		case y == ny || p.Now.IsZero():
			return t.Format("2 Jan 15:04:05 MST")
		}
		return t.Format("2 Jan 2006 15:04:05 MST")
	})
}

// Title is the form in which people read a wire word.
func Title(word string) string { return cluster.Title(word) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
