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
	Story
	// spoil changes what a leader sends; nil: it is planted where w.bug names it.
	spoil func(w *world, t *store.Txn)
}

// Story is what makes a bug show: faults, and what people say.
type Story struct {
	Strokes []Stroke
	Said    []Saying
	Nodes   int           // 0: three
	Storm   time.Duration // 0: a minute and a half
	Slow    bool          // judges find slow nodes slow
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
	oneLeader      = "one-leader"
	timidLeaders   = "timid-leaders"
	slowRamp       = "slow-ramp"
	forgetfulPause = "forgetful-pause"
	snitchUnsaid   = "snitch-unsaid"
	freedByAbort   = "freed-by-abort"
	usualGrace     = "usual-grace"
	wearyFences    = "weary-fences"
	overlapping    = "overlapping-repairs"
	resumedClaim   = "resumed-claim"
	halfCut        = "half-cut"
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
		{halfCut, "agents that judge cut nobody off, and say that they do", fenceProven, frozen(), nil},
		{"forgotten-fences", "leaders keep no account of fences", oneFence, hungTwice(), edit(store.Ledgers, func(_ *world, l *incident.Ledger) { l.Fences = nil })},
		{"harsh-fences", "leaders shut clients out of a node that readers are only to avoid", slowIsMild, slowed(), edit(store.Fences, harsh)},
		{"cold-fences", "leaders write each fence as if the whole ring were down", coldStart, killedWithAgent(), edit(store.Fences, coldFence)},
		{usualGrace, "leaders take the usual gc_grace_seconds for that of each table", gcGrace, longAway(), nil},
		{plainGate, "the gate hibernates nobody", gateObeys, killed(), nil},
		{wanderingFence, "agents raise on their own node a fence that stands on another", string(incident.QuorumSurvives), stuckRepair(), nil},
		{panicFence, "agents that miss a peer fence their own node, and nobody told them to", string(incident.QuorumSurvives), hung(), nil},
		{"half-pools", "leaders leave a member out of the pool", string(incident.PoolFloor), killed(), edit(store.Pools, halfPool)},
		{"empty-pool", "leaders drain every member of the pool", string(incident.PoolFloor), killed(), edit(store.Pools, emptyPool)},
		{"deep-drain", "leaders drain all members but one with the one that is gone", string(incident.PoolFloor), killedOfFive(), edit(store.Pools, deepDrain)},
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
		{oneLeader, "nobody asks for the lead when the first leader is gone", string(incident.NoSilentWait), leaderless(), nil},
		{timidLeaders, "leaders resign when a node is gone", string(incident.NoSilentWait), killed(), nil},
		{"unheard", "the store refuses whatever leaders say of a return", returnedInTime, killed(), refuseReturns},
		{rosy, "agents say of one node that it is well whatever they see", detectedInTime, killed(), nil},
		{"two-at-once", "leaders keep no account of who is on its way back", string(incident.RuleBudget), killedTwo(), edit(store.Ledgers, noHolders)},
		{"hand-beside-hand", "leaders keep no account of who was fenced by hand", string(incident.RuleBudget), handOnTwo(), edit(store.Ledgers, noHolders)},
		{"seen-storms", "leaders write of every storm that somebody has seen it", string(incident.RuleStorm), hungAmongKilled(), records(seenStorm)},
		{forgetfulPause, "who reads the store finds no pause there", pauseHolds, killedInPause(), nil},
		{"deaf-abort", "leaders forget that it was a person who stopped an incident", abortHolds, abortedInReturn(), records(forgetWho)},
		{"late-opening", "leaders open no incident before a node is gone for a minute", detectedInTime, killed(), opening(refuseYoung)},
		{slowRamp, "the policy wants four minutes between two weights", returnedInTime, killed(), nil},
		{"unheard-words", "the store refuses whatever leaders say to people", refusalsTold, pausedOnly(), refuseAnswers},
		{"silent-waits", "leaders write down no rule that an incident waits for", refusalsTold, killedInPause(), records(func(_ *world, r *incident.Record) { r.Waits = "" })},
		{halfRaised, "fences raise the Severity half as high as keeps readers off", noStaleRead, paused(), nil},
		{snitchUnsaid, "agents do not say that their Cassandra ignores Severity", noStaleRead, snitchless(), nil},
		{freedByAbort, "leaders let readers to a node whose return somebody aborts", abortHolds, abortedInPause(), freeAborted},
		{wearyFences, "executors keep no fence up of a node whose incident a person stopped", heldIsSafe, unfencedByHand(), nil},
		{"lost-entry", "leaders open incidents and write no line of it in the journal", journalChain, killed(), opening(without(store.Logs))},
	}
}

