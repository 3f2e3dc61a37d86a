// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// Explanation says why something is done or not done: every bar with what it
// needs beside what it has.
type Explanation struct {
	Subject  string        `json:"subject"`
	Node     cluster.Name  `json:"node"`
	Headline string        `json:"headline"`
	Verdict  string        `json:"verdict"` // a sentence
	Incident *IncidentLine `json:"incident"`
	Slow     *SlowLine     `json:"slow"` // null: it is not
	Votes    []Ballot      `json:"votes"`
	Bars     []Bar         `json:"bars"`
	Gate     *GateLine     `json:"gate"`
	Changes  []string      `json:"changes"` // what would change it
	Guards   []Guard       `json:"guards"`
	Findings []Finding     `json:"findings"`
	Said     []Event       `json:"said"` // what people said about it lately, the newest last
}

// Bar is one step with what it needs.
type Bar struct {
	Step    string   `json:"step"`   // drain, fence, return, replace
	Answer  string   `json:"answer"` // one of BarAnswers
	Reasons []string `json:"reasons"`
}

// BarAnswers lists every word that a bar can answer with.
func BarAnswers() []string { return []string{"no_need", "not_yet", "met", "under_way", "done", "no"} }

// GateLine is what the gate in front of the node's Cassandra would be told.
type GateLine struct {
	Start isolate.Start `json:"start"`
	Rule  string        `json:"rule"`
	Why   string        `json:"why"`
}

// Guard is one rule that may stop an act, and how it stands.
type Guard struct {
	Rule   incident.Rule `json:"rule"`
	Stands bool          `json:"stands"` // it stops acts now
	Words  string        `json:"words"`
}

// Explain says why, of a node or an incident.
func Explain(s Snapshot, subject string) (Explanation, error) {
	name := cluster.Name(subject)
	if _, known := s.World.Hosts[name]; known {
		return explainNode(s, subject, name), nil
	}
	r, err := findRecord(s, subject)
	if err != nil {
		var names []string
		for _, h := range roster(s) {
			names = append(names, string(h.Name))
		}
		p := asProblem(err)
		if p.Code == IncidentUnknown && !strings.HasPrefix(subject, "inc-") {
			p = noNode(s, subject)
		}
		return Explanation{}, p
	}
	return explainIncident(s, r), nil
}

func explainNode(s Snapshot, subject string, n cluster.Name) Explanation {
	v := verdictOf(s, n)
	out := Explanation{Slow: slowLine(s, v), Subject: subject, Node: n, Verdict: verdictSentence(s, v), Votes: ballots(v), Bars: []Bar{}, Changes: []string{},
		Guards: guards(s, n), Findings: []Finding{}, Said: []Event{}}
	for _, f := range FindingsOf(s) {
		if f.Subject == string(n) {
			out.Findings = append(out.Findings, f)
		}
	}
	if f, fenced := s.World.Fences[n]; fenced && !f.LeavesStart() {
		out.Gate = &GateLine{Start: f.Start, Rule: "fenced", Why: "a fence stands: " + f.Incident}
	}
	r, open := openAt(s, n)
	if open {
		line := incidentLine(s, r)
		out.Incident = &line
	}
	out.Said = s.said(n, r.ID)
	out.Bars = bars(s, v, r, open)
	out.Headline, out.Changes = headline(s, v, r, open), changes(s, v, r, open)
	return out
}

func explainIncident(s Snapshot, r incident.Record) Explanation {
	if !r.Ended() {
		e := explainNode(s, r.ID, r.Node)
		return e
	}
	line := incidentLine(s, r)
	return Explanation{Subject: r.ID, Node: r.Node, Headline: fmt.Sprintf("%s about %s is closed, after %s. Nothing is waited for.", r.ID, r.Node, seconds(r.Marks[incident.StageClosed])),
		Verdict: verdictSentence(s, verdictOf(s, r.Node)), Incident: &line, Votes: []Ballot{}, Bars: []Bar{}, Changes: []string{}, Guards: []Guard{}, Findings: []Finding{}, Said: s.said(r.Node, r.ID)}
}

