// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/membership"
)

// IncidentLine is one incident in one line.
type IncidentLine struct {
	ID         string             `json:"id"`
	Node       cluster.Name       `json:"node"`
	Region     cluster.Region     `json:"region"`
	Datacenter cluster.Datacenter `json:"datacenter"`
	Cause      string             `json:"cause"` // one of Verdicts, or by_hand: a person fenced it
	Phase      incident.Phase     `json:"phase"`
	Mode       incident.Mode      `json:"mode"`
	Began      Time               `json:"began"`
	OpenMS     int64              `json:"open_ms"` // until closed, or until now
	Step       *Step              `json:"step"`
	Waits      incident.Rule      `json:"waits"` // the rule it waits for; empty: none
	Held       string             `json:"held"`
	HeldRule   incident.Rule      `json:"held_rule"`
	Burst      string             `json:"burst"`
	Deadline   *Time              `json:"deadline"` // when the node's data must not be read again; null: none
	Proposal   *ProposalLine      `json:"proposal"` // what a person may approve; null: nothing
	Ack        *AckLine           `json:"ack"`      // who has seen it as it stands; null: nobody
}

// Incident is everything about one incident.
type Incident struct {
	IncidentLine
	HostID        cluster.HostID            `json:"host_id"`
	Rack          cluster.Rack              `json:"rack"`
	HeldFrom      *incident.Phase           `json:"held_from"`
	PolicyVersion int64                     `json:"policy_version"`
	Votes         VoteCount                 `json:"votes"`        // that opened it
	Stages        map[incident.Stage]*int64 `json:"stages"`       // milliseconds since it began; null: did not happen
	CassandraMS   int64                     `json:"cassandra_ms"` // of it Cassandra's own work
	Approximate   bool                      `json:"approximate"`  // a leader changed: durations are by wall time
	Outage        OutageLine                `json:"outage"`
	Pending       []PendingLine             `json:"pending"`
	Asked         bool                      `json:"asked"` // a person was needed
}

// OutageLine is the window of writes that the node may have missed.
type OutageLine struct {
	From     *Time  `json:"from"`
	Clean    bool   `json:"clean"`
	Writable bool   `json:"writable"` // the others could take writes meanwhile
	Deadline *Time  `json:"deadline"`
	Table    string `json:"table"` // that sets the deadline
}

// PendingLine is one order that an incident waits for.
type PendingLine struct {
	Effect  string        `json:"effect"`
	Agent   cluster.Name  `json:"agent"`
	Verb    incident.Verb `json:"verb"`
	LimitMS int64         `json:"limit_ms"`
}

// Timeline is an incident with its story.
type Timeline struct {
	Incident Incident `json:"incident"`
	Events   []Event  `json:"events"`
}

// Event is a journal entry with its sentence.
type Event struct {
	incident.Entry
	Sentence string `json:"sentence"`
}

// IncidentsOf lists the incidents, open ones first, then the closed, newest first.
func IncidentsOf(s Snapshot) []IncidentLine {
	out := openLines(s)
	for _, r := range closedRecords(s) {
		out = append(out, incidentLine(s, r))
	}
	return out
}

func openLines(s Snapshot) []IncidentLine {
	open := slices.Clone(s.Open)
	slices.SortStableFunc(open, func(a, b incident.Record) int { return a.Began.Compare(b.Began) })
	out := []IncidentLine{}
	for _, r := range open {
		out = append(out, incidentLine(s, r))
	}
	return out
}

func closedRecords(s Snapshot) []incident.Record {
	closed := slices.Clone(s.Closed)
	slices.SortStableFunc(closed, func(a, b incident.Record) int { return cmp.Or(b.Began.Compare(a.Began), strings.Compare(b.ID, a.ID)) })
	return closed
}

func lastClosed(s Snapshot) *IncidentLine {
	closed := closedRecords(s)
	if len(closed) == 0 {
		return nil
	}
	line := incidentLine(s, closed[0])
	return &line
}

func incidentLine(s Snapshot, r incident.Record) IncidentLine {
	line := IncidentLine{ID: r.ID, Node: r.Node, Region: r.Region, Datacenter: r.Datacenter, Cause: causeOf(r), Phase: r.Phase,
		Mode: r.Mode, Began: *orBegin(at(r.Began)), OpenMS: ms(s.since(r.Began)), Step: stepOf(r), Waits: r.Waits, Held: r.Held,
		HeldRule: r.HeldRule, Burst: r.Burst, Deadline: at(r.Outage.Deadline), Proposal: proposalLine(s, r), Ack: ackLine(r)}
	if r.Ended() {
		line.OpenMS, line.Step = ms(r.Marks[incident.StageClosed]), nil
	}
	if r.Phase != incident.Held {
		line.Held, line.HeldRule = "", ""
	}
	return line
}

