// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

const (
	readMax   = time.Minute
	readBatch = 8   // tables read by one order
	rowsMax   = 500 // rows of a table that differed, read one by one
)

// verifying proves a node that is back. A node that was only silent for a
// moment is given back at once; a returned one passes every check first.
func (t *turn) verifying() {
	if t.goneAgain() || t.lapsed() {
		return
	}
	if t.r.Return == nil {
		t.verifyUntouched()
		return
	}
	if t.planLost() {
		return
	}
	switch t.r.Return.Step {
	case Opening:
		t.opening()
	case Ramping, RampingFull:
		t.ramping()
	case Previewing, Reading:
		t.reorder()
	case Preflight, Starting, AwaitDown, Killing, Repairing, Joining, AwaitUp, RepairingAgain:
		t.enter(Returning)
	}
}

// goneAgain sends an incident back when its node fails while it is proven.
func (t *turn) goneAgain() bool {
	v := t.w.verdict(t.r.Node)
	if t.r.Return != nil && (t.exited() || t.replaced()) {
		t.startOver("exited", "the process exited while it was being verified")
		// Also in a storm: that it ended is its own agent's word, and nobody is there to lose.
		t.wantPools(loadbalancer.Wish{Want: loadbalancer.Drain})
		return true
	}
	if !t.goneNow(v) {
		return false
	}
	t.r.Cause = v.Cause
	t.r.Pending = nil
	t.waitAside()
	t.enter(Draining)
	t.countSilence()
	t.say(Saw, "gone_again", "node", string(t.r.Node), "cause", v.Cause.String())
	if t.w.Storm == "" {
		t.wantPools(loadbalancer.Wish{Want: loadbalancer.Drain})
		return true
	}
	t.say(Refused, "refused_drain", "reason", t.w.Storm)
	t.under(RuleStorm)
	return true
}

// goneNow tells whether a node that is proven is gone, and not only closed to
// its clients by our own fence. Of one that was never returned its own agent's
// "exited" is no word of an earlier process.
func (t *turn) goneNow(v membership.Verdict) bool {
	if v.Answer != membership.Gone {
		return false
	}
	ended := t.r.Return == nil && v.Own == membership.Exited
	return v.Cause == membership.DiskFailed || v.Drain && (!t.closedToClients() || Silent(v) || ended)
}

// closedToClients tells whether our own fence keeps the native transport off,
// or let it go so lately that nobody can have seen it open.
func (t *turn) closedToClients() bool {
	f, ok := t.w.Fences[t.r.Node]
	if !ok {
		return false
	}
	return f.Levels.Has(isolate.Clients) || t.r.Return != nil && t.r.Return.Step == Opening
}

// verifyUntouched gives a node back that answers with the same process. If
// another process answers, somebody started it past us: writes may be missing
// there, so it takes the long way, and so does one that was silent for longer
// than hints are kept, by whatever way it came here, and one that was fenced
// while nobody knew its process: it cannot answer, and a repair is always right.
func (t *turn) verifyUntouched() {
	v, fenced := t.w.verdict(t.r.Node), t.closedToClients()
	if !answers(v) && !fenced {
		t.wait(RuleEvidence, "waits_evidence", "for", count(v.For), "heard", count(v.Heard), "of", count(v.Of))
		return
	}
	switch same, known := t.sameProcess(t.r.Process); {
	case !known && !(answers(v) && t.beyondHints(v)):
		t.wait(RuleReach, "waits_process", "node", string(t.r.Node))
		return
	case !same, t.beyondHints(v), fenced:
		t.inPlace()
		return
	}
	if !t.readersIn() {
		return
	}
	if f := t.silenceFault(); f != nil && !t.wanted(loadbalancer.Full) {
		t.hold(f.rule, f.reason)
		return
	}
	if !t.wanted(loadbalancer.Full) {
		t.nextStep()
		t.say(Decided, "decided_give_back", "node", string(t.r.Node))
		t.wantPools(loadbalancer.Full)
		return
	}
	ok, rest, left := t.poolsGive()
	if !ok {
		t.wantPoolsStill(loadbalancer.Full)
		t.wait(RuleVerify, "waits_pools", "pools", fmt.Sprint(rest))
		return
	}
	t.leave(left)
	t.mark(StageServing)
	t.close("closed_answered")
}

const (
	// hintWindowUnknown stands for a hint window that nobody told: short, so
	// that a repair too many is done and not one too few.
	hintWindowUnknown = time.Minute
	// hintMargin is how much longer a silence may be than it was seen to be.
	hintMargin = 2 * time.Second
)

// BeyondHints tells whether a node was silent for so long that the others may
// have left writes of it without a hint. A window that nobody told is short.
func BeyondHints(silent, window time.Duration) bool {
	if window == 0 {
		window = hintWindowUnknown
	}
	return silent >= window-hintMargin
}

// beyondHints asks for no cause: that only its clients were shut out is seen for
// a moment of every process that wakes up, and a repair too many costs less than
// one too few. A beginning that is known by wall time alone is not known, and one
// of a process that its gate started unasked may have been long before.
func (t *turn) beyondHints(v membership.Verdict) bool {
	return t.w.ByWall || t.w.Agents[t.r.Node].Unrepaired || t.lostKeeper() || BeyondHints(t.w.Elapsed-t.w.Now.Sub(v.Since), t.w.hintWindow())
}

// wanted tells whether every pool of the node already wants this.
func (t *turn) wanted(wish loadbalancer.Wish) bool {
	for _, d := range t.w.Policy.PoolsOf(t.r.Node) {
		if t.pool(d).Wants[t.r.Node] != wish {
			return false
		}
	}
	return true
}

