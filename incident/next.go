// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// Event is what happened since the record was last decided upon.
type Event interface{ event() }

// Looked says that the world may have changed: a new verdict, a new sight, a
// tick. Everything it needs is in World.
type Looked struct{}

// Finished folds in what an executor settled.
type Finished struct {
	Effect  string
	Outcome Outcome
	Result  Result
}

// Adopted says that another leader goes on with the record.
type Adopted struct{ By cluster.Name }

func (Looked) event()   {}
func (Finished) event() {}
func (Adopted) event()  {}

// Decision is what Next decided: written in one transaction or not at all.
type Decision struct {
	Record  Record
	Ledger  Ledger
	Effects []Effect // new with this decision
	Lines   []Line
	Changed bool // false: there is nothing to write
}

// Line is one journal event before it has its number and hash.
type Line struct {
	Kind     Kind
	Code     string // names the sentence
	Rule     Rule
	Effect   string
	Args     map[string]string
	Evidence []string
	Who      string // the person who said it; empty: the leader decided
}

// Next is the only door through which a Record changes. Same arguments, same
// result: no clock, no network, no log. A late or foreign event changes
// nothing; it is not an error.
func Next(r Record, ev Event, w World) Decision {
	if r.Schema != SchemaNow || r.Phase == Closed {
		return Decision{Record: r, Ledger: w.Ledger}
	}
	t := newTurn(r, w)
	if w.Older {
		t.recovered() // whatever happened is about steps that are not believed
		t.r.check()
		return t.decision()
	}
	switch ev := ev.(type) {
	case Looked:
		t.advance()
	case Finished:
		// Nothing follows from what ended under a pause or in mode observe; it is
		// looked at anew when that is over.
		if !t.lookedAway() && !t.pausedAway() {
			t.finished(ev)
		}
	case Adopted:
		t.adopt(ev)
	case Said:
		t.said(ev.Ask)
	}
	t.r.check()
	return t.decision()
}

// Begin opens an incident about a node that the judge says is gone, or slow. The
// record starts Suspected: nothing was done yet.
func Begin(id string, v membership.Verdict, w World) Decision {
	host := w.Hosts[v.Node]
	place := w.Topology.Nodes[v.Node]
	since := max(0, w.Now.Sub(v.Since))
	r := Record{
		Schema: SchemaNow, ID: id, Region: place.Region, Datacenter: place.Datacenter, Rack: place.Rack,
		Node: v.Node, HostID: hostID(host, w), Process: v.Process, Latest: v.Process, Phase: Suspected, Cause: v.Cause,
		Mode: w.mode(place.Datacenter), Marks: map[Stage]time.Duration{StageSeen: 0},
		Votes: Votes{For: v.For, Heard: v.Heard, Of: v.Of, Racks: v.Racks},
		Began: w.Wall.Add(-since).UTC(), Policy: w.Policy.version(), Step: 1,
	}
	r.Outage = outage(r, v, w)
	w.Elapsed = since
	t := newTurn(r, w)
	if v.Cause == membership.Slow {
		t.beganSlow(v)
	} else {
		t.began(v)
	}
	if w.Agents[v.Node].Unrepaired {
		t.say(Saw, "saw_unasked", "node", string(v.Node))
	}
	t.r.Marks[StageVerdict] = since
	t.ledger = t.ledger.with(t.r, HoldsOutage)
	t.changed = true
	t.r.check()
	return t.decision()
}

// began opens the story of a node that went.
func (t *turn) began(v membership.Verdict) {
	t.sayAt(0, Saw, "saw_looks", "observers", firstSigns(v))
	t.say(Judged, "judged", "cause", cluster.Title(v.Cause.String()), "for", count(v.For), "heard", count(v.Heard), "of", count(v.Of),
		"racks", count(v.Racks), "own", v.Own.String())
	t.cite(v)
}

// Worth tells whether a verdict opens an incident: Gone, with the bar for
// draining met, and not a stop that the node announced. Unknown never does.
func Worth(v membership.Verdict) bool {
	return v.Answer == membership.Gone && v.Drain && v.Cause != membership.Planned && v.Cause != membership.AgentGone
}

// WorthUnasked is the verdict that opens an incident of a node that is reached and
// that its gate started plainly without anybody's word: its process ended, and no
// leader saw it. Which one that was, and when it was last alive, only its disk
// knows.
func WorthUnasked(v membership.Verdict, w World) (membership.Verdict, bool) {
	started := (v.Answer == membership.Alive || ReachedBroken(v)) && w.Agents[v.Node].Unrepaired
	v.Cause, v.Process, v.LastAlive = membership.ProcessDown, "", 0
	return v, started && w.mode(w.Topology.Nodes[v.Node].Datacenter) != Observe
}

