// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"supervisor/incident"
	"supervisor/internal/api"
)

// Incidents draws /v1/incidents.
func Incidents(p Page, e api.Envelope[[]api.IncidentLine]) string {
	l := &lines{p: p}
	if len(e.Data) == 0 {
		l.add("no incident, open or closed")
		missing(l, e)
		return l.text()
	}
	rows := [][]string{{"INCIDENT", "NODE", "DC", "CAUSE", "PHASE", "BEGAN", "LASTED", "MODE", "WAITS FOR"}}
	for _, in := range e.Data {
		lasted := Span(time.Duration(in.OpenMS) * time.Millisecond)
		if p.Steady && in.Phase != incident.Closed {
			lasted = "-"
		}
		ph := Title(in.Phase.String())
		if in.Step != nil {
			ph += fmt.Sprintf(" %d/%d", in.Step.Number, in.Step.Of)
		}
		waits := string(in.Waits)
		if in.Held != "" {
			waits = "a person: " + in.Held
		}
		began := in.Began
		rows = append(rows, []string{in.ID, string(in.Node), string(in.Datacenter), Title(in.Cause), ph, moment(&began), lasted, in.Mode.String(), orDash(waits)})
	}
	l.table("", rows...)
	missing(l, e)
	return l.text()
}

// Incident draws /v1/incidents/ID.
func Incident(p Page, e api.Envelope[api.Incident]) string {
	l := &lines{p: p}
	in := e.Data
	l.incidentHead(in, asOf(p, e))
	l.incidentFacts(in, e.AsOf)
	l.add("  story: supervisor incident show %s --timeline", in.ID)
	missing(l, e)
	return l.text()
}

func (l *lines) incidentHead(in api.Incident, right string) {
	end := fmt.Sprintf("%s, open for %s", Title(in.Phase.String()), Span(time.Duration(in.OpenMS)*time.Millisecond))
	switch {
	case in.Phase == incident.Closed:
		end = "Closed after " + exact(in.OpenMS)
	case l.p.Steady:
		end = Title(in.Phase.String())
	}
	needed := "nobody was needed"
	if in.Asked {
		needed = "a person was asked"
	}
	began := in.Began
	l.head(strings.Join([]string{in.ID, string(in.Node) + " " + Title(in.Cause), moment(&began), end, in.Mode.String(),
		fmt.Sprintf("policy v%d", in.PolicyVersion), needed}, " · "), right)
}

func (l *lines) incidentFacts(in api.Incident, asOf api.Time) {
	v := in.Votes
	rows := [][]string{{"place", fmt.Sprintf("%s/%s/%s", in.Region, in.Datacenter, in.Rack)},
		{"evidence", fmt.Sprintf("%d of %s heard (%d eligible), in %s besides its own", v.For, api.Counted(v.Heard, "observer"), v.Eligible, api.Counted(v.Racks, "rack"))}}
	if in.Step != nil {
		rows = append(rows, []string{"step", stepWords(*in.Step)})
	}
	if in.Held != "" {
		rows = append(rows, []string{"held", in.Held})
	}
	for _, w := range waitWords(l.p, asOf, in.IncidentLine) {
		if in.Phase != incident.Closed {
			rows = append(rows, []string{"waits", w})
		}
	}
	for _, o := range in.Pending {
		rows = append(rows, []string{"order", fmt.Sprintf("%s by %s, at most %s (%s)", o.Verb, o.Agent, Span(time.Duration(o.LimitMS)*time.Millisecond), o.Effect)})
	}
	rows = append(rows, []string{"clocks", clockWords(in.Outage)}, []string{"stages", stageWords(in)})
	l.table("  ", rows...)
}

// stageWords is the last line of every story.
func stageWords(in api.Incident) string {
	var words []string
	for _, st := range incident.Stages() {
		if at := in.Stages[st]; at != nil && st != incident.StageSeen {
			words = append(words, fmt.Sprintf("%s %s", st, exact(*at)))
		}
	}
	if in.CassandraMS > 0 {
		words = append(words, "of it Cassandra's own work "+exact(in.CassandraMS))
	}
	if in.Approximate {
		words = append(words, "~ a leader changed: by wall time")
	}
	return orDash(strings.Join(words, " · "))
}

// Timeline draws /v1/incidents/ID/timeline: the story.
func Timeline(p Page, e api.Envelope[api.Timeline]) string {
	l := &lines{p: p}
	l.incidentHead(e.Data.Incident, asOf(p, e))
	l.events(e.Data.Events, false)
	l.wrapped("", stageWords(e.Data.Incident))
	missing(l, e)
	return l.text()
}

// events adds journal entries in the order of the journal. The word in the
// second column is the entry's kind, but for what hands an incident to a person.
func (l *lines) events(events []api.Event, clock bool) {
	room := 8
	for _, ev := range events {
		room = max(room, utf8.RuneCountInString(l.when(ev, clock)))
	}
	for _, ev := range events {
		l.event(ev, clock, room)
	}
}

// when is the time of an entry: since its incident began, or by the clock.
func (l *lines) when(ev api.Event, clock bool) string {
	if clock || ev.Incident == "" {
		return l.p.Times(ev.At)
	}
	return fmt.Sprintf("T+%.1f", float64(ev.TMS)/1000)
}

func (l *lines) event(ev api.Event, clock bool, room int) {
	sentence := ev.Sentence
	sentence += ruleWords(ev)
	if ev.Actor.Kind == "operator" && !strings.HasPrefix(sentence, ev.Actor.Name+" ") {
		sentence = ev.Actor.Name + ": " + sentence
	}
	l.wrapped(fmt.Sprintf(" %-*s %-8s ", room, l.when(ev, clock), kindWord(ev)), sentence)
}

// kindWord is an entry's kind. A hold is of the kind refused in the journal, where
// a kind is for ever; who reads that somebody was refused looks for an order.
func kindWord(ev api.Event) string {
	if ev.Code == "held" {
		return "HELD"
	}
	return strings.ToUpper(string(ev.Kind))
}

func ruleWords(ev api.Event) string {
	if ev.Rule == "" {
		return ""
	}
	return " (rule " + string(ev.Rule) + ")"
}

// Line draws one event by itself, as a follower of the stream prints it.
func Line(p Page, ev api.Event) string {
	l := &lines{p: p}
	l.events([]api.Event{ev}, false)
	return l.text()
}
