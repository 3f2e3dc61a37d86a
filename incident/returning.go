// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// ReturnStep is where a return stands. The steps follow one another; an exit
// of the process at any of them goes back to Preflight.
type ReturnStep uint8

// The steps. Preflight to RepairingAgain happen in phase Returning, the
// others in phase Verifying.
const (
	Preflight      ReturnStep = iota
	Starting                  // hibernated, Severity up
	AwaitDown                 // every live peer must say DOWN
	Killing                   // a peer said UP: end it and start again
	Repairing                 // hibernated, everything it replicates
	Joining                   // leave hibernation
	AwaitUp                   // UP on every live peer, Severity still up
	RepairingAgain            // what was written since the first repair began
	Previewing                // compared by another coordinator
	Opening                   // Severity 0 everywhere, native transport on, out of all pools
	Reading                   // known rows at ONE through the node
	Ramping                   // first weight in the pools
	RampingFull               // full weight
)

var stepWords = cluster.Words{"preflight", "starting", "await_down", "killing", "repairing", "joining", "await_up",
	"repairing_again", "previewing", "opening", "reading", "ramping", "ramping_full"}

// ReturnSteps lists every wire word, in order.
func ReturnSteps() []string { return append([]string(nil), stepWords...) }

// String is the wire word.
func (s ReturnStep) String() string { return stepWords.Word(uint8(s)) }

// MarshalText spells the step.
func (s ReturnStep) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a wire word.
func (s *ReturnStep) UnmarshalText(text []byte) error {
	v, err := stepWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("return step: %w", err)
	}
	*s = ReturnStep(v)
	return nil
}

const (
	// exitBelieved is how old a step must be before the own agent's "exited"
	// is taken for an exit in this step: reports are at most this old.
	exitBelieved = 3 * time.Second
	// retryAfter spaces starts that failed.
	retryAfter = 5 * time.Second
	// convictedMax is how long peers may need to give up a process that ended: 18
	// to 25 s, measured.
	convictedMax = 30 * time.Second
	// sightMax bounds the wait for the peers' word; then a person is asked.
	sightMax = 90 * time.Second
	// upBelieved is how long a peer may say UP of a hibernating node before it
	// is taken for one that will never say DOWN: a process that starts soon
	// after it was killed is UP there until its new status has arrived. Severity
	// stands meanwhile.
	upBelieved = 4 * time.Second
	startMax   = 4 * time.Minute
	shortMax   = 30 * time.Second
	// rangesPerSegment bounds one repair command whose data nobody knows the size of,
	// and rangesJoined one of which it is known that there is little.
	rangesPerSegment = 64
	rangesJoined     = 256
	// segmentBytes is about what one command compares: within its order's limit also
	// on a slow disk.
	segmentBytes = 256 << 20
	// normalMode is Cassandra's word for a member of the ring; one that hibernates
	// says something else.
	normalMode = "NORMAL"
	// uncertainMax bounds the orders whose end nobody knows.
	uncertainMax = 5
)

// to moves to a step of the return.
func (t *turn) to(s ReturnStep) {
	t.r.Return.Step = s
	t.nextStep()
	if s == AwaitDown || s == AwaitUp {
		t.r.Return.Open = false // what was answered is from before
	}
}

// exited tells whether the node's process is gone in this step, by its own
// agent's fresh word, while nobody has an answer of it: a copy of the host says
// of itself, and with the agent's name, that nothing runs.
func (t *turn) exited() bool {
	v := t.w.verdict(t.r.Node)
	return t.w.InStep >= exitBelieved && v.Own == membership.Exited && len(membership.Answering(v)) == 0
}

// replaced tells whether another process runs in this step than the one that
// is being returned: it exited, and somebody was quicker than the reports.
func (t *turn) replaced() bool {
	same, known := t.sameProcess(t.r.Return.Process)
	return t.w.InStep >= exitBelieved && known && !same && t.r.Return.Process != ""
}

// overdueSlack is how much later than an order's limit its executor may say
// that it passed.
const overdueSlack = 15 * time.Second

// overdue takes the orders of a step whose limit passed without a word for
// Uncertain: their executor died, or cannot tell.
func (t *turn) overdue() {
	for _, e := range t.r.Pending {
		if t.w.InStep >= e.Limit+overdueSlack {
			t.finished(Finished{Effect: e.ID, Outcome: Uncertain})
			return
		}
	}
}

