// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/membership"
)

// Status is the answer of /v1/status: whether somebody must get up, and why.
type Status struct {
	State       State            `json:"state"`
	Why         []string         `json:"why"` // what makes it so, most pressing first; empty when healthy
	Cluster     string           `json:"cluster"`
	Mode        string           `json:"mode"` // of all datacenters, or "mixed"
	Nodes       ServingCount     `json:"nodes"`
	Datacenters []DatacenterLine `json:"datacenters"`
	Pools       PoolCount        `json:"pools"`
	Store       StoreLine        `json:"store"`
	Policy      PolicyLine       `json:"policy"`
	Incidents   []IncidentLine   `json:"incidents"` // open, oldest first
	Suspects    []Suspect        `json:"suspects"`  // nodes that do not answer and have no incident
	Last        *IncidentLine    `json:"last"`      // the one closed last
	Findings    []Finding        `json:"findings"`
}

// Suspect is a node that does not answer and has no incident.
type Suspect struct {
	Name    cluster.Name `json:"name"`
	Verdict string       `json:"verdict"`
	Votes   VoteCount    `json:"votes"`
}

// ServingCount counts nodes by whether they serve.
type ServingCount struct {
	Serving int `json:"serving"`
	Unknown int `json:"unknown"`
	Total   int `json:"total"`
}

// DatacenterLine is one datacenter in one line.
type DatacenterLine struct {
	Region     cluster.Region     `json:"region"`
	Datacenter cluster.Datacenter `json:"datacenter"`
	Mode       incident.Mode      `json:"mode"`
	Nodes      ServingCount       `json:"nodes"`
	Margin     *Margin            `json:"margin"` // null: not known
	Leader     cluster.Name       `json:"leader"`
	Budget     Budget             `json:"budget"`
	Storm      string             `json:"storm"`  // why nothing destructive starts; empty: none
	Paused     *PauseLine         `json:"paused"` // null: nobody paused it
}

// Budget is how many nodes of a datacenter are out, and how many may be.
type Budget struct {
	Used  int `json:"used"`
	Limit int `json:"limit"`
}

// PoolCount says how many pools stand as they are wanted.
type PoolCount struct {
	InStep  int `json:"in_step"`
	Total   int `json:"total"`
	Proxies int `json:"proxies"`
}

// StoreLine is the store in one line.
type StoreLine struct {
	Available bool   `json:"available"`
	Lost      string `json:"lost"`      // why it does not answer
	CommitMS  *int64 `json:"commit_ms"` // of this agent's last commit; null: it made none
	Era       uint32 `json:"era"`       // raised whenever the store is recovered; 0: it was not read yet
	Waits     bool   `json:"waits"`     // it was recovered, and nobody has acknowledged that
}

// PolicyLine is the policy in one line.
type PolicyLine struct {
	Version int64  `json:"version"` // 0: none was applied
	Unread  bool   `json:"unread"`  // it stands, and this agent cannot read it
	By      string `json:"by"`
	Why     string `json:"why"`
}

// StatusOf computes the status.
func StatusOf(s Snapshot) Status {
	out := Status{Cluster: s.Cluster, Mode: modeWord(s), Datacenters: []DatacenterLine{}, Incidents: openLines(s), Suspects: suspects(s),
		Last: lastClosed(s), Findings: FindingsOf(s), Store: StoreLine{Available: s.StoreLost == "", Lost: s.StoreLost, Era: s.World.Era, Waits: s.World.Recovery.Waits()}}
	if s.StoreCommit > 0 {
		took := ms(s.StoreCommit)
		out.Store.CommitMS = &took
	}
	p := PolicyOf(s)
	out.Policy = PolicyLine{p.Version, p.Unread, p.By, p.Why}
	for _, dc := range datacenters(s) {
		line := datacenterLine(s, dc)
		out.Datacenters = append(out.Datacenters, line)
		out.Nodes.Serving += line.Nodes.Serving
		out.Nodes.Unknown += line.Nodes.Unknown
		out.Nodes.Total += line.Nodes.Total
	}
	out.Pools = poolCount(PoolsOf(s))
	out.State, out.Why = stateOf(s)
	return out
}

func datacenterLine(s Snapshot, dc cluster.Datacenter) DatacenterLine {
	line := DatacenterLine{Datacenter: dc, Mode: s.World.ModeOf(dc), Margin: tightest(s, dc, ""), Budget: budgetOf(s, dc), Paused: pauseOf(s, dc)}
	for _, h := range roster(s) {
		if h.Datacenter != dc {
			continue
		}
		line.Region = h.Region
		line.Nodes.Total++
		switch servingOf(s, h.Name) {
		case ServingYes:
			line.Nodes.Serving++
		case ServingUnknown:
			line.Nodes.Unknown++
		case ServingNo:
		}
	}
	if line.Region == s.Region {
		line.Leader = s.Leader
	}
	if storm, why := incident.Storm(s.World, dc); storm {
		line.Storm = why
	}
	return line
}

func budgetOf(s Snapshot, dc cluster.Datacenter) Budget {
	b := Budget{Used: len(s.Ledgers[dc].Holders), Limit: incident.DefaultPolicy().Budgets.NodesPerDatacenter}
	if s.World.Policy != nil {
		b.Limit = s.World.Policy.Budgets.NodesPerDatacenter
	}
	return b
}

func datacenters(s Snapshot) []cluster.Datacenter {
	var out []cluster.Datacenter
	for _, h := range roster(s) {
		if !slices.Contains(out, h.Datacenter) {
			out = append(out, h.Datacenter)
		}
	}
	return out
}

