// SPDX-License-Identifier: Apache-2.0

package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/isolate"
	"supervisor/membership"
)

// Target is what an operator's verb is about; each verb reads its own parts.
type Target struct {
	Datacenter cluster.Datacenter `json:"datacenter,omitempty"`
	Node       cluster.Name       `json:"node,omitempty"`
	Levels     isolate.Levels     `json:"levels,omitempty"`
	Incident   string             `json:"incident,omitempty"` // may be shortened
	Code       string             `json:"code,omitempty"`
	Subject    string             `json:"subject,omitempty"`
	ForMS      int64              `json:"for_ms,omitempty"`
	Keyspace   string             `json:"keyspace,omitempty"` // repair
	Table      string             `json:"table,omitempty"`    // repair
	Region     cluster.Region     `json:"region,omitempty"`   // repair
	Plan       string             `json:"plan,omitempty"`     // of incident_approve: the hash that was seen; empty: as it stands
}

// Refusal is a rule that forbids what a plan wants, with its numbers.
type Refusal struct {
	Rule   incident.Rule `json:"rule"`
	Reason string        `json:"reason"`
}

// The states of an order.
const (
	OrderWaits    = "waits"    // the leader has not taken it in
	OrderFollowed = "followed" // what was asked for is written down, and done from there on
	OrderRefused  = "refused"  // nothing was done
)

// OrderAnswer is what became of an order.
type OrderAnswer struct {
	Request  string        `json:"request"`
	State    string        `json:"state"`
	Who      string        `json:"who"`
	Rule     incident.Rule `json:"rule"` // of a refusal
	Says     string        `json:"says"` // the journal's sentence
	Reason   string        `json:"reason"`
	Incident string        `json:"incident"`
	Node     cluster.Name  `json:"node"`
	Events   []Event       `json:"events"` // what the journal tells of it since
	Next     []string      `json:"next"`   // what a person may type now
}

// RefusedBy is the code of a refusal by a rule.
func RefusedBy(r incident.Rule) Code {
	switch r {
	case incident.QuorumSurvives:
		return QuorumWouldBreak
	case incident.RulePlan:
		return PlanStale
	}
	return GuardForbids
}

// Refuse is the problem of an order that a rule forbids.
func Refuse(r incident.Rule, subject, reason string, remedy ...string) *Problem {
	p := problem(RefusedBy(r), subject, reason, remedy...)
	if p.Code == PlanStale {
		p.Remedy = append(slices.DeleteFunc(remedy, func(s string) bool { return s == "" }), "look again: supervisor explain "+subject)
	}
	return p.under(string(r))
}

// subjectMax is longer than any name that a finding is about.
const subjectMax = 200

// ask reads a request into the word that the leader would take in.
func ask(s Snapshot, verb string, t Target) (incident.Ask, error) {
	a := incident.Ask{Verb: incident.AskVerb(verb), Who: "you", Why: "the reason", Plan: t.Plan,
		About: incident.About{Datacenter: t.Datacenter, Node: t.Node, Levels: t.Levels, Code: strings.ToUpper(t.Code), Subject: t.Subject,
			For: time.Duration(t.ForMS) * time.Millisecond}}
	switch a.Verb {
	case incident.AskPause, incident.AskResume:
		if dcs := datacenters(s); t.Datacenter != "" && !slices.Contains(dcs, t.Datacenter) {
			return a, problem(DatacenterUnknown, string(t.Datacenter), fmt.Sprintf("no datacenter %q in cluster %s", t.Datacenter, s.Cluster),
				didYouMean(string(t.Datacenter), spelt(dcs)))
		}
	case incident.AskFence, incident.AskUnfence:
		if _, known := s.World.Hosts[t.Node]; !known {
			return a, noNode(s, string(t.Node))
		}
	case incident.AskRepair:
		a.Repair = incident.RepairScope{Node: t.Node, Keyspace: t.Keyspace, Table: t.Table, Region: t.Region}
		return a, repairTyped(s, a.Repair)
	case incident.AskMute, incident.AskUnmute:
		if len(t.Subject) > subjectMax || strings.ContainsFunc(t.Subject, unicode.IsControl) {
			return a, problem(Usage, "subject", fmt.Sprintf("a subject is a name of %d bytes at the most, without control characters", subjectMax))
		}
		if _, err := FindingOf(s, a.Code); err != nil {
			return a, err
		}
	default:
		r, err := findRecord(s, t.Incident)
		if err != nil {
			return a, err
		}
		a.Incident, a.Node = r.ID, r.Node
		if a.Verb == incident.AskApprove && a.Plan == "" && r.Proposal != nil {
			a.Plan = incident.Propose(r, s.World).Hash
		}
	}
	return a, nil
}

