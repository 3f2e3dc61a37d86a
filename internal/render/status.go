// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
)

// StateWord is the state as people read it: one of four words.
func StateWord(s api.State) string { return strings.ToUpper(strings.ReplaceAll(string(s), "_", " ")) }

var stateColors = map[api.State]string{api.Healthy: "32", api.Degraded: "33", api.NeedsYou: "31", api.Blind: "35"}

func (p Page) state(s api.State) string {
	if !p.Color {
		return StateWord(s)
	}
	return "\x1b[1;" + stateColors[s] + "m" + StateWord(s) + "\x1b[0m"
}

// Status draws /v1/status. Its first word answers whether to get up.
func Status(p Page, e api.Envelope[api.Status]) string {
	l := &lines{p: p}
	s := e.Data
	l.head(fmt.Sprintf("%s  %s · %s · %s · %s", p.state(s.State), s.Cluster, serving(s.Nodes), incidentsWord(s), orDash(s.Mode)), asOf(p, e))
	if s.State == api.NeedsYou || s.State == api.Blind {
		for _, why := range s.Why {
			l.wrapped("  ", why)
		}
	}
	var rows [][]string
	for _, d := range s.Datacenters {
		rows = append(rows, []string{fmt.Sprintf("%s/%s", d.Region, d.Datacenter), datacenterWords(d)})
	}
	l.table("  ", rows...)
	l.wrapped("  ", strings.Join([]string{poolsWords(s.Pools), storeWords(p, s.Store), policyWords(s.Policy)}, " · "))
	if s.Last != nil && len(s.Incidents) == 0 {
		l.wrapped("  ", fmt.Sprintf("last incident %s about %s, %s: closed in %s", s.Last.ID, s.Last.Node, whenWords(p, e.AsOf, s.Last.Began), exact(s.Last.OpenMS)))
	}
	for _, in := range s.Incidents {
		l.wrapped("INCIDENT  ", incidentWords(in))
		for _, more := range waitWords(p, e.AsOf, in) {
			l.wrapped("          ", more)
		}
	}
	for i, x := range s.Suspects {
		label := "SUSPECT   "
		if i > 0 {
			label = "          "
		}
		l.wrapped(label, fmt.Sprintf("%s %s: %d of %s %s, no incident is open", x.Name, Title(x.Verdict), x.Votes.Agreeing,
			api.Counted(x.Votes.Eligible, "observer"), api.Plural(x.Votes.Agreeing, "agrees", "agree")))
	}
	told := slices.DeleteFunc(slices.Clone(s.Findings), heldAlready)
	l.findings(told, "FINDING   ")
	if n := len(s.Findings) - len(told); n > 0 {
		l.add("          %s more that the lines above tell: supervisor finding list", api.Counted(n, "finding"))
	}
	missing(l, e)
	if len(s.Incidents) > 0 {
		in := s.Incidents[0]
		l.add("see: supervisor incident show %s --timeline · supervisor explain %s", in.ID, in.Node)
	}
	return l.text()
}

// heldAlready tells whether the lines above say the same.
func heldAlready(f api.Finding) bool {
	return f.Scope == incident.ScopeIncident && (f.Code == "INCIDENT_HELD" || f.Code == "APPROVAL_WAITING") || f.Code == "SUPERVISOR_PAUSED"
}

func serving(n api.ServingCount) string {
	words := fmt.Sprintf("%d of %s serving", n.Serving, api.Counted(n.Total, "node"))
	if n.Unknown > 0 {
		words += fmt.Sprintf(", %d unknown", n.Unknown)
	}
	return words
}

func incidentsWord(s api.Status) string {
	words := "no open incident"
	if len(s.Incidents) > 0 {
		words = api.Counted(len(s.Incidents), "open incident")
	}
	if len(s.Findings) > 0 {
		words += " · " + api.Counted(len(s.Findings), "finding")
	}
	muted := 0
	for _, f := range s.Findings {
		if f.Muted {
			muted++
		}
	}
	if muted > 0 {
		words += fmt.Sprintf(", %d muted", muted)
	}
	return words
}

