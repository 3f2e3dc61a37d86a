// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"strings"

	"supervisor/internal/api"
)

// Nodes draws /v1/nodes.
func Nodes(p Page, e api.Envelope[api.Nodes]) string {
	l := &lines{p: p}
	rows := [][]string{{"NODE", "DC", "RACK", "SERVING", "VERDICT", "VOTES", "POOL", "PHASE", "SINCE", "FINDING"}}
	leads := false
	for _, n := range e.Data.Nodes {
		name := string(n.Name)
		if n.Leads {
			name, leads = name+"*", true
		}
		rows = append(rows, []string{name, string(n.Datacenter), string(n.Rack), string(n.Serving), Title(n.Verdict), votes(n), weight(n),
			phase(n), since(p, e.AsOf, n.Since), orDash(strings.Join(n.Findings, ", "))})
	}
	l.table("", rows...)
	words := "votes: agreeing / eligible observers · fenced: verdict of its incident"
	if leads {
		words = "* leads · " + words
	}
	l.wrapped("", fmt.Sprintf("%s · %d of %s answered", words, e.Data.Agents.Have, api.Counted(e.Data.Agents.Of, "agent")))
	missing(l, e)
	return l.text()
}

func votes(n api.NodeLine) string {
	if len(n.Fenced) > 0 {
		return "fenced"
	}
	return fmt.Sprintf("%d/%d", n.Votes.Agreeing, n.Votes.Eligible)
}

func weight(n api.NodeLine) string {
	switch {
	case n.Weight == nil:
		return "-"
	case *n.Weight == 0:
		return "out"
	}
	return fmt.Sprintf("%d %%", *n.Weight)
}

func phase(n api.NodeLine) string {
	if n.Phase == "" {
		return "-"
	}
	words := Title(n.Phase)
	if n.Step != nil {
		words += fmt.Sprintf(" %d/%d", n.Step.Number, n.Step.Of)
	}
	return words
}

// Node draws /v1/nodes/NAME: every wanted beside its actual.
func Node(p Page, e api.Envelope[api.Node]) string {
	l := &lines{p: p}
	n := e.Data
	first := []string{string(n.Name), Title(n.Verdict)}
	if len(n.Fenced) > 0 {
		first = append(first, "fenced: "+strings.Join(n.Fenced, ", "))
	}
	if n.Incident != "" {
		first = append(first, n.Incident+" "+phase(n.NodeLine))
	}
	l.head(strings.Join(first, " · "), asOf(p, e))
	rows := [][]string{{"place", placeWords(n)}, {"wanted", wantedWords(n)}, {"actual", actualWords(n)}, {"ranges", rangeWords(n)},
		{"observers", observerWords(p, n)}}
	if n.Fence != nil {
		rows = append(rows, []string{"fence", fenceWords(*n.Fence)})
	}
	if n.Outage != nil {
		rows = append(rows, []string{"clocks", clockWords(*n.Outage)})
	}
	l.table("  ", rows...)
	l.findings(n.Active, "  FINDING  ")
	if len(n.Events) > 0 {
		l.add("last events")
		l.events(n.Events, n.Incident == "")
	}
	missing(l, e)
	return l.text()
}

func placeWords(n api.Node) string {
	words := []string{fmt.Sprintf("%s/%s/%s", n.Region, n.Datacenter, n.Rack), n.CQL}
	if n.HostID != "" {
		words = append(words, "host ID "+string(n.HostID))
	}
	if n.Cassandra != nil {
		words = append(words, "Cassandra "+n.Cassandra.Version)
	}
	switch {
	case n.Agent == nil:
		words = append(words, "its agent's word is not there")
	case n.Agent.Unwell:
		words = append(words, "agent "+n.Agent.Version+", abstains")
	default:
		words = append(words, "agent "+n.Agent.Version)
	}
	if n.Leads {
		words = append(words, "leads")
	}
	return strings.Join(words, " · ")
}