func spelt[S ~string](words []S) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return out
}

// about is the world of one datacenter, as its leader sees it.
func (s Snapshot) about(dc cluster.Datacenter) incident.World {
	w := s.World
	w.Ledger = s.Ledgers[dc]
	if storm, why := incident.Storm(w, dc); storm {
		w.Storm = why
	}
	return w
}

// PlanAsk says what an operator's verb would do, by the very rules that the
// leader decides by. An agent that does not judge cannot say; the leader will.
func PlanAsk(s Snapshot, verb string, t Target) (Plan, incident.Ask, error) {
	a, err := ask(s, verb, t)
	if err != nil {
		return Plan{}, a, err
	}
	p := Plan{Verb: verb, Revision: s.Revision, Difference: []Change{}, Widens: []string{}, Does: []string{}}
	h := incident.Heard{}
	r, open := s.concerned(a)
	if s.judges() {
		dc := s.World.Hosts[a.Node].Datacenter
		w := s.about(dc)
		w.Elapsed = s.since(r.Began)
		h = incident.Hear(a, w, fmt.Sprintf("inc-%s-%d", dc, s.Ledgers[dc].NextIncident+1))
		p.foresees(h)
	}
	if a.Verb == incident.AskRepair && p.Refused == nil {
		plan, err := PlanRepair(s, a.Repair)
		if err != nil {
			return Plan{}, a, err
		}
		p.Repair = &plan
	}
	p.Asks = a.Verb.Harms()
	if p.Hash, err = hashAsk(a, r, open, p, h); err != nil {
		return Plan{}, a, err
	}
	return p, a, nil
}

func (s Snapshot) concerned(a incident.Ask) (incident.Record, bool) {
	i := slices.IndexFunc(s.Open, func(r incident.Record) bool {
		return r.Node == a.Node && a.Node != "" || r.ID == a.Incident && a.Incident != ""
	})
	k := slices.IndexFunc(s.World.Repairs, func(r incident.Record) bool { return r.ID == a.Incident && a.Incident != "" })
	switch {
	case k >= 0:
		return s.World.Repairs[k], true
	case i < 0:
		return incident.Record{Began: s.At}, false
	}
	return s.Open[i], true
}

// foresees writes what a decision says and does into the plan.
func (p *Plan) foresees(h incident.Heard) {
	for _, l := range slices.Concat(h.Lines, h.Decision.Lines) {
		if l.Kind == incident.Refused && l.Code == "refused_ask" {
			p.Refused = &Refusal{l.Rule, l.Args["reason"]}
			return
		}
		if words := planned(l); words != "" {
			p.Does = append(p.Does, words)
		}
	}
	for _, e := range h.Decision.Effects {
		p.Does = append(p.Does, effectWords(e))
	}
}