// byHand is the cause of an incident that a person's fence opened.
const byHand = "by_hand"

func causeOf(r incident.Record) string {
	if r.Asked() {
		return "repair"
	}
	if r.Hand != nil && r.Cause == membership.NoCause {
		return byHand
	}
	return r.Cause.String()
}

func orBegin(t *Time) *Time {
	if t == nil {
		return &Time{}
	}
	return t
}

// IncidentOf is one incident, by its ID or a shortened one.
func IncidentOf(s Snapshot, id string) (Incident, error) {
	r, err := findRecord(s, id)
	if err != nil {
		return Incident{}, err
	}
	return incidentOf(s, r), nil
}

func incidentOf(s Snapshot, r incident.Record) Incident {
	out := Incident{IncidentLine: incidentLine(s, r), HostID: r.HostID, Rack: r.Rack, PolicyVersion: r.Policy,
		Votes:  VoteCount{For: r.Votes.For, Heard: r.Votes.Heard, Eligible: r.Votes.Of, Agreeing: r.Votes.For, Racks: r.Votes.Racks},
		Stages: map[incident.Stage]*int64{}, Approximate: r.Approx, Pending: []PendingLine{},
		Outage: OutageLine{From: at(r.Outage.From), Clean: r.Outage.Clean, Writable: r.Outage.Writable, Deadline: at(r.Outage.Deadline), Table: r.Outage.Table}}
	for _, st := range incident.Stages() {
		out.Stages[st] = nil
		if d, ok := r.Marks[st]; ok {
			v := ms(d)
			out.Stages[st] = &v
		}
	}
	if r.Return != nil {
		out.CassandraMS = ms(r.Return.Cassandra)
	}
	if r.Phase == incident.Held {
		from := r.HeldFrom
		out.HeldFrom = &from
	}
	for _, e := range r.Pending {
		if e.Once != nil {
			out.Pending = append(out.Pending, PendingLine{Effect: e.ID, Agent: e.Once.Agent, Verb: e.Once.Verb, LimitMS: ms(e.Limit)})
		}
	}
	for _, e := range s.Log {
		out.Asked = out.Asked || e.Incident == r.ID && (e.Code == "held" || e.Kind == incident.Asked)
	}
	return out
}

// TimelineOf is the story of one incident. missing says what the agent no
// longer keeps of it.
func TimelineOf(s Snapshot, id string) (t Timeline, missing []string, err error) {
	r, err := findRecord(s, id)
	if err != nil {
		return Timeline{}, nil, err
	}
	t = Timeline{Incident: incidentOf(s, r), Events: eventsOf(s, func(e incident.Entry) bool { return e.Incident == r.ID })}
	if have := int64(len(t.Events)); have < r.Seq {
		missing = append(missing, fmt.Sprintf("events: %d of %d %s not kept by this agent", r.Seq-have, r.Seq, Plural(r.Seq-have, "is", "are")))
	}
	return t, missing, nil
}

func eventsOf(s Snapshot, is func(incident.Entry) bool) []Event {
	out := []Event{}
	for _, e := range s.Log {
		if is(e) {
			out = append(out, Event{Entry: e, Sentence: e.Sentence()})
		}
	}
	return out
}

// findRecord accepts an ID that is shortened at its front: 42, dc1-42. An
// open incident is listed first.
func findRecord(s Snapshot, id string) (incident.Record, error) {
	all := slices.Concat(s.Open, s.World.Repairs, closedRecords(s))
	var fits []incident.Record
	var ids []string
	for _, r := range all {
		ids = append(ids, r.ID)
		if r.ID == id {
			return r, nil
		}
		if id != "" && strings.HasSuffix(r.ID, "-"+id) {
			fits = append(fits, r)
		}
	}
	switch len(fits) {
	case 1:
		return fits[0], nil
	case 0:
		return incident.Record{}, problem(IncidentUnknown, id, "no incident \""+id+"\" in cluster "+s.Cluster, didYouMean(id, ids))
	}
	var names []string
	for _, r := range fits {
		names = append(names, r.ID)
	}
	return incident.Record{}, problem(IncidentAmbiguous, id, "\""+id+"\" is short for several incidents: "+strings.Join(names, ", "))
}

// until is how far away a wall time is, 0 when it has passed.
func (s Snapshot) until(t time.Time) time.Duration { return max(0, t.Sub(s.At)) }