func wantedWords(n api.Node) string {
	words := []string{"no fence"}
	if len(n.Wanted.Levels) > 0 {
		words = []string{"fence " + strings.Join(n.Wanted.Levels, ", ")}
	}
	if n.Fence != nil {
		words = append(words, "gate says "+n.Wanted.Start.String())
	}
	return strings.Join(append(words, poolList(n.Wanted.Pools)), " · ")
}

func poolList(pools []string) string {
	if len(pools) == 0 {
		return "in no pool"
	}
	return strings.Join(pools, ", ")
}

func actualWords(n api.Node) string {
	a := n.Actual
	words := []string{"process " + known(a.Running, "runs", "does not run")}
	if a.Mode != "" {
		words = append(words, "mode "+a.Mode)
	}
	if a.Native != nil {
		words = append(words, "native transport "+known(a.Native, "on", "off"))
	}
	if a.Severity != nil {
		words = append(words, fmt.Sprintf("Severity %g", *a.Severity))
	}
	if a.Applied != nil {
		words = append(words, "fence "+known(a.Applied, "stands", "does not stand yet"))
	}
	return strings.Join(append(words, poolList(a.Pools)), " · ")
}

func known(b *bool, yes, no string) string {
	switch {
	case b == nil:
		return "not known"
	case *b:
		return yes
	}
	return no
}

func rangeWords(n api.Node) string {
	if len(n.Margins) == 0 {
		return "not known"
	}
	var words []string
	for _, m := range n.Margins {
		words = append(words, fmt.Sprintf("%s RF %d: serving %d, need %d, margin %d", m.Keyspace, m.RF, m.Have, m.Need, m.MayLose))
	}
	return strings.Join(words, " · ")
}

func observerWords(p Page, n api.Node) string {
	if len(n.Observers) == 0 {
		return "none heard"
	}
	var words []string
	for _, b := range n.Observers {
		words = append(words, fmt.Sprintf("%s %s%s", who(b), ballot(b), age(p, b)))
	}
	return strings.Join(words, " · ")
}

func who(b api.Ballot) string {
	if b.Own {
		return "own agent"
	}
	return string(b.Observer)
}

// ballot says what an observer found, or why it does not count.
func ballot(b api.Ballot) string {
	switch {
	case b.Duplicate:
		return "abstains (two agents bear the name)"
	case b.Unwell:
		return "abstains (not in order itself)"
	case len(b.Looks) == 0:
		return b.Vote.String()
	}
	var looks []string
	for _, k := range b.Looks {
		look := fmt.Sprintf("%s %s", k.Path, k.Outcome)
		if k.TookUS > 0 {
			look += " " + api.Span(k.TookUS)
		}
		looks = append(looks, look)
	}
	return fmt.Sprintf("%s (%s)", b.Vote, strings.Join(looks, ", "))
}

func age(p Page, b api.Ballot) string {
	if b.AgeMS == nil || p.Steady {
		return ""
	}
	return fmt.Sprintf(" %s ago", exact(*b.AgeMS))
}

func fenceWords(f api.FenceLine) string {
	words := []string{fmt.Sprintf("token %s by %s", f.Token, f.Incident)}
	for _, s := range f.Seen {
		if s.Own {
			continue
		}
		word := fmt.Sprintf("%s says %s, Severity %g", s.Agent, strings.ToUpper(s.Sight.String()), s.Severity)
		if !s.Current {
			word = fmt.Sprintf("%s has not read it yet", s.Agent)
		}
		words = append(words, word)
	}
	return strings.Join(words, " · ")
}

func clockWords(o api.OutageLine) string {
	words := "missed writes from " + moment(o.From)
	if o.Clean {
		words += ", ended clean"
	} else {
		words += ", ended unclean: repaired before it is read"
	}
	if o.Deadline == nil {
		return words + " · no deadline"
	}
	return words + fmt.Sprintf(" · gate refuses from %s (gc_grace of %s)", moment(o.Deadline), o.Table)
}