// planned says what a line of a decision would be about; the journal says the
// same of what was done.
func planned(l incident.Line) string {
	switch a := l.Args; l.Code {
	case "asked_fence":
		return fmt.Sprintf("keep clients and coordinators off %s (%s). After it %s", a["node"], a["levels"], a["margin"])
	case "asked_unfence":
		return fmt.Sprintf("lift the fence that %s raised; %s is repaired before it is read", a["fenced"], a["node"])
	case "asked_approve":
		return fmt.Sprintf("follow plan %s: fence %s (%s)", a["plan"], a["node"], a["levels"])
	case "asked_abort":
		return fmt.Sprintf("stop %s in phase %s: what was done stays, and nothing more is done", a["subject"], a["phase"])
	case "asked_ack":
		return "note that you have seen " + a["subject"]
	case "asked_retry":
		return "try again what rule " + a["rule"] + " held"
	case "asked_repair":
		return fmt.Sprintf("repair %s in batches, while no incident is open, and have a sample compared by another coordinator", a["node"])
	case "closed_repair_aborted":
		return "" // the line before says it
	case "asked_pause":
		return fmt.Sprintf("nothing new starts in %s until %s", a["subject"], a["until"])
	case "asked_resume":
		return fmt.Sprintf("end the pause of %s by %s", a["subject"], a["paused"])
	case "asked_mute":
		return fmt.Sprintf("hide %s of %s until %s", a["subject"], a["subjects"], a["until"])
	case "asked_unmute":
		return "show " + a["subject"] + " again"
	case "held":
		return "" // the line before says it
	}
	return incident.Sentence(l.Code, l.Args)
}

func effectWords(e incident.Effect) string {
	switch {
	case e.Fence != nil:
		return fmt.Sprintf("fence %s: %s; however it starts: %s", e.Fence.Node, e.Fence.Levels, e.Fence.Start)
	case e.Lift != "":
		return "lift the fence of " + string(e.Lift)
	case e.Pool != nil:
		var out []string
		for _, n := range slices.Sorted(maps.Keys(e.Pool.Wants)) {
			if wish := e.Pool.Wants[n]; wish.Weight == 0 {
				out = append(out, fmt.Sprintf("%s %s", n, wish))
			}
		}
		return fmt.Sprintf("pool %s: %s", e.Pool.Name, strings.Join(out, ", "))
	case e.Once != nil:
		return fmt.Sprintf("order %s to %s", e.Once.Verb, e.Once.Agent)
	}
	return ""
}

