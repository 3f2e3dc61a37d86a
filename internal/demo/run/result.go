// SPDX-License-Identifier: Apache-2.0

package run

import (
	"encoding/json"
	"fmt"
	"time"

	"supervisor/incident"
	"supervisor/internal/demo/load"
)

// Result is one pair of faults.
type Result struct {
	Scenario Scenario
	Node     string
	Alone    Alone
	Healed   Healed
}

// Document is a result as programs read it; null is what did not happen, or
// could not be looked at. Milliseconds count from the fault.
type Document struct {
	Scenario        Scenario `json:"scenario"`
	FaultAt         string   `json:"fault_at"` // RFC 3339 in UTC with milliseconds
	Node            string   `json:"node"`
	VerdictMS       *int64   `json:"verdict_ms"`
	DrainedMS       *int64   `json:"drained_ms"` // as HAProxy says
	FencedMS        *int64   `json:"fenced_ms"`
	ReturnedMS      *int64   `json:"returned_ms"`
	ServingMS       *int64   `json:"serving_ms"` // as HAProxy says
	ClosedMS        *int64   `json:"closed_ms"`
	Phase           *string  `json:"phase"`
	CassandraDownMS *int64   `json:"cassandra_down_ms"` // the first peer to say so; without us
	HAProxyDownMS   *int64   `json:"haproxy_down_ms"`   // its own check; without us
	WritesAcked     int      `json:"writes_acked"`
	WritesLost      *int     `json:"writes_lost"`
	Reads           int      `json:"reads"`
	StaleReads      int      `json:"stale_reads"`
	AuditRows       *int     `json:"audit_rows"` // row reads: rows x nodes
	AuditOld        *int     `json:"audit_old"`  // old or missing
	AuditOldWithout int      `json:"audit_old_without"`
	ClientErrors    int      `json:"client_errors"`   // of the writer, which is a client of HAProxy
	AgentRSSBytes   *int64   `json:"agent_rss_bytes"` // null where every agent carries a member of the store
}

// Document makes the document.
func (r Result) Document() Document {
	a, h := r.Alone, r.Healed
	d := Document{Scenario: r.Scenario, FaultAt: incident.Stamp(h.Fault), Node: r.Node,
		VerdictMS: h.verdict(), DrainedMS: sinceFault(h.Proxy.drained, h.Fault), FencedMS: h.mark(incident.StageFenced),
		ReturnedMS: h.mark(incident.StageReturned), ServingMS: sinceFault(h.Proxy.serving, h.Fault), ClosedMS: h.mark(incident.StageClosed),
		CassandraDownMS: sinceFault(a.Noticed.CassandraFirst, a.Fault), HAProxyDownMS: sinceFault(a.Noticed.HAProxy, a.Fault),
		WritesAcked: h.Counts.WritesAcked, WritesLost: h.Lost, Reads: h.Counts.Reads, StaleReads: h.Counts.StaleReads,
		AuditOldWithout: a.Audit.OldOrMissing(), ClientErrors: h.Counts.WriteErrors.Count}
	if a.Rest.Resident > 0 {
		d.AgentRSSBytes = &a.Rest.Resident
	}
	if h.Story != nil {
		phase := h.Story.Incident.Phase.String()
		d.Phase = &phase
	}
	if h.Audit != nil {
		rows, old := h.Audit.Rows, h.Audit.OldOrMissing()
		d.AuditRows, d.AuditOld = &rows, &old
	}
	return d
}

// JSON is the document on one line.
func (r Result) JSON() (string, error) {
	b, err := json.Marshal(r.Document())
	return string(b), err
}

// verdict is when the journal says that it was judged.
func (h Healed) verdict() *int64 {
	if h.Story == nil {
		return nil
	}
	for _, ev := range h.Story.Events {
		if ev.Kind == incident.Judged {
			return sinceFault(atOf(ev), h.Fault)
		}
	}
	return nil
}

// mark is a stage of the incident, which counts from its own beginning.
func (h Healed) mark(st incident.Stage) *int64 {
	if h.Story == nil || h.Story.Incident.Stages[st] == nil {
		return nil
	}
	began := h.Story.Incident.Began.Time
	return sinceFault(began.Add(time.Duration(*h.Story.Incident.Stages[st])*time.Millisecond), h.Fault)
}

// sinceFault is null for what did not happen.
func sinceFault(t, fault time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.Sub(fault).Milliseconds()
	return &ms
}

// Faults are the reasons why a run did not reach what it must, or proves
// nothing; none is a success.
func (r Result) Faults() []string {
	d := r.Document()
	var faults []string
	add := func(when bool, format string, args ...any) {
		if when {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	add(r.Alone.CalmStale > 0, "%d stale reads in the %s before the first fault: the run proves nothing", r.Alone.CalmStale, calm)
	add(r.Healed.CalmStale > 0, "%d stale reads in the %s before the second fault: the run proves nothing", r.Healed.CalmStale, calm)
	add(r.Scenario != Crash && d.AuditOldWithout == 0, "no old row without us either: the run proves nothing")
	add(d.Phase == nil, "no incident was opened")
	add(d.Phase != nil && *d.Phase != incident.Closed.String(), "the incident is not closed: %s", r.Healed.standing())
	add(d.StaleReads > 0, "%d stale live reads%s", d.StaleReads, r.Healed.staleWhen())
	add(d.WritesLost != nil && *d.WritesLost > 0, "%d rows lost an acknowledged write", deref(d.WritesLost))
	add(d.AuditOld != nil && *d.AuditOld > 0, "%d old or missing rows in the audit", deref(d.AuditOld))
	add(r.Healed.Unclear != nil, "not everything could be looked at: %v", r.Healed.Unclear)
	return faults
}

// staleWhen tells of the first and the last stale read where and when they were,
// so that one can be held against the story above.
func (h Healed) staleWhen() string {
	list := h.Counts.Stale
	if len(list) == 0 {
		return ""
	}
	tell := func(s load.Stale) string {
		return fmt.Sprintf("T+%.1f s through %s, row %s showed %d and %d was due", s.Began.Sub(h.Fault).Seconds(), s.Node, s.Row, s.Got, s.Want)
	}
	words := ": " + tell(list[0])
	if last := list[len(list)-1]; len(list) > 1 {
		words += "; the last: " + tell(last)
	}
	return words
}

func (h Healed) standing() string {
	if h.Story == nil {
		return ""
	}
	in := h.Story.Incident
	if in.Held != "" {
		return in.Phase.String() + ", " + in.Held
	}
	return in.Phase.String()
}

func deref(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}
