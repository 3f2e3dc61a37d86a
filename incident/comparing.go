// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"strings"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/repair"
)

const (
	// previewBatch is how many segments one order compares. They may be more
	// than those of a repair: nothing is streamed, and what an order finished
	// within its limit is kept.
	previewBatch = 16
	// looksMax is how often tables are compared again whose rows tell nothing.
	looksMax = 5
)

// Comparison is the finished repair once more, as another coordinator than the
// node compares it: the same segments, of which others are done.
func (r Return) Comparison() repair.Job {
	if r.Job == nil {
		return repair.Job{}
	}
	return repair.Job{Segments: r.Job.Segments, Done: r.Compared}
}

// uncompare forgets what was compared and read before a repair.
func (r *Return) uncompare() {
	r.Compared, r.Differs, r.Read, r.Unread, r.Looks = nil, nil, nil, nil, 0
}

// preview orders the next part of the comparison. Every segment is compared,
// in as many orders as it takes.
func (t *turn) preview() {
	if t.r.Return.Comparison().Complete() {
		t.compared()
		return
	}
	if t.proofWaits() {
		return
	}
	agent, segments := t.previewPlan()
	t.order(Once{Verb: VerbPreview, Agent: agent, Segments: segments}, LimitMax)
}

// planLost goes back to a repair when what was repaired cannot be read any more:
// without it nothing can be compared.
func (t *turn) planLost() bool {
	ret := t.r.Return
	if ret.Step != Previewing || len(t.r.Pending) > 0 || ret.Job == nil || !ret.Job.Lost() {
		return false
	}
	fenced := t.keptFromReaders()
	if !fenced && t.quorumFault() != "" {
		t.hold(QuorumSurvives, "what was repaired cannot be read in the store, so it cannot be compared")
		return true
	}
	t.say(Saw, "saw_plan_lost")
	t.under(RuleVerify)
	t.behindFence()
	t.enter(Returning)
	if !fenced {
		t.fence(isolate.Clients|isolate.Reads, isolate.Hibernate)
	}
	return true
}

// proofWaits tells whether the next step of a proof waits for other nodes, and
// says for what: for one that can be asked, or, before the node is opened, for
// those that whoever reads through it would read from.
func (t *turn) proofWaits() bool {
	comparing := t.r.Return.Step == Previewing
	if comparing && t.r.Return.Comparison().Complete() {
		rest := t.unrepaired()
		if len(rest) > 0 {
			t.waitForOthers(RuleRepairQuorum, "waits_repaired", "peers", names(rest))
		}
		return len(rest) > 0
	}
	agent := t.reader()
	if comparing {
		agent, _ = t.previewPlan()
	}
	if agent == "" {
		t.waitForOthers(RuleReach, "waits_reader", "node", string(t.r.Node))
	}
	return agent == ""
}

// previewPlan chooses a live peer and the next segments that are not compared
// yet and that it may compare, with itself as coordinator. A segment of which no
// peer can be asked waits.
func (t *turn) previewPlan() (cluster.Name, []repair.Segment) {
	var agent cluster.Name
	var segments []repair.Segment
	todo := t.r.Return.Comparison()
	for _, i := range todo.Batch(len(todo.Segments)) {
		s := todo.Segments[i]
		if agent == "" {
			agent = t.coordinator(s)
		}
		if agent != "" && len(segments) < previewBatch && t.mayCompare(agent, s) {
			segments = append(segments, t.seenFrom(agent, s))
		}
	}
	return agent, segments
}

// coordinator is the first peer of a segment that serves and has an agent, and
// while none does, one behind its fence: in a ring that is fenced as a whole
// nobody serves until one was compared.
func (t *turn) coordinator(s repair.Segment) cluster.Name {
	for _, h := range s.Hosts {
		if t.w.Serves(h) && t.mayCompare(h, s) {
			return h
		}
	}
	for _, h := range s.Hosts {
		if t.mayCompare(h, s) {
			return h
		}
	}
	if t.mayCompare(t.r.Node, s) {
		return t.r.Node
	}
	return ""
}

// comparesItself tells whether no other Cassandra of this region has a copy of a
// segment that others have: the agents there take no orders from here, so the node's
// own one compares with them.
func (t *turn) comparesItself(s repair.Segment) bool {
	return len(s.Hosts) > 1 && !slices.ContainsFunc(s.Hosts, func(h cluster.Name) bool {
		_, foreign := t.w.Abroad[h]
		return h != t.r.Node && !foreign
	})
}

// mayCompare tells whether a peer may compare a segment. One behind its fence,
// which lacks writes itself perhaps, does so only with every replica that the
// repair counted: fewer could agree about what they all lack.
func (t *turn) mayCompare(peer cluster.Name, s repair.Segment) bool {
	_, reachable := t.w.Agents[peer]
	if !reachable || !slices.Contains(s.Hosts, peer) {
		return false
	}
	if peer == t.r.Node {
		return t.comparesItself(s)
	}
	return t.w.Serves(peer) || !slices.ContainsFunc(s.Hosts, func(h cluster.Name) bool { return h != t.r.Node && !t.w.compares(h) })
}

