// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"time"

	"supervisor/incident"
	"supervisor/internal/store"
)

// Bug is a mistake that can be planted where the deciding code hands its
// decision to the world, to show that a check sees it. Nothing is ever planted
// in the deciding code.
type Bug struct {
	Name string
	Does string
	Seen string // the check that is there for it
	// Strokes are the faults that make it show.
	Strokes []Stroke
	// spoil changes what a leader sends; nil: it is planted where w.bug names it.
	spoil func(w *world, t *store.Txn)
}

// The bugs that are planted elsewhere than in a leader's transaction.
const (
	noCompare      = "no-compare"
	noClaim        = "no-claim"
	borrowedClaim  = "borrowed-claim"
	staleOrder     = "stale-order"
	lostToken      = "lost-token"
	forgetMarks    = "forget-marks"
	earlyEnd       = "early-end"
	earlyFirst     = "early-first"
	anyKill        = "any-kill"
	hastyFence     = "hasty-fence"
	lateKill       = "late-kill"
	oneWord        = "one-word"
	abroad         = "abroad"
	strangerHost   = "stranger-host"
	believeDown    = "believe-down"
	plainGate      = "plain-gate"
	wanderingFence = "wandering-fence"
	panicFence     = "panic-fence"
	halfRaised     = "half-raised"
	fakeRepair     = "fake-repair"
	rosy           = "rosy"
	snitchUnsaid   = "snitch-unsaid"
	freedByAbort   = "freed-by-abort"
	usualGrace     = "usual-grace"
	overlapping    = "overlapping-repairs"
	resumedClaim   = "resumed-claim"
)

// Bugs are all of them. fence-before-replace has none: nothing that exists
// replaces a node, so nothing can be done wrong about it.
func Bugs() []Bug {
	return []Bug{
		{noClaim, "executors act on orders they only read", string(incident.IntentFirst), killed(), nil},
		{borrowedClaim, "executors claim in the name of the boot before theirs", string(incident.IntentFirst), killed(), nil},
		{staleOrder, "executors come back to an order that is gone, after a later one", string(incident.TokenNeverFalls), killed(), nil},
		{lostToken, "marks are written without their token, all but the first", string(incident.TokenNeverFalls), killed(), nil},
		{forgetMarks, "marks do not survive a crash between act and report, and a claim of an earlier boot is none", intentOnce, killed(), nil},
		{resumedClaim, "executors go on with what an earlier boot claimed, and ended before it wrote that it was done", intentOnce, endedUntold(), nil},
		{earlyFirst, "executors report the first repair done when they begin it, and not the second", oneAtATime, killed(), nil},
		{earlyEnd, "executors report a repair done when they begin it", oneAtATime, killed(), nil},
		{overlapping, "executors begin a repair beside one that an earlier boot began", oneAtATime, orphanedRepair(), nil},
		{anyKill, "a kill ends the process that came after the one that was meant", string(incident.UnknownDestroysNothing), missed(), nil},
		{"kill-the-witness", "leaders order the end of the node that was to compare", string(incident.UnknownDestroysNothing), killed(), orders(killWitness)},
		{abroad, "the policy lets every region in", string(incident.NoBorderCrossing), killed(), nil},
		{strangerHost, "leaders add a node of a forbidden region to every repair", string(incident.NoBorderCrossing), killed(), orders(addStranger)},
		{believeDown, "agents report DOWN whatever their Cassandra says", hibernationDown, missed(), nil},
		{hastyFence, "the policy wants evidence of a second for a fence", fenceEvidence, hung(), nil},
		{lateKill, "executors end what hung when they were told, though it woke up", fenceEvidence, hung(), nil},
		{oneWord, "executors report the end of a process and end nothing, and leaders believe the word", fenceProven, hung(), records(believeWord)},
		{"forgotten-fences", "leaders keep no account of fences", oneFence, hungTwice(), edit(store.Ledgers, func(_ *world, l *incident.Ledger) { l.Fences = nil })},
		{"cold-fences", "leaders write each fence as if the whole ring were down", coldStart, killedWithAgent(), edit(store.Fences, coldFence)},
		{usualGrace, "leaders take the usual gc_grace_seconds for that of each table", gcGrace, longAway(), nil},
		{plainGate, "the gate hibernates nobody", gateObeys, killed(), nil},
		{wanderingFence, "agents raise on their own node a fence that stands on another", string(incident.QuorumSurvives), stuckRepair(), nil},
		{panicFence, "agents that miss a peer fence their own node, and nobody told them to", string(incident.QuorumSurvives), hung(), nil},
		{"half-pools", "leaders leave a member out of the pool", string(incident.PoolFloor), killed(), edit(store.Pools, halfPool)},
		{"empty-pool", "leaders drain every member of the pool", string(incident.PoolFloor), killed(), edit(store.Pools, emptyPool)},
		{"early-ready", "leaders give a node its weight back in the middle of its return", readyBeforeAdd, stuckRepair(), earlyReady},
		{"wrong-key", "leaders open incidents with a key that names another", string(incident.OneOpenIncident), killed(), edit(store.Opens, otherID)},
		{"two-records", "leaders write each record under a second name as well", string(incident.OneOpenIncident), killed(), twoRecords},
		{"no-key", "leaders open incidents without the key of the node", string(incident.OneOpenIncident), killed(), without(store.Opens)},
		{"kept-budget", "leaders close and do not give the budget back", string(incident.ClosedIsQuiet), killed(), closing(without(store.Ledgers))},
		{"closed-waiting", "leaders close incidents that still wait for an order", string(incident.ClosedIsQuiet), killed(), edit(store.Archive, waitOn)},
		{"once-suspected", "leaders start an incident over, once, when the pool is drained", legalEdges, killed(), records(suspectOnce())},
		{"back-to-suspected", "leaders start an incident over in the middle of a return", legalEdges, killed(), records(suspectAgain)},
		{noCompare, "the store writes whatever it is sent, also by a leader that was replaced", legalEdges, stopped(), nil},
		{"drained-neighbour", "leaders drain another node with the one that is gone", noOrphan, killed(), edit(store.Pools, drainNeighbour)},
		{"no-archive", "leaders close incidents and archive nothing", noLostIncident, killed(), without(store.Archive)},
		{"wide-close", "leaders write more at once than is agreed when they close", transaction, killed(), closing(wideReports)},
		{"put-twice", "leaders put each key twice in one transaction", transaction, killed(), func(_ *world, t *store.Txn) { t.Put = append(t.Put, t.Put...) }},
		{"wide-transaction", "leaders write more at once than is agreed", transaction, killed(), widen},
		{"half-record", "leaders write the first half of a record", format, killed(), cutRecords},
		{fakeRepair, "repairs say done and do nothing", noStaleRead, killed(), nil},
		{"unheard", "the store refuses whatever leaders say of a return", string(incident.NoSilentWait), killed(), refuseReturns},
		{rosy, "agents say of one node that it is well whatever they see", string(incident.NoSilentWait), killed(), nil},
		{halfRaised, "fences raise the Severity half as high as keeps readers off", noStaleRead, paused(), nil},
		{snitchUnsaid, "agents do not say that their Cassandra ignores Severity", noStaleRead, snitchless(), nil},
		{freedByAbort, "leaders let readers to a node whose return somebody aborts", heldIsSafe, paused(), freeAborted},
		{"lost-entry", "leaders open incidents and write no line of it in the journal", journalChain, killed(), opening(without(store.Logs))},
	}
}