func datacenterWords(d api.DatacenterLine) string {
	words := []string{fmt.Sprintf("%d/%d serving", d.Nodes.Serving, d.Nodes.Total)}
	if d.Nodes.Unknown > 0 {
		words[0] += fmt.Sprintf(", %d unknown", d.Nodes.Unknown)
	}
	switch {
	case d.Margin == nil:
		words[0] += ", margin not known"
	case d.Margin.MayLose < 0:
		words[0] += fmt.Sprintf(", QUORUM LOST in %s of %s", api.Counted(d.Margin.Ranges, "range"), d.Margin.Keyspace)
	default:
		words[0] += fmt.Sprintf(", may lose %d more", d.Margin.MayLose)
	}
	words = append(words, "leader "+orDash(string(d.Leader)))
	if d.Budget.Used > 0 {
		words = append(words, fmt.Sprintf("budget %d of %d used", d.Budget.Used, d.Budget.Limit))
	}
	if d.Paused != nil {
		words = append(words, pauseWords(*d.Paused))
	}
	if d.Storm != "" {
		words = append(words, "storm: "+d.Storm)
	}
	return strings.Join(words, " · ")
}

func poolsWords(c api.PoolCount) string {
	if c.Total == 0 {
		return "no pool"
	}
	return fmt.Sprintf("pools %d of %d in step on %s", c.InStep, c.Total, api.Counted(c.Proxies, "proxy"))
}

func storeWords(p Page, s api.StoreLine) string {
	switch {
	case !s.Available:
		return "store LOST: " + s.Lost
	case s.Waits:
		return fmt.Sprintf("store RECOVERED, era %d, waits for a person's word", s.Era)
	case s.CommitMS == nil || p.Steady:
		return "store ok"
	}
	return fmt.Sprintf("store ok, commit %d ms", *s.CommitMS)
}

func policyWords(p api.PolicyLine) string {
	if p.Unread {
		return fmt.Sprintf("policy v%d unread", p.Version)
	}
	if p.Version == 0 {
		return "no policy"
	}
	return fmt.Sprintf("policy v%d", p.Version)
}

func whenWords(p Page, asOf, t api.Time) string {
	if p.Steady {
		return moment(&t)
	}
	return since(p, asOf, &t) + " ago"
}

// incidentWords say where an incident stands.
func incidentWords(in api.IncidentLine) string {
	words := fmt.Sprintf("%s  %s %s · %s", in.ID, in.Node, Title(in.Cause), Title(in.Phase.String()))
	if in.Step != nil && in.Phase != incident.Closed {
		words += ", " + stepWords(*in.Step)
	}
	return words
}

func stepWords(st api.Step) string {
	words := fmt.Sprintf("step %d of %d: %s", st.Number, st.Of, strings.ReplaceAll(st.Name, "_", " "))
	if st.Total > 0 {
		words += fmt.Sprintf(" %d/%s", st.Done, api.Counted(st.Total, "segment"))
	}
	if st.Try > 1 {
		words += fmt.Sprintf(", try %d", st.Try)
	}
	return words
}

// waitWords say what an incident waits for, and its clocks.
func waitWords(p Page, asOf api.Time, in api.IncidentLine) []string {
	var out []string
	if in.Held != "" {
		word := "waits for a person"
		if in.HeldRule == incident.RulePaused || in.HeldRule == incident.RuleOperator {
			word = "stays as it is: " + in.Held
		}
		out = append(out, fmt.Sprintf("%s, by rule %s", word, in.HeldRule))
	}
	if in.Proposal != nil {
		out = append(out, fmt.Sprintf("would fence it (%s): supervisor incident approve %s --plan %s --reason …", in.Proposal.Levels, in.ID, in.Proposal.Plan))
	}
	if in.Ack != nil {
		out = append(out, fmt.Sprintf("%s has seen it: %s", in.Ack.By, in.Ack.Why))
	}
	var facts []string
	if in.Waits != "" && in.Held == "" {
		facts = append(facts, "waits for rule "+string(in.Waits))
	}
	if !p.Steady {
		facts = append(facts, "open for "+Span(time.Duration(in.OpenMS)*time.Millisecond))
	}
	if in.Deadline != nil {
		left := in.Deadline.Sub(asOf.Time)
		switch {
		case left <= 0:
			facts = append(facts, "its deadline passed: it must not return")
		case p.Steady:
			facts = append(facts, "may return until "+moment(in.Deadline))
		default:
			facts = append(facts, "may return at all for "+Span(left))
		}
	}
	if len(facts) > 0 {
		out = append(out, strings.Join(facts, " · "))
	}
	return out
}

var severityWords = map[incident.Severity]string{incident.Error: "ERR", incident.Warning: "WARN", incident.Info: "INFO"}

// findings adds a table of findings behind a label that stands once.
func (l *lines) findings(list []api.Finding, label string) {
	var rows [][]string
	for i, f := range list {
		first := label
		if i > 0 {
			first = strings.Repeat(" ", len(label))
		}
		rows = append(rows, []string{first + severityWords[f.Severity], f.Code, f.Subject, said(f)})
	}
	l.table("", rows...)
}