// open lets coordinators and clients in again; the pools still keep it out.
func (t *turn) open() {
	if t.expired() {
		t.hold(RuleGCGrace, t.expiredReason())
		return
	}
	t.to(Opening)
	t.say(Did, "did_open", "node", string(t.r.Node))
	t.fence(0, isolate.Hibernate)
}

// opening waits until peers and observers see the node open.
func (t *turn) opening() {
	own, known := t.w.own(t.r.Node)
	ok, rest := isolate.AllUp(t.sights(), t.w.livePeers(t.r.Node), own.Generation, false)
	if t.r.Return.Cold {
		ok = true
	}
	if !known || !own.Applied || !ok || !answers(t.w.verdict(t.r.Node)) {
		t.wait(RuleVerify, "waits_open", "peers", names(rest))
		return
	}
	t.readRows()
}

// readRows orders the reading of the next known rows through the node, by
// another agent than its own.
func (t *turn) readRows() {
	if t.r.Return.Cold {
		t.say(Decided, "cold_started", "node", string(t.r.Node))
		t.ramp(Ramping)
		return
	}
	rows := t.rows()
	if len(rows) == 0 {
		t.say(Waited, "no_known_rows", "node", string(t.r.Node))
		t.under(RulePolicy)
		t.ramp(Ramping)
		return
	}
	t.to(Reading)
	if t.proofWaits() {
		return
	}
	t.order(Once{Verb: VerbReadRows, Agent: t.reader(), Rows: rows[:min(len(rows), readBatch)]}, readMax)
}

// rows are the policy's known rows and the tables whose preview differed,
// without those that were read already.
func (t *turn) rows() []KnownRows {
	rows := slices.Clone(t.w.Policy.KnownRows)
	for _, d := range t.r.Return.Differs {
		ks, table, ok := strings.Cut(d, ".")
		named := slices.ContainsFunc(rows, func(k KnownRows) bool { return k.name() == d })
		if ok && !named && !cluster.NeverReplicated(ks) {
			rows = append(rows, KnownRows{Keyspace: ks, Table: table, Max: rowsMax})
		}
	}
	return slices.DeleteFunc(rows, func(k KnownRows) bool { return slices.Contains(t.r.Return.Read, k.name()) })
}

func (t *turn) reader() cluster.Name {
	for _, p := range t.w.serving(t.r.Node) {
		if _, reachable := t.w.Agents[p]; reachable {
			return p
		}
	}
	return ""
}

// rowsRead closes the loop: one old row, and the node goes back behind its
// fence to be repaired again.
func (t *turn) rowsRead(o Once, res Result) {
	if res.Old == 0 && res.Missing == 0 {
		t.rowsGood(o, res)
		return
	}
	t.say(Saw, "saw_old_rows", "old", count(res.Old), "missing", count(res.Missing), "read", count(res.Read))
	t.under(RuleVerify)
	if t.r.Return.Rounds > t.w.Policy.Return.RoundsMax {
		t.hold(RuleVerify, fmt.Sprintf("%d old and %d missing rows after %d repairs", res.Old, res.Missing, t.r.Return.Rounds))
		return
	}
	if t.quorumFault() != "" {
		t.hold(QuorumSurvives, "it serves old rows")
		return
	}
	t.behindFence()
	t.enter(Returning)
	t.fence(isolate.Clients|isolate.Reads, isolate.Hibernate)
}

// behindFence is where a node that was open and served old rows begins again.
// Something was missing there, so from now on everything is repaired.
func (t *turn) behindFence() {
	t.r.Return.Step, t.r.Return.Job, t.r.Return.Whole = AwaitUp, nil, true
}

// reorder gives a verifying order again when the last one came to nothing, or
// the first when somebody can be asked.
func (t *turn) reorder() {
	if len(t.r.Pending) > 0 || t.w.InStep < retryAfter || t.proofWaits() || !t.takesTurn() {
		return
	}
	t.nextStep()
	if t.r.Return.Step == Previewing {
		t.preview()
		return
	}
	t.readRows()
}

// ramp gives the node its next weight in every pool.
func (t *turn) ramp(step ReturnStep) {
	t.to(step)
	if len(t.w.Policy.PoolsOf(t.r.Node)) == 0 {
		t.mark(StageServing)
		t.finish()
		return
	}
	if f := t.silenceFault(); f != nil && step == Ramping {
		t.hold(f.rule, f.reason)
		return
	}
	wish := rampWish(step)
	t.say(Decided, "decided_ramp", "node", string(t.r.Node), "weight", count(wish.Weight))
	t.wantPools(wish)
}

// ramping waits for the read-back of each weight and for the pause between.
func (t *turn) ramping() {
	wish := rampWish(t.r.Return.Step)
	t.wantPoolsStill(wish)
	given, rest, left := t.poolsGive()
	if !given || !t.wanted(wish) {
		t.wait(RuleVerify, "waits_pools", "pools", fmt.Sprint(rest))
		return
	}
	if v := t.w.verdict(t.r.Node); !answers(v) {
		t.wait(RuleEvidence, "waits_evidence", "for", count(v.For), "heard", count(v.Heard), "of", count(v.Of))
		return
	}
	if !t.marked(StageServing) {
		t.leave(left)
		t.mark(StageServing)
		t.say(Proved, "proved_serving", "node", string(t.r.Node), "pools", t.poolNames())
	}
	if t.r.Return.Step == Ramping {
		if t.w.InStep >= t.w.Policy.Return.RampEvery {
			t.ramp(RampingFull)
		}
		return
	}
	t.finish()
}

func (t *turn) finish() {
	t.close("closed_returned", "cassandra", seconds(t.r.Return.Cassandra))
}