// returning moves a return by at most one step.
func (t *turn) returning() {
	if t.r.Return == nil {
		t.hold(NoSilentWait, "the record says Returning and has no return; abort it")
		return
	}
	step := t.r.Return.Step
	if diskFailed(t.w.verdict(t.r.Node)) {
		t.wantsReplacement()
		return
	}
	if step > Starting && step != Killing && (t.exited() || t.replaced()) {
		t.startOver("exited", fmt.Sprintf("the process exited in step %s", step))
		return
	}
	if step >= AwaitDown && step != Killing && t.expired() {
		t.hold(RuleGCGrace, t.expiredReason()) // also in the middle of a repair: it must have ended before
		return
	}
	if step >= AwaitDown && step <= Joining && t.ringChanges() {
		return
	}
	if t.sleeps() && t.seenAwake() {
		return
	}
	if step == RepairingAgain && (Silent(t.w.verdict(t.r.Node)) || t.w.Lapsed[t.r.Node]) {
		t.r.Pending, t.r.Return.Job = nil, nil
		t.to(AwaitUp) // what it misses now is not in the repair that runs
		return
	}
	switch step {
	case Preflight:
		t.preflight()
	case AwaitDown:
		t.awaitDown()
	case AwaitUp:
		t.awaitUp()
	case Starting, Killing, Repairing, Joining, RepairingAgain:
		t.redo(step)
	case Previewing, Opening, Reading, Ramping, RampingFull:
		t.enter(Verifying)
	}
}

// ringChanges hands a return to people when the ring changes while the node
// hibernates: the newcomer builds a ring without the sleeper, and what was
// repaired belongs to another ring. The return begins anew when they say so.
func (t *turn) ringChanges() bool {
	f := t.movingFault()
	if f == nil {
		return false
	}
	t.r.Return.Step, t.r.Return.Job = Preflight, nil
	t.hold(f.rule, "the ring changes while the node hibernates: "+f.reason+"; look at the newcomer, then retry")
	return true
}

// redo gives an order again when none is pending: the last one ended Failed
// or Uncertain and its pause is over.
func (t *turn) redo(step ReturnStep) {
	if len(t.r.Pending) > 0 || t.w.InStep < retryAfter && !t.pressed() {
		return
	}
	switch step {
	case Starting, Killing:
		t.to(Preflight)
	case Joining:
		if t.joined() {
			t.to(AwaitUp)
			return
		}
		if t.joinWaits() {
			return
		}
		t.nextStep()
		t.join()
	case Repairing, RepairingAgain:
		if t.r.Return.Job == nil || !t.jobLives() {
			t.planRepair(step)
			return
		}
		if !t.takesTurn() {
			return
		}
		t.nextBatch()
	case Preflight, AwaitDown, AwaitUp, Previewing, Opening, Reading, Ramping, RampingFull:
	}
}

// startOver goes back to Preflight, as often as the policy allows: the ends of
// its processes by the rate, our own starts and our own kills by the tries. A
// unit that starts again at once what we end must not keep us ending it. The
// process that ended is the one the incident is about from now on.
func (t *turn) startOver(code, reason string) {
	t.r.Pending = nil
	switch {
	case code == "exited":
		t.countExit(t.r.Return.Process)
	case code == "killed":
		t.r.Return.Kills++
		if t.r.Latest == t.r.Return.Process {
			t.r.Latest = "" // its end is ours
		}
	}
	if t.r.Return.Process != "" && code != "failed" { // a kill that failed ended nothing
		t.r.Process = t.r.Return.Process
	}
	t.r.Return.Process, t.r.Return.Generation = "", 0
	t.r.Return.Step, t.r.Return.Job, t.r.Return.InPlace = Preflight, nil, false
	t.r.Return.Open, t.r.Return.Planned, t.r.Return.Repaired = false, 0, 0
	t.waitAside()
	if f := t.rateFault(); f != nil {
		t.hold(f.rule, f.reason)
		return
	}
	if tries := max(t.r.Return.Tries, t.r.Return.Kills); tries >= t.w.Policy.Return.TriesMax {
		t.hold(RuleHibernation, fmt.Sprintf("%s; %d starts were tried; look at its log, then retry", reason, tries))
		return
	}
	t.enter(Returning)
	t.say(Saw, "return_"+code, "reason", reason, "try", count(t.r.Return.Tries))
}

// sights are the words about the node of those agents that are there to say
// something new. What an agent wrote before it went may be long untrue.
func (t *turn) sights() map[cluster.Name]isolate.Seen { return t.w.sightings(t.r.Node) }

