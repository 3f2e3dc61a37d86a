// SPDX-License-Identifier: Apache-2.0

package api

import (
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// Nodes is the answer of /v1/nodes.
type Nodes struct {
	Nodes  []NodeLine `json:"nodes"`
	Agents Count      `json:"agents"` // that have a living key, of those on the roster
}

// Count is how many of how many.
type Count struct {
	Have int `json:"have"`
	Of   int `json:"of"`
}

// NodeLine is one node in one line.
type NodeLine struct {
	Name       cluster.Name       `json:"name"`
	Region     cluster.Region     `json:"region"`
	Datacenter cluster.Datacenter `json:"datacenter"`
	Rack       cluster.Rack       `json:"rack"`
	Leads      bool               `json:"leads"`
	Serving    Serving            `json:"serving"`
	Verdict    string             `json:"verdict"` // one of Verdicts
	Answer     membership.Answer  `json:"answer"`
	Cause      membership.Cause   `json:"cause"`
	Since      *Time              `json:"since"` // of the verdict
	Votes      VoteCount          `json:"votes"`
	Fenced     []string           `json:"fenced"` // levels that are wanted; the verdict is then the one that opened the incident
	Weight     *int               `json:"weight"` // percent, the smallest of its pools; 0: out; null: in no pool
	Incident   string             `json:"incident"`
	Phase      string             `json:"phase"` // of the open incident
	Step       *Step              `json:"step"`
	Findings   []string           `json:"findings"`
}

// VoteCount is a verdict in numbers.
type VoteCount struct {
	For      int `json:"for"`
	Against  int `json:"against"`
	Abstain  int `json:"abstain"`
	Heard    int `json:"heard"`
	Eligible int `json:"eligible"`
	// Agreeing is how many share the answer that stands.
	Agreeing int `json:"agreeing"`
	Racks    int `json:"racks"`
}

// Step is where a return stands.
type Step struct {
	Name   string `json:"name"` // one of incident.ReturnSteps
	Number int    `json:"number"`
	Of     int    `json:"of"`
	Done   int    `json:"done"`  // segments repaired or compared in this round
	Total  int    `json:"total"` // segments of this round; 0: neither is on
	Try    int    `json:"try"`
	Round  int    `json:"round"`
}

// NodesOf lists the nodes of the roster by datacenter, rack and name.
func NodesOf(s Snapshot) Nodes {
	out := Nodes{Nodes: []NodeLine{}, Agents: Count{Of: len(s.World.Hosts)}}
	for _, h := range roster(s) {
		out.Nodes = append(out.Nodes, nodeLine(s, h))
		if _, ok := s.World.Agents[h.Name]; ok {
			out.Agents.Have++
		}
	}
	return out
}

// roster is the hosts in the order in which people look for them.
func roster(s Snapshot) []cluster.Host {
	var hosts []cluster.Host
	for _, h := range s.World.Hosts {
		hosts = append(hosts, h)
	}
	slices.SortFunc(hosts, func(a, b cluster.Host) int {
		for _, c := range []int{strings.Compare(string(a.Region), string(b.Region)), strings.Compare(string(a.Datacenter), string(b.Datacenter)),
			strings.Compare(string(a.Rack), string(b.Rack))} {
			if c != 0 {
				return c
			}
		}
		return strings.Compare(string(a.Name), string(b.Name))
	})
	return hosts
}

func nodeLine(s Snapshot, h cluster.Host) NodeLine {
	v := verdictOf(s, h.Name)
	n := NodeLine{Name: h.Name, Region: h.Region, Datacenter: h.Datacenter, Rack: h.Rack, Leads: s.Leader == h.Name,
		Serving: servingOf(s, h.Name), Answer: v.Answer, Cause: v.Cause, Verdict: verdictWord(v.Answer, v.Cause), Since: s.ago(v.Since),
		Votes: voteCount(v), Fenced: []string{}, Weight: weightOf(s, h.Name), Findings: []string{}}
	if f, ok := s.World.Fences[h.Name]; ok && f.Levels != 0 {
		n.Fenced = levelWords(f.Levels)
	}
	if r, ok := openAt(s, h.Name); ok {
		n.Incident, n.Phase, n.Step = r.ID, r.Phase.String(), stepOf(r)
		if len(n.Fenced) > 0 && causeOf(r) != byHand && !r.OfSlowness() {
			n.Answer, n.Cause, n.Verdict, n.Since = membership.Gone, r.Cause, verdictWord(membership.Gone, r.Cause), at(r.Began)
			n.Votes = VoteCount{For: r.Votes.For, Heard: r.Votes.Heard, Eligible: r.Votes.Of, Agreeing: r.Votes.For, Racks: r.Votes.Racks}
		}
	}
	for _, f := range s.findings() {
		aboutNode := f.Scope == incident.ScopeNode || f.Scope == incident.ScopeAgent
		if aboutNode && f.Subject == string(h.Name) {
			n.Findings = append(n.Findings, f.Code)
		}
	}
	return n
}

func verdictOf(s Snapshot, n cluster.Name) membership.Verdict {
	v, ok := s.World.View.Verdicts[n]
	if !ok {
		v.Node, v.Of = n, len(s.World.Topology.Watch[n])
	}
	return v
}

// servingOf never takes silence for an answer: a node that nobody judged is
// unknown, not down.
func servingOf(s Snapshot, n cluster.Name) Serving {
	f, fenced := s.World.Fences[n]
	switch a := verdictOf(s, n).Answer; {
	case fenced && f.Levels != 0 && !f.Avoids():
		return ServingNo
	case a == membership.Alive:
		return ServingYes
	case a == membership.Gone:
		return ServingNo
	}
	return ServingUnknown
}

func voteCount(v membership.Verdict) VoteCount {
	c := VoteCount{For: v.For, Against: v.Against, Abstain: v.Abstain, Heard: v.Heard, Eligible: v.Of, Racks: v.Racks, Agreeing: v.For}
	if v.Answer == membership.Alive {
		c.Agreeing = v.Against
	}
	return c
}

// weightOf is the smallest weight that is wanted of the node in its pools.
func weightOf(s Snapshot, n cluster.Name) *int {
	var least *int
	for _, d := range s.World.Policy.PoolsOf(n) {
		w := percent(d.Pool(s.World.Pools[d.Name].Pool).Wants[n])
		if least == nil || w < *least {
			least = &w
		}
	}
	return least
}

func percent(w loadbalancer.Wish) int {
	if w.Want != loadbalancer.Ready {
		return 0
	}
	return w.Weight
}

func openAt(s Snapshot, n cluster.Name) (incident.Record, bool) {
	i := slices.IndexFunc(s.Open, func(r incident.Record) bool { return r.Node == n })
	if i < 0 {
		return incident.Record{}, false
	}
	return s.Open[i], true
}

func stepOf(r incident.Record) *Step {
	if r.Return == nil {
		return slowStep(r)
	}
	st := &Step{Name: r.Return.Step.String(), Number: int(r.Return.Step) + 1, Of: len(incident.ReturnSteps()),
		Try: r.Return.Tries, Round: r.Return.Rounds + 1}
	repairs := r.Return.Step == incident.Repairing || r.Return.Step == incident.RepairingAgain
	switch {
	case r.Return.Job != nil && repairs:
		st.Done, st.Total = r.Return.Job.Progress()
	case r.Return.Step == incident.Previewing:
		st.Done, st.Total = r.Return.Comparison().Progress()
	}
	return st
}

// since is how long ago a wall time was at the snapshot, never negative.
func (s Snapshot) since(t time.Time) time.Duration { return max(0, s.At.Sub(t)) }
