// SPDX-License-Identifier: Apache-2.0

package api

import (
	"maps"
	"slices"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/isolate"
	"supervisor/membership"
)

// Node is everything about one node, every wanted beside its actual.
type Node struct {
	NodeLine
	HostID    cluster.HostID    `json:"host_id"`
	CQL       string            `json:"cql"`
	Storage   string            `json:"storage"`
	Labels    map[string]string `json:"labels"`
	Cassandra *CassandraLine    `json:"cassandra"` // as its agent last read it; null: never
	Agent     *AgentLine        `json:"agent"`     // null: its key is not there, which proves nothing
	Wanted    Wanted            `json:"wanted"`
	Actual    Actual            `json:"actual"`
	Margins   []Margin          `json:"margins"` // of the ranges it holds
	Observers []Ballot          `json:"observers"`
	Fence     *FenceLine        `json:"fence"`
	Outage    *OutageLine       `json:"outage"` // of its open incident
	Active    []Finding         `json:"active"`
	Events    []Event           `json:"events"` // the last five
}

// CassandraLine is what the node's agent knows of its Cassandra.
type CassandraLine struct {
	Cluster string `json:"cluster"`
	Address string `json:"address"`
	Version string `json:"version"`
	Schema  string `json:"schema"`
	Tokens  int    `json:"tokens"`
	Mode    string `json:"mode"`
}

// AgentLine is the agent on a host.
type AgentLine struct {
	Version string `json:"version"`
	Level   int    `json:"level"`
	Control bool   `json:"control"`
	Began   *Time  `json:"began"`
	Policy  int64  `json:"policy_version"` // that it goes by
	Unwell  bool   `json:"unwell"`         // abstains
}

// Wanted is what the store wants of a node.
type Wanted struct {
	Levels []string      `json:"levels"` // of the fence
	Start  isolate.Start `json:"start"`  // how the gate lets it start; unknown: nothing is said
	Pools  []string      `json:"pools"`
}

// Actual is what was read back of a node. Null means that nobody read it.
type Actual struct {
	Running  *bool    `json:"running"`
	Mode     string   `json:"mode"`
	Native   *bool    `json:"native"`
	Severity *float64 `json:"severity"`
	Applied  *bool    `json:"applied"` // the fence stands
	Pools    []string `json:"pools"`
}

// Ballot is the vote of one observer with its looks.
type Ballot struct {
	Observer  cluster.Name    `json:"observer"`
	Rack      cluster.Rack    `json:"rack"`
	Own       bool            `json:"own"` // the node's own agent
	Vote      membership.Vote `json:"vote"`
	Unwell    bool            `json:"unwell"`
	Duplicate bool            `json:"duplicate"`
	AgeMS     *int64          `json:"age_ms"` // of its last word; null: never heard
	Looks     []Look          `json:"looks"`
}

// Look is one way on which an observer looked.
type Look struct {
	Path    membership.Path    `json:"path"`
	Outcome membership.Outcome `json:"outcome"`
	Misses  int                `json:"misses"`
	HeldMS  int64              `json:"held_ms"` // the outcome has stood so long
	TookUS  int64              `json:"took_us"` // what answers typically take; 0: not known
}

// FenceLine is a standing fence and who says what of it.
type FenceLine struct {
	Levels   []string    `json:"levels"`
	Token    string      `json:"token"`
	Incident string      `json:"incident"`
	Seen     []FenceSeen `json:"seen"`
}

// FenceSeen is one agent's word about a fence.
type FenceSeen struct {
	Agent    cluster.Name  `json:"agent"`
	Own      bool          `json:"own"`     // the node's own agent: what it did stands under actual
	Current  bool          `json:"current"` // it has read this fence, not an earlier one
	Sight    isolate.Sight `json:"sight"`
	Severity float64       `json:"severity"`
}

