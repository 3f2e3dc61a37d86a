// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"strings"

	"supervisor/internal/api"
	"supervisor/loadbalancer"
)

// Findings draws /v1/findings.
func Findings(p Page, e api.Envelope[[]api.Finding]) string {
	l := &lines{p: p}
	if len(e.Data) == 0 {
		l.add("no finding")
	} else {
		rows := [][]string{{"SEV", "CODE", "SUBJECT", "WHAT"}}
		for _, f := range e.Data {
			rows = append(rows, []string{severityWords[f.Severity], f.Code, f.Subject, said(f)})
		}
		l.table("", rows...)
	}
	missing(l, e)
	return l.text()
}

// said is what a finding says, who deals with it, and who hides it.
func said(f api.Finding) string {
	words := f.Sentence
	if f.Handled != "" {
		words += "; handled by " + f.Handled
	}
	return words + muteWords(f)
}

// FindingCode draws /v1/findings/CODE.
func FindingCode(p Page, e api.Envelope[api.FindingCode]) string {
	l := &lines{p: p}
	f := e.Data
	mute := "may be muted"
	if !f.Mutable {
		mute = "cannot be muted"
	}
	article := "a"
	if strings.ContainsRune("aeiou", rune(f.Scope[0])) {
		article = "an"
	}
	l.add("%s · %s · about %s %s · %s", f.Code, severityWords[f.Severity], article, f.Scope, mute)
	rows := [][]string{{"says", f.Template}, {"do", f.Runbook}}
	if len(f.Active) == 0 {
		rows = append(rows, []string{"now", "it holds nowhere"})
	}
	for _, a := range f.Active {
		rows = append(rows, []string{"now", fmt.Sprintf("%s: %s", a.Subject, said(a))})
	}
	l.table("  ", rows...)
	missing(l, e)
	return l.text()
}

// Pools draws /v1/pools: wanted beside actual.
func Pools(p Page, e api.Envelope[[]api.Pool]) string {
	l := &lines{p: p}
	if len(e.Data) == 0 {
		l.add("no pool: the policy declares none")
		missing(l, e)
		return l.text()
	}
	rows := [][]string{{"POOL", "NODE", "WANTED", "ACTUAL"}}
	for _, pool := range e.Data {
		for _, m := range pool.Members {
			rows = append(rows, []string{pool.Name, string(m.Node), wish(m.Want, m.Weight), memberWords(m)})
		}
	}
	l.table("", rows...)
	for _, pool := range e.Data {
		step := "in step"
		if !pool.InStep {
			step = "NOT in step"
		}
		l.add("%s: %s · %s · token %s", pool.Name, step, floorWords(pool), orDash(pool.Token))
		for _, x := range pool.Proxies {
			if words := proxyWords(x); words != "" {
				l.wrapped("  "+x.Name+": ", words)
			}
		}
	}
	missing(l, e)
	return l.text()
}

func floorWords(p api.Pool) string {
	if p.Floor == nil || p.Ready == nil {
		return "floor not known here"
	}
	return fmt.Sprintf("%s that answer, floor %d", api.Counted(*p.Ready, "ready member"), *p.Floor)
}

func wish(w loadbalancer.Want, weight int) string {
	return loadbalancer.Wish{Want: w, Weight: weight}.String()
}

func memberWords(m api.PoolMember) string {
	var words []string
	for _, a := range m.Actual {
		word := fmt.Sprintf("%s: %s, %s", a.Proxy, wish(a.Want, a.Weight), api.Counted(a.Sessions, "session"))
		if a.Up != nil {
			word += ", its own check says " + known(a.Up, "up", "down")
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return "not read yet"
	}
	return strings.Join(words, " · ")
}

func proxyWords(x api.PoolProxy) string {
	var words []string
	if x.Trouble != "" {
		words = append(words, x.Trouble)
	}
	if len(x.Drift) > 0 {
		words = append(words, "changed by hand: "+strings.Join(x.Drift, ", "))
	}
	if len(x.Unknown) > 0 {
		words = append(words, "on one side only: "+strings.Join(x.Unknown, ", "))
	}
	return strings.Join(words, " · ")
}

// Policy draws /v1/policy.
func Policy(p Page, e api.Envelope[api.Policy]) string {
	l := &lines{p: p}
	if e.Data.Unread {
		l.add("policy v%d stands and cannot be read by this agent", e.Data.Version)
		missing(l, e)
		return l.text()
	}
	if e.Data.Version == 0 {
		l.add("no policy was applied: everything is only observed")
		missing(l, e)
		return l.text()
	}
	l.wrapped("", fmt.Sprintf("policy v%d by %s: %q · hash %.12s", e.Data.Version, e.Data.By, e.Data.Why, e.Data.Hash))
	var rows [][]string
	for _, s := range e.Data.Settings {
		rows = append(rows, []string{s.Path, s.Value})
	}
	l.table("  ", rows...)
	missing(l, e)
	return l.text()
}

// Plan draws the answer of /v1/plans: what an order would change.
func Plan(p Page, e api.Envelope[api.Plan]) string {
	l := &lines{p: p}
	x := e.Data
	if x.Verb != api.VerbPolicyApply {
		l.asked(x)
		missing(l, e)
		return l.text()
	}
	from := fmt.Sprintf("from v%d", x.Base)
	if x.Base == 0 {
		from = "there was none"
	}
	l.add("PLAN %s: policy v%d, %s. Nothing was changed.", x.Hash, x.Version, from)
	if len(x.Difference) == 0 {
		l.add("  it says the same as the policy that stands")
	}
	var rows [][]string
	for _, c := range x.Difference {
		words := orDash(c.From) + " -> " + orDash(c.To)
		if x.Base == 0 {
			words = c.To
		}
		rows = append(rows, []string{c.Path, words})
	}
	l.table("  ", rows...)
	l.difference(x.Residency)
	if len(x.Widens) > 0 {
		l.wrapped("  WIDENS  ", strings.Join(x.Widens, " · "))
	}
	missing(l, e)
	return l.text()
}