// Hold turns a record whose decision broke an invariant over to people. It
// works on the record as it was before that decision.
func Hold(r Record, w World, why string) Decision {
	why = "an invariant broke, nothing more is done here: " + why
	if r.Phase == Held && strings.HasPrefix(r.Held, why) {
		return Decision{Record: r, Ledger: w.Ledger}
	}
	t := newTurn(r, w)
	t.hold(NoSilentWait, why)
	return t.decision()
}

// HoldTooLarge turns a record over to people whose next step the store would
// not take, because of its size. Like Hold it works on the record as it was;
// the repair, which makes a record large, is left out and would be planned anew.
func HoldTooLarge(r Record, w World, size, most int) Decision {
	if r.Phase == Held && r.HeldRule == RuleSize {
		return Decision{Record: r, Ledger: w.Ledger}
	}
	t := newTurn(r, w)
	t.r.dropJob()
	t.hold(RuleSize, fmt.Sprintf("its next step is %d KiB and the store takes %d KiB at once: the repair has too many ranges; "+
		"repair the node by hand, or apply a policy to try again when there are fewer keyspaces or tokens", size>>10, most>>10))
	return t.decision()
}

// advance moves the record by at most one step.
func (t *turn) advance() {
	before := t.r.Step
	t.trackOutage()
	if t.lookedAway() || t.pausedAway() || t.handed() {
		return
	}
	t.trackExits()
	t.overdue()
	if t.r.OfSlowness() {
		t.slow()
	} else {
		t.phase()
	}
	if t.r.Step == before {
		t.checkDeadline()
	}
}

// phase moves a record about a node that went.
func (t *turn) phase() {
	switch t.r.Phase {
	case Suspected:
		t.suspected()
	case Draining:
		t.draining()
	case Fencing:
		t.fencing()
	case Deciding:
		t.deciding()
	case Returning:
		t.returning()
	case Verifying:
		t.verifying()
	case Held:
		t.held()
	case PhaseUnknown, Replacing, Closed:
		// Replacing is not entered by this version; a record that stands there was
		// written by a later one and is left alone.
	}
}

func (t *turn) adopt(ev Adopted) {
	t.r.Approx = true
	if t.r.OfSlowness() && t.r.Slow.Over {
		t.r.Slow.Over = false // whose judge has watched for a moment says of nobody that it is slow
		t.nextStep()
	}
	t.say(Waited, "adopted", "by", string(ev.By))
	t.changed = true
}

// finished folds an order's outcome in and lets the phase act on it.
func (t *turn) finished(ev Finished) {
	order, ok := t.take(ev.Effect)
	if !ok {
		return
	}
	t.changed = true
	if t.r.Return != nil {
		t.r.Return.Cassandra += ev.Result.Took
	}
	switch t.r.Phase {
	case Returning, Verifying:
		t.orderEnded(order, ev)
	case Fencing, Deciding:
		t.killEnded(order, ev)
	case PhaseUnknown, Suspected, Draining, Replacing, Closed, Held:
		// The incident moved on while the order was in flight; what it did is
		// seen through the world, not believed from its word.
	}
}

// check holds the record against the named invariants, one a line.
func (r *Record) check() {
	must := func(holds bool, invariant Rule) {
		if !holds {
			cluster.Must(false, string(invariant), r.ID)
		}
	}
	must(r.Phase != Closed || len(r.Pending) == 0, ClosedIsQuiet)
	must(r.Phase != Replacing, FenceBeforeReplace)
	must(r.Phase != Fencing || r.Fenced != nil && (r.Fenced.Process != "" || r.Fenced.Cut), UnknownDestroysNothing)
	must(r.Phase != Deciding || r.Fenced != nil && len(r.Fenced.Proof) == paths, UnknownDestroysNothing)
	must(r.Phase != Held || r.Held != "", NoSilentWait)
	must(len(r.Pending) <= pendingMax, IntentFirst)
	must(r.Phase != PhaseUnknown, NoSilentWait)
}

// hostID is Cassandra's identity of a host: as the roster was told, or as its
// own agent read it while the process ran.
func hostID(h cluster.Host, w World) cluster.HostID {
	if facts := w.Agents[h.Name].Cassandra; h.HostID == "" && facts != nil {
		return facts.HostID
	}
	return h.HostID
}