// NodeOf is the page of one node.
func NodeOf(s Snapshot, name cluster.Name) (Node, error) {
	h, ok := s.World.Hosts[name]
	if !ok {
		return Node{}, noNode(s, string(name))
	}
	out := Node{NodeLine: nodeLine(s, h), HostID: h.HostID, CQL: h.CQL, Storage: h.Storage, Labels: map[string]string{},
		Wanted: Wanted{Levels: []string{}, Pools: poolWords(s, name)}, Actual: Actual{Pools: actualWords(PoolsOf(s), name)},
		Margins: nodeMargins(s, name), Observers: ballots(verdictOf(s, name)), Active: []Finding{}}
	maps.Copy(out.Labels, h.Labels)
	out.Fence = fenceOf(s, name)
	if out.Fence != nil {
		out.Wanted.Levels, out.Wanted.Start = out.Fence.Levels, s.World.Fences[name].Start
	}
	agentOf(s, name, &out)
	actualOf(s, name, &out.Actual)
	if r, open := openAt(s, name); open {
		o := incidentOf(s, r).Outage
		out.Outage = &o
	}
	for _, f := range FindingsOf(s) {
		if f.Subject == string(name) {
			out.Active = append(out.Active, f)
		}
	}
	out.Events = eventsOf(s, func(e incident.Entry) bool { return e.Subject.Node == name })
	const last = 5
	out.Events = out.Events[max(0, len(out.Events)-last):]
	return out, nil
}

func noNode(s Snapshot, name string) *Problem {
	var names []string
	for _, h := range roster(s) {
		names = append(names, string(h.Name))
	}
	return problem(NodeUnknown, name, "no node \""+name+"\" in cluster "+s.Cluster, didYouMean(name, names))
}

func agentOf(s Snapshot, name cluster.Name, out *Node) {
	a, ok := s.World.Agents[name]
	if !ok {
		return
	}
	out.Agent = &AgentLine{Version: a.Version, Level: a.Level, Control: a.Control, Began: at(a.Began), Policy: a.Policy,
		Unwell: s.World.View.Observers[name].Unwell}
	if c := a.Cassandra; c != nil {
		out.Cassandra = &CassandraLine{Cluster: c.Cluster, Address: c.Address, Version: c.Version, Schema: c.Schema, Tokens: c.Tokens, Mode: c.Mode}
		out.Actual.Mode = c.Mode
		if out.HostID == "" {
			out.HostID = c.HostID
		}
	}
}

// actualOf prefers what the own agent says under a fence; without a fence
// nobody writes that down, and the verdict alone says whether it runs.
func actualOf(s Snapshot, name cluster.Name, out *Actual) {
	if seen, ok := s.World.Seen[name][name]; ok && seen.Own != nil {
		own := *seen.Own
		out.Running, out.Native, out.Severity, out.Applied, out.Mode = &own.Running, &own.Native, &own.Severity, &own.Applied, own.Mode
		return
	}
	switch v := verdictOf(s, name); v.Own {
	case membership.Good, membership.Late:
		runs := true
		out.Running = &runs
	case membership.Exited:
		runs := false
		out.Running, out.Mode = &runs, ""
	case membership.NoWord, membership.Refused, membership.Silent, membership.Wrong, membership.Leaving:
	}
}

func ballots(v membership.Verdict) []Ballot {
	out := []Ballot{}
	for _, b := range v.Ballots {
		row := Ballot{Observer: b.Observer, Rack: b.Rack, Own: b.Own, Vote: b.Vote, Unwell: b.Unwell, Duplicate: b.Duplicate, Looks: []Look{}}
		if b.Vote != membership.Unheard || b.Age != 0 {
			age := ms(b.Age)
			row.AgeMS = &age
		}
		for _, c := range b.Cites {
			row.Looks = append(row.Looks, Look{Path: c.Path, Outcome: c.Outcome, Misses: c.Misses, HeldMS: ms(c.Held), TookUS: c.Took.Microseconds()})
		}
		out = append(out, row)
	}
	return out
}

func fenceOf(s Snapshot, name cluster.Name) *FenceLine {
	f, ok := s.World.Fences[name]
	if !ok {
		return nil
	}
	line := &FenceLine{Levels: levelWords(f.Levels), Token: f.Token.String(), Incident: f.Incident, Seen: []FenceSeen{}}
	for _, agent := range slices.Sorted(maps.Keys(s.World.Seen[name])) {
		seen := s.World.Seen[name][agent]
		line.Seen = append(line.Seen, FenceSeen{Agent: agent, Own: agent == name, Current: seen.Token.Compare(f.Token) >= 0, Sight: seen.Sight, Severity: seen.Severity})
	}
	return line
}

func levelWords(l isolate.Levels) []string {
	out := []string{}
	for _, level := range []isolate.Levels{isolate.Clients, isolate.Reads, isolate.Process} {
		if l.Has(level) {
			out = append(out, level.String())
		}
	}
	return out
}