func modeWord(s Snapshot) string {
	word := ""
	for _, dc := range datacenters(s) {
		m := s.World.ModeOf(dc).String()
		if word != "" && word != m {
			return "mixed"
		}
		word = m
	}
	return word
}

// stateOf chooses the word, worst first, and says what makes it so.
func stateOf(s Snapshot) (State, []string) {
	if why := blind(s); len(why) > 0 {
		return Blind, why
	}
	if why := needsYou(s); len(why) > 0 {
		return NeedsYou, why
	}
	if why := degraded(s); len(why) > 0 {
		return Degraded, why
	}
	return Healthy, []string{}
}

// blind lists why nothing is judged. An agent that does not judge itself is
// not blind while somebody leads: its answer is partial.
func blind(s Snapshot) []string {
	var why []string
	switch {
	case s.World.Store.Back != "":
		why = append(why, "another store answers than the one that is known: "+s.World.Store.Back)
	case s.StoreLost != "":
		why = append(why, "the store does not answer: "+s.StoreLost)
	case s.World.Store.Unwritten != "":
		why = append(why, "nothing is written to the store: "+s.World.Store.Unwritten)
	}
	if s.Leader == "" {
		why = append(why, "nobody leads the region")
	}
	if len(s.World.Hosts) == 0 {
		why = append(why, "no host is on the roster")
	}
	heard, of := s.World.View.Hearing()
	if of = max(of, len(s.World.Topology.Nodes)); s.judges() && 2*heard < of { // the judge may not know the roster yet
		why = append(why, fmt.Sprintf("only %d of %s %s heard", heard, Counted(of, "observer"), Plural(heard, "is", "are")))
	}
	return why
}

func needsYou(s Snapshot) []string {
	var why []string
	for _, r := range s.Open {
		switch {
		case r.Asks():
			why = append(why, fmt.Sprintf("%s about %s is held: %s", r.ID, r.Node, r.Held))
		case watched(r):
			why = append(why, fmt.Sprintf("%s about %s: mode observe only looks", r.ID, r.Node))
		}
	}
	for _, f := range s.findings() {
		_, told := openAt(s, cluster.Name(f.Subject))
		told = told && f.Scope == incident.ScopeNode || f.Code == "INCIDENT_HELD"
		if f.Severity == incident.Error && !told && !soonHandled(s, f) && s.muted(f) == nil {
			why = append(why, f.Code+": "+f.Sentence)
		}
	}
	return why
}

// soonMax is how long after its first bad look a node may be without an incident:
// a new leader needs a lease's end and a window of listening, 8 s, to open one.
const soonMax = 15 * time.Second

// soonHandled tells whether the leader opens an incident for this finding in
// its next turn: a verdict is known a moment before its incident is written.
// One that is not written for long is not handled by anybody, whatever the
// leader's reason is.
func soonHandled(s Snapshot, f incident.Finding) bool {
	n := cluster.Name(f.Subject)
	v := verdictOf(s, n)
	if _, open := openAt(s, n); open || f.Scope != incident.ScopeNode || s.overdue(v) {
		return false
	}
	return incident.Worth(v) && s.World.ModeOf(s.World.Hosts[n].Datacenter) != incident.Observe
}

// overdue tells whether an incident about a node should stand by now.
func (s Snapshot) overdue(v membership.Verdict) bool { return s.World.Now.Sub(v.Since) >= soonMax }

func degraded(s Snapshot) []string {
	var why []string
	for _, r := range s.Open {
		why = append(why, fmt.Sprintf("%s about %s: %s, %s", r.ID, r.Node, cluster.Title(causeOf(r)), cluster.Title(r.Phase.String())))
	}
	for _, f := range s.findings() {
		if f.Severity != incident.Info && f.Handled == "" && s.muted(f) == nil {
			why = append(why, f.Code+": "+f.Sentence)
		}
	}
	for _, x := range suspects(s) {
		why = append(why, fmt.Sprintf("%s: %s", x.Name, cluster.Title(x.Verdict)))
	}
	return why
}

// suspects are nodes that do not answer and have no incident: none yet, or
// the bar for one is not met.
func suspects(s Snapshot) []Suspect {
	out := []Suspect{}
	for _, h := range roster(s) {
		v := verdictOf(s, h.Name)
		if _, open := openAt(s, h.Name); open || !s.judges() || v.Answer == membership.Alive || v.Cause == membership.Planned {
			continue
		}
		out = append(out, Suspect{h.Name, verdictWord(v.Answer, v.Cause), voteCount(v)})
	}
	return out
}

// CheckState is what a monitor is told. An answer that misses something is never
// healthy: whoever does not see the nodes would be green whatever befalls them.
// What is wrong by a part of the picture is wrong.
func CheckState(e Envelope[Status]) State {
	if e.Partial && e.Data.State == Healthy {
		return Blind
	}
	return e.Data.State
}

// Check is the one line of `supervisor check`.
func Check(s Status) string {
	words := []string{fmt.Sprintf("%d of %s %s", s.Nodes.Serving, Counted(s.Nodes.Total, "node"), Plural(s.Nodes.Serving, "serves", "serve"))}
	if s.Nodes.Unknown > 0 {
		words[0] += fmt.Sprintf(", %d unknown", s.Nodes.Unknown)
	}
	if len(s.Why) > 0 {
		words = append([]string{s.Why[0]}, words...)
	}
	if more := len(s.Why) - 1; more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, " · ")
}