// options are a world in which the bug may show.
func (b Bug) options(seed int64) Options {
	o := Options{Seed: seed, Nodes: 3, Storm: 90 * time.Second, Calm: 5 * time.Minute, Strokes: b.Strokes, Bug: b.Name}
	switch b.Name {
	case freedByAbort: // in the middle of the return of who was paused
		o.Said = []Saying{{At: 19 * second, Who: "ana", Verb: incident.AskAbort, Node: victim}}
	case usualGrace:
		o.Storm = longStop + 10*second
	}
	return o
}

// UnknownBug is a name that no bug has.
type UnknownBug struct{ Name string }

// Error names it.
func (e UnknownBug) Error() string { return fmt.Sprintf("no bug %q", e.Name) }

// planted finds a bug by its name; the empty name is no bug.
func planted(name string) (Bug, error) {
	if name == "" {
		return Bug{}, nil
	}
	for _, b := range append(Bugs(), seams()...) {
		if b.Name == name {
			return b, nil
		}
	}
	return Bug{}, UnknownBug{name}
}

// victim is the node that the strokes below strike, and that rosy agents praise.
const victim = 2

func killed() []Stroke { return []Stroke{{At: time.Second, Fault: "kill", Node: victim, Salt: 1}} }

// killedWithAgent keeps the start waiting while others take writes.
func killedWithAgent() []Stroke {
	return []Stroke{{At: time.Second, Fault: "kill-with-agent", Node: victim, Salt: 1}}
}

// stopped lets two agents, mostly the leader among them, go on from an old
// picture when another leads.
func stopped() []Stroke {
	at := 1900 * time.Millisecond
	return []Stroke{killed()[0], {At: at, Fault: "agent-stopped", Node: 0, Salt: 1}, {At: at, Fault: "agent-stopped", Node: victim, Salt: 2}}
}

// stuckRepair keeps the victim asleep for long.
func stuckRepair() []Stroke {
	return []Stroke{killed()[0], {At: 2 * time.Second, Fault: "repair-hangs", Node: victim, Salt: 1}}
}

// endedUntold lets the victim's agent die between an effect and the word on its
// disk that it was done: so its salt has it.
func endedUntold() []Stroke {
	return append([]Stroke{{At: 0, Fault: "crash-at-step", Node: victim, Salt: 5}}, killed()...)
}

// orphanedRepair ends the victim's agent in the middle of a repair that takes long.
func orphanedRepair() []Stroke {
	return append(stuckRepair(), Stroke{At: 25 * second, Fault: "agent-crash", Node: victim, Salt: 1})
}

// missed lets a peer say UP of the victim while it hibernates.
func missed() []Stroke {
	return []Stroke{{At: 0, Fault: "hibernation-missed", Node: victim, Salt: 1}, killed()[0]}
}

func hung() []Stroke { return []Stroke{{At: time.Second, Fault: "hang", Node: victim, Salt: 1}} }

// hungTwice lets the victim hang again when it is back.
func hungTwice() []Stroke {
	return append(hung(), Stroke{At: 45 * time.Second, Fault: "hang", Node: victim, Salt: 2, Wait: 40 * time.Second})
}

// paused stops the victim and its agent for longer than some hint windows.
func paused() []Stroke { return []Stroke{{At: time.Second, Fault: "vm-pause", Node: victim, Salt: 3}} }

// snitchless lets the victim come back while a peer has long ignored Severity.
func snitchless() []Stroke {
	return []Stroke{{At: 0, Fault: "snitch-off", Node: 0, Salt: 1, For: 5 * time.Minute}, {At: 20 * second, Fault: "kill", Node: victim, Salt: 1}}
}

// longStop is longer than the shortest gc_grace_seconds of a world.
const longStop = 4 * time.Minute

// longAway keeps the victim down without its agent, so that nobody starts it.
func longAway() []Stroke {
	return []Stroke{{At: second, Fault: "agent-stopped", Node: victim, Salt: 1, For: longStop}, {At: 2 * second, Fault: "kill", Node: victim, Salt: 1}}
}