func verdictSentence(s Snapshot, v membership.Verdict) string {
	if !s.judges() {
		return "Unknown here: this agent does not judge; ask a control agent"
	}
	word := cluster.Title(verdictWord(v.Answer, v.Cause))
	switch v.Answer {
	case membership.Alive:
		return fmt.Sprintf("%s: %d of %s %s an answer from it", word, v.Against, Counted(v.Of, "eligible observer"), Plural(v.Against, "has", "have"))
	case membership.Gone:
		return fmt.Sprintf("%s: %d of %s heard (%d eligible) in %s besides its own %s so; own agent: %s", word, v.For, Counted(v.Heard, "observer"), v.Of,
			Counted(v.Racks, "rack"), Plural(v.For, "says", "say"), v.Own)
	case membership.Unknown:
	}
	return fmt.Sprintf("%s: %d %s gone, %d %s alive, %d %s, of %d eligible; it takes a majority of those heard, at least 2", word, v.For, Plural(v.For, "says", "say"),
		v.Against, Plural(v.Against, "says", "say"), v.Abstain, Plural(v.Abstain, "abstains", "abstain"), v.Of)
}

// headline is the one sentence that answers why.
func headline(s Snapshot, v membership.Verdict, r incident.Record, open bool) string {
	switch {
	case s.StoreLost != "":
		return fmt.Sprintf("%s: nothing is done, because nothing can be written down: the store does not answer (%s).", v.Node, s.StoreLost)
	case s.World.Store.Unwritten != "":
		return fmt.Sprintf("%s: nothing is done, because nothing is written to the store: %s.", v.Node, s.World.Store.Unwritten)
	case open && r.Phase == incident.Held && !r.Asks():
		return fmt.Sprintf("%s: it stays as it is. %s (rule %s, held from %s)%s.", v.Node, r.Held, r.HeldRule, cluster.Title(r.HeldFrom.String()), seenBy(r))
	case open && r.Phase == incident.Held:
		return fmt.Sprintf("%s: a person is needed. %s (rule %s, held from %s).", v.Node, r.Held, r.HeldRule, cluster.Title(r.HeldFrom.String()))
	case open && r.Mode == incident.Observe && r.Phase == incident.Suspected:
		return fmt.Sprintf("%s: nothing is done, because %s is in mode observe.", v.Node, r.Datacenter)
	case open:
		return fmt.Sprintf("%s: %s for %s, in phase %s%s.", v.Node, cluster.Title(causeOf(r)), seconds(s.since(r.Began)), cluster.Title(r.Phase.String()), waitWords(r))
	case !s.judges():
		return fmt.Sprintf("%s: this agent does not judge, so it cannot say more.", v.Node)
	case v.Answer == membership.Alive && v.Cause == membership.AgentGone:
		return fmt.Sprintf("%s: nothing will be done, because only its agent is silent; Cassandra is fine.", v.Node)
	case incident.Slow(v):
		return fmt.Sprintf("%s: it is slow; %s.", v.Node, incident.SlowNext(s.World, v.Node))
	case v.Answer == membership.Alive:
		return fmt.Sprintf("%s: nothing is done, because it answers.", v.Node)
	case v.Answer == membership.Unknown:
		return fmt.Sprintf("%s: nothing will be done, because not enough observers are sure.", v.Node)
	case v.Cause == membership.Planned:
		return fmt.Sprintf("%s: nothing is done, because it announced its stop.", v.Node)
	case !v.Drain:
		return fmt.Sprintf("%s: it is gone, and the bar for an act is not met yet.", v.Node)
	case s.World.ModeOf(s.World.Hosts[v.Node].Datacenter) != incident.Observe && s.overdue(v):
		return fmt.Sprintf("%s: it is gone for %s and no incident is open: the leader, %s, does not decide. Look at its findings and its log.",
			v.Node, seconds(s.World.Now.Sub(v.Since)), s.Leader)
	}
	return fmt.Sprintf("%s: it is gone; the leader opens an incident at its next turn.", v.Node)
}

func seenBy(r incident.Record) string {
	if r.Ack == nil {
		return ""
	}
	return fmt.Sprintf("; %s has seen it: %s", r.Ack.By, r.Ack.Why)
}

func waitWords(r incident.Record) string {
	words := ""
	if st := stepOf(r); st != nil {
		words += fmt.Sprintf(", step %d of %d: %s", st.Number, st.Of, strings.ReplaceAll(st.Name, "_", " "))
		if st.Total > 0 {
			words += fmt.Sprintf(" (%d of %s)", st.Done, Counted(st.Total, "segment"))
		}
	}
	if r.Waits != "" {
		words += ", waiting for rule " + string(r.Waits)
	}
	return words
}

func bars(s Snapshot, v membership.Verdict, r incident.Record, open bool) []Bar {
	if !s.judges() {
		return []Bar{}
	}
	if open && r.OfSlowness() {
		return slowBars(s, v)
	}
	return []Bar{drainBar(s, v, r, open), fenceBar(s, v, r, open), returnBar(s, r, open), replaceBar(v)}
}

