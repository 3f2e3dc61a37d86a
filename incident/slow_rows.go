// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// slowRows are about nodes that answer, and slower than their peers.
func slowRows() []Row {
	return []Row{
		{"SLOW_NODES", Warning, ScopeDC, "{count} nodes of {datacenter} are slow ({nodes}): {evidence}; {horizon}",
			"look at what they share: a rack, a switch, storage, a batch job, a version, a table; then at each of them", true, slowSeveral},
		{"SLOW_NODE", Warning, ScopeNode, "{node} {evidence}; {horizon}",
			"look at its disk, its collections and its compactions, then at its host; restart it or replace the disk", true, slowAlone},
	}
}

// slowSeveral lists the datacenters in which more than one node is slow: that is
// seldom the fault of each.
func slowSeveral(w World) []Subjected {
	var out []Subjected
	for _, dc := range w.datacenters() {
		slow := w.slowNodes(dc)
		if len(slow) < 2 {
			continue
		}
		worst := slices.MaxFunc(slow, func(a, b cluster.Name) int {
			return int(w.verdict(a).Slow.Typical - w.verdict(b).Slow.Typical)
		})
		out = append(out, subject(string(dc), "datacenter", string(dc), "count", count(len(slow)), "nodes", names(slow),
			"evidence", fmt.Sprintf("%s %s", worst, slowEvidence(w.verdict(worst).Slow)), "horizon", w.severalHorizon(dc)))
	}
	return out
}

// severalHorizon says what is done about slow nodes of a datacenter.
func (w *World) severalHorizon(dc cluster.Datacenter) string {
	for _, r := range w.Open {
		if r.Datacenter == dc && r.OfSlowness() && r.Phase != Suspected {
			return fmt.Sprintf("%s is as %s has it, and nothing more is done before one of them alone is slow", r.Node, r.ID)
		}
	}
	return "nothing is done before one of them alone is slow"
}

// slowAlone lists the nodes that are slow alone in their datacenter, and those whose
// open incident is about that.
func slowAlone(w World) []Subjected {
	var out []Subjected
	for _, n := range w.nodes() {
		dc := w.Topology.Nodes[n].Datacenter
		i := slices.IndexFunc(w.Open, func(r Record) bool { return r.Node == n && r.OfSlowness() })
		v := w.verdict(n)
		if i < 0 && (!slowNow(v) || len(w.slowNodes(dc)) > 1) {
			continue
		}
		evidence := "was slow and is not told to be so at this moment"
		if slowNow(v) {
			evidence = slowEvidence(v.Slow)
		}
		out = append(out, subject(string(n), "node", string(n), "evidence", evidence, "horizon", SlowNext(w, n)))
	}
	return out
}

// aloneHorizon is what comes next of a slow node about which no incident is open.
func (w *World) aloneHorizon(n cluster.Name, dc cluster.Datacenter) string {
	if why := w.slowMode(dc); why != "" {
		return "nothing is done: " + why
	}
	if p, paused := w.Holds.Paused(dc, w.Wall); paused {
		return "nothing is done: " + p.Words()
	}
	if f := w.slowFault(n, dc); f != nil {
		return "nothing is done: " + f.reason
	}
	return "the leader opens an incident at its next turn"
}

// slowHorizon is what comes next of a slow node that is answered.
func (r Record) slowHorizon(bars SlowBars) string {
	switch {
	case r.Phase == Held:
		return "it waits for a person: " + r.Held
	case r.Phase == Verifying:
		return "it is being given back"
	case r.Slow.Over:
		return fmt.Sprintf("it is given back when it has not been slow for %s", seconds(bars.OverAfter))
	}
	next := map[SlowStep]string{
		Lowering:     "it is drained if that does not help",
		Lowered:      fmt.Sprintf("it is drained if it is slow for %s more", seconds(bars.DrainAfter)),
		SlowDraining: "its Severity is raised if it stays slow",
		SlowDrained:  fmt.Sprintf("its Severity is raised if it is slow for %s more", seconds(bars.SeverityAfter)),
	}[r.Slow.Step]
	if next == "" {
		next = fmt.Sprintf("a person is asked when it has been slow for %s", bars.AskAfter)
	}
	return r.Slow.Step.done() + "; " + next
}

// SlowNext says what comes next of a node that is slow.
func SlowNext(w World, n cluster.Name) string {
	if i := slices.IndexFunc(w.Open, func(r Record) bool { return r.Node == n && r.OfSlowness() }); i >= 0 {
		return w.Open[i].slowHorizon(w.Policy.slow())
	}
	return w.aloneHorizon(n, w.Topology.Nodes[n].Datacenter)
}

// SlowOver is how long a node has to be not slow before it is given back.
func SlowOver(w World) time.Duration { return w.Policy.slow().OverAfter }

// Slow tells whether a verdict is that a node is slow, by enough observers to be
// answered.
func Slow(v membership.Verdict) bool { return slowNow(v) }