// Play is the command that plants the bug, and says who saw it and when.
func (b Bug) Play() string {
	return "go test -tags grpcnotrace ./internal/sim -v -run 'TestPlantedBugsAreSeen/^" + b.Name + "$'"
}

// options are a world in which the bug may show.
func (b Bug) options(seed int64) Options {
	o := Options{Seed: seed, Nodes: max(3, b.Nodes), Storm: 90 * time.Second, Calm: 5 * time.Minute, Strokes: b.Strokes, Said: b.Said, Slow: b.Slow, Bug: b.Name}
	if b.Storm > 0 {
		o.Storm = b.Storm
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

// kill is the stroke that most of them begin with.
func kill() Stroke { return Stroke{At: time.Second, Fault: "kill", Node: victim, Salt: 1} }

func struckBy(strokes ...Stroke) Story { return Story{Strokes: strokes} }

func killed() Story { return struckBy(kill()) }

// killedWithAgent keeps the start waiting while others take writes.
func killedWithAgent() Story {
	return struckBy(Stroke{At: time.Second, Fault: "kill-with-agent", Node: victim, Salt: 1})
}

// stopped lets two agents, mostly the leader among them, go on from an old
// picture when another leads.
func stopped() Story {
	at := 1900 * time.Millisecond
	return struckBy(kill(), Stroke{At: at, Fault: "agent-stopped", Node: 0, Salt: 1}, Stroke{At: at, Fault: "agent-stopped", Node: victim, Salt: 2})
}

// leaderless leaves an incident to an heir.
func leaderless() Story {
	return struckBy(kill(), Stroke{At: 5 * time.Second, Fault: "leader-crash", Node: victim, Salt: 1})
}

// stuckRepair keeps the victim asleep for long.
func stuckRepair() Story {
	return struckBy(kill(), Stroke{At: 2 * time.Second, Fault: "repair-hangs", Node: victim, Salt: 1})
}

// endedUntold lets the victim's agent die between an effect and the word on its
// disk that it was done: so its salt has it.
func endedUntold() Story {
	return struckBy(Stroke{At: 0, Fault: "crash-at-step", Node: victim, Salt: 5}, kill())
}

// orphanedRepair ends the victim's agent in the middle of a repair that takes long.
func orphanedRepair() Story {
	return struckBy(append(stuckRepair().Strokes, Stroke{At: 25 * second, Fault: "agent-crash", Node: victim, Salt: 1})...)
}

// missed lets a peer say UP of the victim while it hibernates.
func missed() Story {
	return struckBy(Stroke{At: 0, Fault: "hibernation-missed", Node: victim, Salt: 1}, kill())
}

func hangNow() Stroke { return Stroke{At: time.Second, Fault: "hang", Node: victim, Salt: 1} }

func hung() Story { return struckBy(hangNow()) }

// frozen has a host stand still until its peers have cut it off.
func frozen() Story {
	return struckBy(Stroke{At: time.Second, Fault: "host-frozen", Node: victim, Salt: 1, For: 40 * time.Second})
}

// hungTwice lets the victim hang again when it is back.
func hungTwice() Story {
	return struckBy(hangNow(), Stroke{At: 45 * time.Second, Fault: "hang", Node: victim, Salt: 2, Wait: 40 * time.Second})
}

// crowd has so many nodes that two may go and each range keeps its quorum: they
// stand in one rack.
const crowd, pioneer, fellow = 5, 0, 3

func killedOfFive() Story { return Story{Strokes: []Stroke{kill()}, Nodes: crowd} }

func killedTwo() Story {
	return Story{Nodes: crowd, Strokes: []Stroke{{At: time.Second, Fault: "kill-anyway", Node: pioneer, Salt: 1}, {At: time.Second, Fault: "kill-anyway", Node: fellow, Salt: 2}}}
}

func handOnTwo() Story {
	return Story{Nodes: crowd, Strokes: []Stroke{}, Said: []Saying{{At: time.Second, Who: "ana", Verb: incident.AskFence, Node: pioneer},
		{At: 30 * time.Second, Who: "bo", Verb: incident.AskFence, Node: fellow}}}
}

// hungAmongKilled lets one hang while another is down, whom nobody can bring back.
func hungAmongKilled() Story {
	return Story{Nodes: crowd, Strokes: []Stroke{{At: time.Second, Fault: "hang", Node: pioneer, Salt: 1, For: 2 * time.Minute},
		{At: 2 * time.Second, Fault: "agent-stopped", Node: fellow, Salt: 1, For: time.Minute}, {At: 2 * time.Second, Fault: "kill-anyway", Node: fellow, Salt: 2}}}
}

// killedInPause leaves an incident waiting for longer than anybody may be silent
// about it.
func killedInPause() Story {
	return Story{Strokes: []Stroke{{At: 5 * time.Second, Fault: "kill", Node: victim, Salt: 1}},
		Said: []Saying{{At: time.Second, Who: "ana", Verb: incident.AskPause, For: 2 * time.Minute}}}
}

func abortedInReturn() Story {
	return Story{Strokes: []Stroke{kill()}, Said: []Saying{{At: 15 * time.Second, Who: "ana", Verb: incident.AskAbort, Node: victim}}}
}

func pausedOnly() Story {
	return Story{Strokes: []Stroke{}, Said: []Saying{{At: time.Second, Who: "ana", Verb: incident.AskPause, For: time.Minute}}}
}

// paused stops the victim and its agent for longer than some hint windows.
func paused() Story {
	return struckBy(Stroke{At: time.Second, Fault: "vm-pause", Node: victim, Salt: 3})
}

// snitchless lets the victim come back while a peer has long ignored Severity.
func snitchless() Story {
	return struckBy(Stroke{At: 0, Fault: "snitch-off", Node: 0, Salt: 1, For: 5 * time.Minute},
		Stroke{At: 20 * second, Fault: "kill", Node: victim, Salt: 1})
}

// abortedInPause stops the victim's incident in the middle of its return.
func abortedInPause() Story {
	s := paused()
	s.Said = []Saying{{At: 19 * second, Who: "ana", Verb: incident.AskAbort, Node: victim}}
	return s
}

// unfencedByHand has somebody reset the Severity after that, of a node whose repair
// does not end; its host stands still for less than its peers wait to cut it off.
func unfencedByHand() Story {
	s := abortedInPause()
	s.Strokes[0].For = 14 * second
	s.Strokes = append(s.Strokes, Stroke{At: 2 * second, Fault: "repair-hangs", Node: victim, Salt: 1, For: 5 * time.Minute},
		Stroke{At: 40 * second, Fault: "severity-by-hand", Node: victim, Salt: 1})
	return s
}

// longStop is longer than the shortest gc_grace_seconds of a world.
const longStop = 4 * time.Minute

// longAway keeps the victim down without its agent, so that nobody starts it.
func longAway() Story {
	s := struckBy(Stroke{At: second, Fault: "agent-stopped", Node: victim, Salt: 1, For: longStop},
		Stroke{At: 2 * second, Fault: "kill", Node: victim, Salt: 1})
	s.Storm = longStop + 10*second
	return s
}