func drainBar(s Snapshot, v membership.Verdict, r incident.Record, open bool) Bar {
	bar := Bar{Step: "drain", Reasons: []string{}}
	if _, drained := r.Marks[incident.StageDrained]; open && drained && out(s, v.Node) {
		bar.Answer = "done"
		return bar
	}
	if v.Answer == membership.Alive && !open {
		bar.Answer = "no_need"
		return bar
	}
	b := s.World.Policy.Bars()
	need := max(2, v.Heard/2+1)
	bar.Reasons = append(bar.Reasons, fmt.Sprintf("majority of the %s heard: has %d of %d", Counted(v.Heard, "observer"), v.For, need))
	if v.Of < b.ObserversMin {
		bar.Reasons = append(bar.Reasons, fmt.Sprintf("eligible observers: has %d of %d, so only advice is given", v.Of, b.ObserversMin))
	}
	bar.Answer = "not_yet"
	if v.Drain {
		bar.Answer = "met"
	}
	return bar
}

// out tells whether no pool wants the node.
func out(s Snapshot, n cluster.Name) bool {
	w := weightOf(s, n)
	return w == nil || *w == 0
}

func fenceBar(s Snapshot, v membership.Verdict, r incident.Record, open bool) Bar {
	if open && r.Phase == incident.Fencing && r.Fenced != nil && r.Fenced.Cut {
		return Bar{Step: "fence", Answer: "under_way", Reasons: []string{"its peers have to say that they cut it off from the ring" + waitWords(r)}}
	}
	if open && r.Phase == incident.Fencing && r.Fenced != nil { // wanted, and not proven yet
		return Bar{Step: "fence", Answer: "under_way", Reasons: []string{"the end of " + string(r.Fenced.Process) + " has to be proven by two paths" + waitWords(r)}}
	}
	if f, stands := s.World.Fences[v.Node]; stands && f.Levels != 0 {
		return Bar{Step: "fence", Answer: "done", Reasons: levelWords(f.Levels)}
	}
	if v.Answer == membership.Alive {
		return Bar{Step: "fence", Answer: "no_need", Reasons: []string{}}
	}
	age := incident.DefaultPolicy().Ages.Fence
	if s.World.Policy != nil {
		age = s.World.Policy.Ages.Fence
	}
	met, missing := membership.FenceBar(v, s.World.Policy.Bars(), age, s.World.Now)
	if met {
		return Bar{Step: "fence", Answer: "met", Reasons: []string{}}
	}
	return Bar{Step: "fence", Answer: "not_yet", Reasons: missing}
}

func returnBar(s Snapshot, r incident.Record, open bool) Bar {
	bar := Bar{Step: "return", Answer: "no_need", Reasons: []string{}}
	switch _, returned := r.Marks[incident.StageReturned]; {
	case !open:
	case returned:
		bar.Answer = "done"
	case r.Return != nil:
		bar.Answer = "under_way"
		bar.Reasons = append(bar.Reasons, strings.TrimPrefix(waitWords(r), ", "))
		if why, next := s.World.RepairWaits(r); why != "" {
			bar.Reasons = append(bar.Reasons, why+"; "+next)
		}
	default:
		bar.Answer = "not_yet"
	}
	return bar
}

func replaceBar(v membership.Verdict) Bar {
	if v.Answer == membership.Alive {
		return Bar{Step: "replace", Answer: "no_need", Reasons: []string{}}
	}
	return Bar{Step: "replace", Answer: "no", Reasons: []string{string(incident.FenceBeforeReplace) + ": a person replaces a node in this version"}}
}

// changes lists what would change the answer.
func changes(s Snapshot, v membership.Verdict, r incident.Record, open bool) []string {
	var list []string
	switch {
	case open && r.Phase == incident.Held:
		list = append(list, releases(s, r)...)
	case open && r.Mode == incident.Observe && s.World.Recovery.Waits():
		list = append(list, fmt.Sprintf("supervisor store acknowledge --era %d -> what the policy says", s.World.Era))
	case open && r.Mode == incident.Observe:
		list = append(list, "one CQL answer -> closed, nothing was done", "mode assist or auto in the policy -> drained and brought back")
	case open && r.OfSlowness():
		list = append(list, slowOver(s))
	case open:
	case v.Answer == membership.Unknown:
		list = append(list, "a majority that agrees -> drain at once, if it says gone", "one CQL answer heard by a majority -> Alive, nothing")
	case v.Answer == membership.Gone:
		list = append(list, "one CQL answer -> Alive, nothing")
	}
	for _, b := range v.Ballots {
		if b.Vote == membership.Abstains && b.Unwell {
			list = append(list, fmt.Sprintf("%s in order again -> its vote counts", b.Observer))
		}
	}
	return listed(list)
}