// awaitDown is the check that makes hibernation a fence.
func (t *turn) awaitDown() {
	peers := t.w.livePeers(t.r.Node)
	down, up, missing := isolate.AllDown(t.sights(), peers, t.r.Return.Generation)
	own, known := t.w.own(t.r.Node)
	switch {
	case known && own.Process == t.r.Return.Process && own.Mode == normalMode:
		t.to(AwaitUp) // it was started plainly: behind its fence, and in the ring
	case len(up) > 0 && t.w.InStep < upBelieved:
		t.wait(RuleHibernation, "waits_down", "peers", names(slices.Concat(up, missing)))
	case len(up) > 0:
		t.endSleeper(up)
	case down:
		if t.answered() && t.planRepair(Repairing) {
			t.say(Proved, "proved_down", "peers", names(peers), "node", string(t.r.Node))
		}
	case t.w.InStep > sightMax:
		t.hold(RuleHibernation, fmt.Sprintf("no word from %s%s whether the hibernated node is DOWN there; start their agents, or stop a Cassandra that is to be replaced", names(missing), t.w.silentRegions(missing)))
	default:
		t.wait(RuleHibernation, "waits_down", "peers", names(missing))
	}
}

// endSleeper ends a hibernating process that peers see, to start it again.
func (t *turn) endSleeper(up []cluster.Name) {
	t.say(Saw, "saw_up", "peers", names(up), "node", string(t.r.Node))
	t.under(RuleHibernation)
	t.to(Killing)
	t.order(Once{Verb: VerbKill, Process: t.r.Return.Process}, shortMax)
}

// sleeps tells whether the node hibernates after its peers said DOWN of it, and
// nothing is under way that ends this.
func (t *turn) sleeps() bool {
	switch t.r.Return.Step {
	case Repairing:
		return true
	case Joining:
		own, known := t.w.own(t.r.Node)
		return len(t.r.Pending) == 0 && t.w.InStep >= exitBelieved && known && own.Process == t.r.Return.Process && own.Mode != normalMode
	case Preflight, Starting, AwaitDown, Killing, AwaitUp, RepairingAgain, Previewing, Opening, Reading, Ramping, RampingFull:
	}
	return false
}

// joined tells whether the node left hibernation, though nobody said that the
// order to do so was followed.
func (t *turn) joined() bool {
	own, known := t.w.own(t.r.Node)
	return known && own.Process == t.r.Return.Process && own.Mode == normalMode
}

// seenAwake ends a sleeper of which a peer says UP: one that was out of reach, and
// not asked, when all the others said DOWN. Whoever sees it may read it, if its
// Severity does not reach there.
func (t *turn) seenAwake() bool {
	up := t.seesSleeper()
	if len(up) == 0 {
		return false
	}
	t.r.Pending, t.r.Return.Job = nil, nil
	t.endSleeper(up)
	return true
}

// seesSleeper lists the peers that say UP of the process that hibernates.
func (t *turn) seesSleeper() []cluster.Name {
	_, up, _ := isolate.AllDown(t.sights(), t.w.livePeers(t.r.Node), t.r.Return.Generation)
	return up
}

// awaitUp waits until everybody sees the node UP and still avoids it.
func (t *turn) awaitUp() {
	ok, rest := t.upUnderSeverity()
	switch {
	case ok:
		if t.answered() && t.planRepair(RepairingAgain) {
			t.say(Proved, "proved_up", "peers", names(t.w.livePeers(t.r.Node)), "node", string(t.r.Node))
		}
	case t.w.InStep > sightMax:
		t.hold(RuleHibernation, fmt.Sprintf("the node left hibernation and %s do not see it UP under Severity; look at gossip there", names(rest)))
	default:
		t.wait(RuleHibernation, "waits_up", "peers", names(rest))
	}
}

// upUnderSeverity tells whether every peer, and the node's own agent, say that
// the node is in the ring and avoided there; rest names who does not.
func (t *turn) upUnderSeverity() (ok bool, rest []cluster.Name) {
	ok, rest = isolate.AllUp(t.sights(), t.w.livePeers(t.r.Node), t.r.Return.Generation, true)
	own, known := t.w.own(t.r.Node)
	if ok && (!known || own.Mode != normalMode || own.Severity < isolate.SeverityFenced) {
		return false, []cluster.Name{t.r.Node}
	}
	return ok, rest
}

// rampWish is the pool state of a ramp step.
func rampWish(step ReturnStep) loadbalancer.Wish {
	n := 0
	if step == RampingFull {
		n = 1
	}
	w, _ := loadbalancer.Ramp(n)
	return w
}
