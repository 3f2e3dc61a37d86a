// SPDX-License-Identifier: Apache-2.0

package api

import (
	"slices"

	"supervisor/incident"
)

// Finding is one thing that holds now.
type Finding struct {
	Code     string            `json:"code"`
	Severity incident.Severity `json:"severity"`
	Scope    incident.Scope    `json:"scope"`
	Subject  string            `json:"subject"`
	Sentence string            `json:"sentence"`
	Args     map[string]string `json:"args"`
	Runbook  string            `json:"runbook"`
	Mutable  bool              `json:"mutable"`
	Muted    bool              `json:"muted"`
	Mute     *MuteLine         `json:"mute"`    // who muted it, why, until when; null: nobody
	Handled  string            `json:"handled"` // the incident that deals with it
}

// MuteLine is a mute that stands.
type MuteLine struct {
	By    string `json:"by"`
	Why   string `json:"why"`
	Until Time   `json:"until"`
}

// muted tells whether a finding is hidden now. It disarms nothing.
func (s Snapshot) muted(f incident.Finding) *MuteLine {
	m, muted := s.World.Holds.Muted(f.Code, f.Subject, s.At)
	if !muted {
		return nil
	}
	return &MuteLine{m.By, m.Why, *orBegin(at(m.Until))}
}

// FindingCode is the page of one code: what it means, and where it holds now.
type FindingCode struct {
	Code     string            `json:"code"`
	Severity incident.Severity `json:"severity"`
	Scope    incident.Scope    `json:"scope"`
	Template string            `json:"template"`
	Runbook  string            `json:"runbook"`
	Mutable  bool              `json:"mutable"`
	Active   []Finding         `json:"active"`
}

// findings are the findings as far as they can be believed. An agent without
// a view knows nobody as alive, so it cannot say what is lost or left. And an
// incident in mode observe deals with nothing.
func (s Snapshot) findings() []incident.Finding {
	needView := []string{"QUORUM_LOST", "QUORUM_AT_RISK", "POOL_FLOOR", "STORM_HOLD"}
	var out []incident.Finding
	for _, f := range s.Findings {
		if !s.judges() && slices.Contains(needView, f.Code) {
			continue
		}
		for _, r := range s.Open {
			if r.ID == f.Handled && watched(r) {
				f.Handled = ""
			}
		}
		out = append(out, f)
	}
	return out
}

// watched tells whether an incident is only looked at.
func watched(r incident.Record) bool {
	return r.Mode == incident.Observe && r.Phase == incident.Suspected
}

// FindingsOf lists what holds now, most pressing first.
func FindingsOf(s Snapshot) []Finding {
	out := []Finding{}
	for _, f := range s.findings() {
		args := f.Args
		if args == nil {
			args = map[string]string{}
		}
		mute := s.muted(f)
		out = append(out, Finding{Muted: mute != nil, Mute: mute, Code: f.Code, Severity: f.Severity, Scope: f.Scope, Subject: f.Subject, Sentence: f.Sentence,
			Args: args, Runbook: f.Runbook, Mutable: f.Mutable, Handled: f.Handled})
	}
	return out
}

// FindingOf is the page of a code.
func FindingOf(s Snapshot, code string) (FindingCode, error) {
	row, ok := incident.RowOf(code)
	if !ok {
		var codes []string
		for _, r := range incident.Rows() {
			codes = append(codes, r.Code)
		}
		return FindingCode{}, problem(FindingUnknown, code, "no finding has the code \""+code+"\"", didYouMean(code, codes))
	}
	page := FindingCode{Code: row.Code, Severity: row.Severity, Scope: row.Scope, Template: row.Template, Runbook: row.Runbook,
		Mutable: row.Mutable, Active: []Finding{}}
	for _, f := range FindingsOf(s) {
		if f.Code == code {
			page.Active = append(page.Active, f)
		}
	}
	return page, nil
}