// hashAsk covers what would be done and what that rests on. An approval is of
// the plan that the incident itself names.
func hashAsk(a incident.Ask, r incident.Record, open bool, p Plan, h incident.Heard) (string, error) {
	if a.Verb == incident.AskApprove && a.Plan != "" {
		return a.Plan, nil
	}
	text, err := json.Marshal(struct {
		Verb    incident.AskVerb
		About   incident.About
		Open    bool
		ID      string
		Step    uint32
		Refused *Refusal
		Effects []incident.Effect
		Repair  *RepairPlan `json:",omitempty"`
	}{a.Verb, a.About, open, r.ID, r.Step, p.Refused, h.Decision.Effects, p.Repair})
	if err != nil {
		return "", fmt.Errorf("hash the plan: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:12], nil
}

// AnswerOf is what became of an order: the journal names the request of every
// word that was taken in.
func AnswerOf(s Snapshot, request string) OrderAnswer {
	out := OrderAnswer{Request: request, State: OrderWaits, Events: []Event{}, Next: []string{}}
	at := slices.IndexFunc(s.Log, func(e incident.Entry) bool { return e.Args["request"] == request })
	if at < 0 {
		return out
	}
	e := s.Log[at]
	out.State, out.Who, out.Says, out.Incident, out.Node = OrderFollowed, e.Actor.Name, e.Sentence(), e.Incident, e.Subject.Node
	if e.Kind == incident.Refused {
		out.State, out.Rule, out.Reason = OrderRefused, e.Rule, e.Args["reason"]
		out.Next = append(out.Next, nextAfterRefusal(e)...)
		return out
	}
	if e.Incident != "" {
		out.Events = eventsOf(s, func(x incident.Entry) bool { return x.Incident == e.Incident && x.Seq > e.Seq })
	}
	out.Next = append(out.Next, nextAfter(e)...)
	return out
}

func nextAfterRefusal(e incident.Entry) []string {
	switch e.Rule {
	case incident.RulePaused:
		return []string{"see: supervisor status"}
	case incident.RuleStorm:
		return []string{"look at the network first; then: supervisor incident ack ID --reason …"}
	}
	if subject := e.Args["subject"]; strings.HasPrefix(subject, "inc-") || e.Subject.Node != "" || e.Args["verb"] == string(incident.AskFence) {
		return []string{"see: supervisor explain " + subject}
	}
	return nil
}

func nextAfter(e incident.Entry) []string {
	switch e.Code {
	case "asked_pause":
		word := ""
		if s := e.Args["subject"]; s != incident.Scoped("") {
			word = s + " "
		}
		return []string{"end it sooner: supervisor resume " + word + "--reason …"}
	case "asked_fence":
		return []string{"bring it back: supervisor unfence " + string(e.Subject.Node) + " --reason …", "see: supervisor incident show " + e.Incident + " --timeline"}
	case "asked_abort":
		if e.Subject.Node != "" && incident.IsRepairID(e.Incident) {
			return []string{"ask anew: supervisor repair " + string(e.Subject.Node)}
		}
		return []string{"let it go on: supervisor incident retry " + e.Incident + " --reason …"}
	case "asked_repair":
		return []string{"see: supervisor repair show " + e.Incident + " --watch", "end it: supervisor incident abort " + e.Incident + " --reason …"}
	case "asked_unfence", "asked_approve", "asked_retry":
		return []string{"see: supervisor incident show " + e.Incident + " --timeline --watch"}
	}
	return nil
}

// said are the words of people about a node, its incident, or the pauses of
// its datacenter, the newest last.
func (s Snapshot) said(n cluster.Name, id string) []Event {
	const most = 5
	dc := s.World.Hosts[n].Datacenter
	out := eventsOf(s, func(e incident.Entry) bool {
		scope := e.Args["subject"]
		about := e.Subject.Node == n && (id == "" || e.Incident == id || e.Incident == "") || scope == string(n) || id != "" && scope == id
		pause := (e.Code == "asked_pause" || e.Code == "asked_resume") && (scope == string(dc) || scope == incident.Scoped(""))
		return e.Actor.Kind == "operator" && (about || pause)
	})
	return out[max(0, len(out)-most):]
}

// PauseLine is a pause that stands.
type PauseLine struct {
	By    string `json:"by"`
	Why   string `json:"why"`
	Until Time   `json:"until"`
	Scope string `json:"scope"`
}

func pauseOf(s Snapshot, dc cluster.Datacenter) *PauseLine {
	p, paused := s.World.Holds.Paused(dc, s.At)
	if !paused {
		return nil
	}
	return &PauseLine{p.By, p.Why, *orBegin(at(p.Until)), incident.Scoped(p.Datacenter)}
}

// ProposalLine is what an incident would do if a person approved it.
type ProposalLine struct {
	Plan   string           `json:"plan"`
	Levels isolate.Levels   `json:"levels"`
	Cause  membership.Cause `json:"cause"`
}

// AckLine is who has seen an incident as it stands.
type AckLine struct {
	By  string `json:"by"`
	Why string `json:"why"`
	At  Time   `json:"at"`
}

func proposalLine(s Snapshot, r incident.Record) *ProposalLine {
	if r.Proposal == nil || r.Phase != incident.Held {
		return nil
	}
	p := incident.Propose(r, s.World)
	return &ProposalLine{p.Hash, p.Levels, p.Cause}
}

func ackLine(r incident.Record) *AckLine {
	if r.Ack == nil {
		return nil
	}
	return &AckLine{r.Ack.By, r.Ack.Why, *orBegin(at(r.Ack.At))}
}
