// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// Replayed is a recording as this program judges it.
type Replayed struct {
	Version string         `json:"version"` // of the program that recorded it
	Cluster string         `json:"cluster"`
	Agent   cluster.Name   `json:"agent"`
	From    time.Time      `json:"from"` // by the agent's wall clock
	Until   time.Time      `json:"until"`
	Turns   int            `json:"turns"`
	Nodes   []cluster.Name `json:"nodes"` // on the roster at some time
	Events  []Event        `json:"events"`
	// Differ are the nodes that this program judges otherwise at some time.
	Differ []cluster.Name `json:"differ"`
}

// Event is a moment at which something changed about a node.
type Event struct {
	MS   int64        `json:"t_ms"` // since the beginning of the recording
	At   time.Time    `json:"at"`
	Node cluster.Name `json:"node"`
	Standing
	Fence bool     `json:"fence"` // the bar of a fence is met
	Lacks []string `json:"lacks"` // what it lacks, of a node that is gone
	// Recorded is what was said when it was recorded, where that is something else.
	Recorded *Standing `json:"recorded,omitempty"`
}

// String is the event as a line of a story.
func (e Event) String() string {
	words := fmt.Sprintf("%.3fs %s %s", float64(e.MS)/1000, e.Node, e.Standing)
	switch {
	case e.Fence:
		words += " fence"
	case len(e.Lacks) > 0:
		words += " | " + strings.Join(e.Lacks, "; ")
	}
	if e.Recorded != nil {
		words += " | RECORDED: " + e.Recorded.String()
	}
	return words
}

// Replay judges a recording anew, turn by turn, and tells of one node, or of
// all for an empty name.
func Replay(from io.Reader, node cluster.Name) (Replayed, error) {
	x, err := Open(from)
	if err != nil {
		return Replayed{}, err
	}
	p := begin(x, node)
	for {
		t, err := x.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Replayed{}, err
		}
		p.turn(t)
	}
	p.out.Nodes = sorted(p.roster)
	return p.out, p.unknown(node)
}

// replay is a judge at work on a recording.
type replay struct {
	header Header
	node   cluster.Name
	began  cluster.Moment
	view   membership.View
	said   map[cluster.Name]standing
	roster map[cluster.Name]bool
	differ map[cluster.Name]bool
	out    Replayed
}

// standing is how a node stands, here and when it was recorded.
type standing struct {
	here, recorded Standing
	fence          bool
}

func begin(x *Reader, node cluster.Name) *replay {
	h := x.Header
	p := &replay{header: h, node: node, began: x.memory.now, view: x.Start, said: map[cluster.Name]standing{}, roster: map[cluster.Name]bool{}, differ: map[cluster.Name]bool{},
		out: Replayed{Version: h.Version, Cluster: h.Cluster, Agent: h.Agent, From: h.At(x.memory.now), Events: []Event{}, Nodes: []cluster.Name{}, Differ: []cluster.Name{}}}
	for _, n := range sorted(x.Start.Verdicts) {
		s := StandingOf(x.Start.Verdicts[n])
		p.said[n] = standing{here: s, recorded: s}
		if n == node || node == "" && s.Answer != membership.Alive {
			p.tell(n, Turn{Now: x.memory.now, Rules: x.memory.rules})
		}
	}
	return p
}

func (p *replay) turn(t Turn) {
	before := p.view
	p.view = membership.Judge(before, t.Fresh, t.Topology, t.Rules.Bars, t.Now)
	p.out.Turns++
	p.out.Until = p.header.At(t.Now)
	if !before.Topology.Same(t.Topology) || p.out.Turns == 1 {
		for n := range t.Topology.Nodes { // order: a set
			p.roster[n] = true
		}
	}
	touched := map[cluster.Name]bool{}
	for _, c := range t.Changes {
		s := p.said[c.Node]
		s.recorded = c.Standing
		touched[c.Node], p.said[c.Node] = p.differ[c.Node] || s.recorded != s.here, s
	}
	for _, c := range Changes(before, p.view) {
		s := p.said[c.Node]
		s.here = c.Standing
		touched[c.Node], p.said[c.Node] = true, s
	}
	for n, s := range p.said { // order: sorted below
		if s.here.Answer == membership.Gone || s.fence {
			met, _ := p.fence(n, t)
			touched[n] = touched[n] || met != s.fence
		}
	}
	for _, n := range sorted(touched) {
		if touched[n] {
			p.tell(n, t)
		}
	}
}

// fence holds a verdict against the bar of a fence.
func (p *replay) fence(n cluster.Name, t Turn) (met bool, lacks []string) {
	return membership.FenceBar(p.view.Verdicts[n], t.Rules.Bars, t.Rules.FenceAge, t.Now)
}

// tell notes how a node stands now.
func (p *replay) tell(n cluster.Name, t Turn) {
	s := p.said[n]
	e := Event{MS: t.Now.Sub(p.began).Milliseconds(), At: p.header.At(t.Now), Node: n, Standing: s.here, Lacks: []string{}}
	if s.here.Answer == membership.Gone {
		e.Fence, e.Lacks = p.fence(n, t)
		if e.Fence {
			e.Lacks = []string{}
		}
	}
	s.fence = e.Fence
	p.said[n] = s
	differed := p.differ[n]
	if s.here != s.recorded {
		e.Recorded = &s.recorded
		p.differ[n] = true
	}
	if p.node != "" && p.node != n {
		return
	}
	if !differed && p.differ[n] {
		p.out.Differ = append(p.out.Differ, n)
	}
	p.out.Events = append(p.out.Events, e)
}

// unknown refuses a node that the recording does not know.
func (p *replay) unknown(node cluster.Name) error {
	if node == "" || p.roster[node] {
		return nil
	}
	return UnknownNode{node, p.out.Nodes}
}

// UnknownNode is a node that a recording does not know.
type UnknownNode struct {
	Node  cluster.Name
	Known []cluster.Name
}

// Error says which ones it knows.
func (e UnknownNode) Error() string {
	return fmt.Sprintf("the recording knows no node %s", e.Node)
}

func sorted[V any](m map[cluster.Name]V) []cluster.Name {
	names := make([]cluster.Name, 0, len(m))
	for n := range m { // order: sorted below
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Describe is the story of a recording: a line for each event.
func Describe(x Replayed) string {
	var b strings.Builder
	for _, e := range x.Events {
		b.WriteString(e.String() + "\n")
	}
	return b.String()
}