// seenFrom is a segment as a peer compares it: one that serves with the replicas
// that serve, as one that stopped since the repair would only make it fail; one
// behind its fence with all of them.
func (t *turn) seenFrom(peer cluster.Name, s repair.Segment) repair.Segment {
	out := repair.Segment{Keyspace: s.Keyspace, Tables: s.Tables, Ranges: s.Ranges, Hosts: []cluster.Name{peer}}
	if again := tablesIn(t.r.Return.Unread, s); again != nil {
		out.Tables = again
	}
	all := !t.w.Serves(peer) && peer != t.r.Node
	for _, h := range s.Hosts {
		if h != peer && (h == t.r.Node || all || t.w.Serves(h)) {
			out.Hosts = append(out.Hosts, h)
		}
	}
	return out
}

// tablesIn are the tables of one segment among keyspace.table names.
func tablesIn(names []string, s repair.Segment) []string {
	var out []string
	for _, n := range names {
		ks, table, ok := strings.Cut(n, ".")
		if ok && ks == s.Keyspace && (len(s.Tables) == 0 || slices.Contains(s.Tables, table)) {
			out = append(out, table)
		}
	}
	return out
}

// previewTold folds in what a comparison found, also one that did not get to
// its end: what it names differs, and its segments that are done are compared.
func (t *turn) previewTold(o Once, res Result, all bool) {
	ret := t.r.Return
	for _, d := range res.Differs {
		if !slices.Contains(ret.Differs, d) {
			ret.Differs = append(ret.Differs, d)
		}
	}
	slices.Sort(ret.Differs)
	for i, s := range o.Segments {
		if all || slices.Contains(res.Done, o.First+i) {
			job := ret.Comparison()
			n := slices.IndexFunc(job.Segments, func(of repair.Segment) bool { return of.Holds(s) })
			ret.Compared = job.Mark(n).Done
		}
	}
}

// previewGoesOn orders the rest of the comparison, or ends it.
func (t *turn) previewGoesOn() {
	if t.r.Return.Comparison().Complete() {
		t.compared()
		return
	}
	t.nextStep()
	t.preview()
}

// compared takes the word of a whole comparison. What differs may be a running
// writer's doing; those tables are read row by row through the node itself.
func (t *turn) compared() {
	ret := t.r.Return
	if len(ret.Unread) > 0 {
		t.comparedAgain()
		return
	}
	if t.proofWaits() {
		return
	}
	switch {
	case len(ret.Comparison().Segments) == 0:
		t.say(Proved, "proved_nothing_shared", "node", string(t.r.Node))
	case len(ret.Differs) == 0 && slices.ContainsFunc(ret.Job.Segments, t.comparesItself):
		t.say(Proved, "proved_preview_itself", "node", string(t.r.Node))
	case len(ret.Differs) == 0:
		t.say(Proved, "proved_preview", "node", string(t.r.Node))
	default:
		t.say(Saw, "saw_preview_differs", "tables", someOf(ret.Differs))
		t.under(RuleVerify)
	}
	t.mark(StageReturned)
	t.open()
}

// rowsGood goes on after rows none of which was old. A table that differed and
// of which no row was read is not proven by that.
func (t *turn) rowsGood(o Once, res Result) {
	ret := t.r.Return
	var names []string
	for _, k := range o.Rows {
		names = append(names, k.name())
		mute := res.Read == 0 || slices.Contains(res.Unread, k.name())
		if mute && slices.Contains(ret.Differs, k.name()) {
			ret.Unread = append(ret.Unread, k.name())
		}
	}
	ret.Read = append(ret.Read, names...)
	if res.Read > 0 {
		t.say(Proved, "proved_rows", "read", count(res.Read), "node", string(t.r.Node))
	} else {
		t.say(Saw, "saw_no_rows", "tables", someOf(names))
		t.under(RuleVerify)
	}
	switch {
	case len(t.rows()) > 0:
		t.readRows()
	case len(ret.Unread) > 0:
		t.compareAgain(ret.Unread)
	default:
		t.ramp(Ramping)
	}
}

// compareAgain begins a comparison of some tables alone, which is ordered after
// a pause. Their replicas differed, and their rows cannot tell whether that was
// a running writer: counters, collections, keys, or no row at all.
func (t *turn) compareAgain(tables []string) {
	ret := t.r.Return
	ret.Unread, ret.Differs, ret.Compared = tables, nil, nil
	ret.Looks++
	for i, s := range ret.Job.Segments {
		if tablesIn(tables, s) == nil {
			ret.Compared = ret.Comparison().Mark(i).Done
		}
	}
	t.to(Previewing)
	t.wait(RuleVerify, "waits_compare", "tables", someOf(tables))
}

// comparedAgain lets a node through when every table whose rows tell nothing
// was found in sync once. One that differs each time is for a person.
func (t *turn) comparedAgain() {
	ret := t.r.Return
	switch {
	case len(ret.Differs) == 0:
		t.say(Proved, "proved_compare", "tables", someOf(ret.Unread))
		ret.Unread = nil
		if t.keptFromReaders() {
			t.open() // its fence was raised while it was held
			return
		}
		t.ramp(Ramping)
	case ret.Looks >= looksMax:
		t.hold(RuleVerify, fmt.Sprintf("%s differ each time they are compared, %d times by now, and their rows tell nothing; look whether they are written all the time, then retry",
			someOf(ret.Differs), ret.Looks+1))
	default:
		t.compareAgain(ret.Differs)
	}
}

// someOf names the first tables of a list for a sentence.
func someOf(tables []string) string {
	const most = 8
	if len(tables) <= most {
		return strings.Join(tables, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(tables[:most], ", "), len(tables)-most)
}