// releases are what would let a held incident go on.
func releases(s Snapshot, r incident.Record) []string {
	var list []string
	if p := proposalLine(s, r); p != nil {
		list = append(list, fmt.Sprintf("supervisor incident approve %s --plan %s --reason … -> fence %s (%s), repaired before it is read", r.ID, p.Plan, r.Node, p.Levels))
	}
	switch {
	case r.HeldRule == incident.RulePaused:
		return append(list, "the end of the pause, or supervisor resume --reason … -> it goes on by itself")
	case r.Hand != nil && r.Hand.Lifted == "":
		return append(list, fmt.Sprintf("supervisor unfence %s --reason … -> repaired, then read again", r.Node))
	case r.HeldRule == incident.NoSilentWait, r.HeldRule == incident.FenceBeforeReplace:
	default:
		list = append(list, fmt.Sprintf("supervisor incident retry %s --reason … -> it is tried again from %s", r.ID, cluster.Title(r.HeldFrom.String())))
	}
	return append(list, "what the reason names")
}

func guards(s Snapshot, n cluster.Name) []Guard {
	dc := s.World.Hosts[n].Datacenter
	var list []Guard
	if m := tightest(s, dc, n); m != nil {
		list = append(list, Guard{incident.QuorumSurvives, m.MayLose < 0, fmt.Sprintf("without it %d of %s of %s, need %d", m.Have, Counted(m.RF, "replica"), m.Keyspace, m.Need)})
	} else {
		list = append(list, Guard{incident.QuorumSurvives, true, "the ring is not known here"})
	}
	b := budgetOf(s, dc)
	holds := slices.ContainsFunc(s.Ledgers[dc].Holders, func(h incident.Holder) bool { return h.Node == n })
	words := fmt.Sprintf("%s %d of %d used", dc, b.Used, b.Limit)
	if holds {
		words += ", by this node"
	}
	list = append(list, Guard{incident.RuleBudget, b.Used >= b.Limit && !holds, words})
	storm, why := incident.Storm(s.World, dc)
	if !storm {
		why = "no"
	}
	list = append(list, Guard{incident.RuleStorm, storm, why})
	list = append(list, modeGuard(s, n, dc))
	if s.StoreLost != "" {
		list = append(list, Guard{incident.IntentFirst, true, "the store does not answer: " + s.StoreLost})
	} else if why := s.World.Store.Unwritten; why != "" {
		list = append(list, Guard{incident.IntentFirst, true, "nothing is written to the store: " + why})
	}
	if s.World.Recovery.Waits() {
		list = append(list, Guard{incident.RuleEra, true, fmt.Sprintf("the store was recovered, era %d, and nobody has acknowledged that", s.World.Era)})
	}
	pause := Guard{incident.RulePaused, false, "no"}
	if p, paused := s.World.Holds.Paused(dc, s.At); paused {
		pause = Guard{incident.RulePaused, true, p.Words()}
	}
	list = append(list, pause)
	if floor, inPool := floorGuard(s, n); inPool {
		list = append(list, floor)
	}
	return list
}

// modeGuard forbids what the mode leaves to people.
func modeGuard(s Snapshot, n cluster.Name, dc cluster.Datacenter) Guard {
	mode := s.World.ModeOf(dc)
	r, open := openAt(s, n)
	if mode == incident.Assist && open && r.Proposal != nil {
		return Guard{incident.RuleMode, true, "assist: a person approves it first"}
	}
	return Guard{incident.RuleMode, mode == incident.Observe, mode.String()}
}

// floorGuard asks the pools whether the node could be taken out now.
func floorGuard(s Snapshot, n cluster.Name) (Guard, bool) {
	pools := s.World.Policy.PoolsOf(n)
	for _, d := range pools {
		pool := d.Pool(s.World.Pools[d.Name].Pool)
		if _, err := loadbalancer.Take(pool, []cluster.Name{n}, loadbalancer.Wish{Want: loadbalancer.Drain}, s.World.Sign); err != nil {
			return Guard{incident.PoolFloor, true, err.Error()}, true
		}
	}
	return Guard{incident.PoolFloor, false, "allows to take it out"}, len(pools) > 0
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
