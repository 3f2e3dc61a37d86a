// SPDX-License-Identifier: Apache-2.0

package sim

import "supervisor/incident"

// Check is one invariant that is held against what is true in the world.
type Check struct {
	Name  string
	Holds string // what is true while it holds
	When  string // when it is looked at
}

// The moments at which checks look.
const (
	onWrite  = "each transaction that lands"
	onAct    = "each act that begins"
	onChange = "each change of the truth, and each second"
	onSecond = "each second"
	atEnd    = "the end of the calm"
	inPasses = "every 10,000 steps, and the end of the calm"
)

// The checks that bear no name of package incident.
const (
	intentOnce      = "intent-once"
	oneAtATime      = "one-at-a-time"
	legalEdges      = "legal-edges"
	noOrphan        = "no-orphan"
	noLostIncident  = "no-lost-incident"
	readyBeforeAdd  = "ready-before-add"
	noStaleRead     = "no-stale-read"
	heldIsSafe      = "held-is-safe"
	hibernationDown = "hibernation-is-down"
	fenceEvidence   = "fence-evidence"
	fenceProven     = "fence-proven"
	oneFence        = "one-fence"
	slowIsMild      = "slow-is-mild"
	coldStart       = "cold-start"
	gateObeys       = "gate-obeys"
	gcGrace         = "gc-grace"
	journalChain    = "journal-chain"
	transaction     = "transaction"
	format          = "format"
	pauseHolds      = "pause-holds"
	abortHolds      = "abort-holds"
	detectedInTime  = "detected-in-time"
	returnedInTime  = "returned-in-time"
	refusalsTold    = "refusals-are-told"
)

// Checks are all of them. A violation bears one of these names.
func Checks() []Check {
	return []Check{
		{string(incident.IntentFirst), "an act is of an order that a record waits for, claimed by the boot that acts", onAct},
		{string(incident.TokenNeverFalls), "the tokens obeyed for a resource never fall", onAct},
		{intentOnce, "an effect that was begun is not begun again by its order, also when nobody lived to tell; another order looks first what is there, and may repair or look twice", onAct},
		{oneAtATime, "no two acts change one node at once", onAct},
		{string(incident.UnknownDestroysNothing), "a process is ended by order only when it is the one that was meant and nobody reads from it", onAct},
		{string(incident.NoBorderCrossing), "no repair takes part of a node where the data may not stand", onAct},
		{hibernationDown, "a repair of a sleeper begins only when no settled peer says UP of it", onAct},
		{fenceEvidence, "a process is ended for hanging only while it hangs, after the age that the policy wants, and behind a fence that keeps the next from starting; a host is turned off only behind a fence that says so, and not while everybody has its answers", onAct},
		{fenceProven, "a fence counts as proven only when the process that was meant has ended, its host was turned off with it, or no Cassandra of the ring is linked to the node, until that is lifted", onWrite},
		{string(incident.RuleBudget), "as many nodes of a datacenter as the policy says are changed by order at once, of one rack; nobody is fenced by hand beside as many that are out, or one of another rack", onAct},
		{string(incident.RuleStorm), "no process is ended for hanging, nobody is drained and nobody fenced by hand while more nodes of its datacenter fail at once than the policy says, or two of one range", onWrite},
		{pauseHolds, "where a pause stands nothing is begun, but a fence that keeps readers off", onWrite},
		{abortHolds, "nothing is begun of an incident that a person stopped, until it is retried, or over because nothing was done and its node answers", onWrite},
		{oneFence, "a node is not fenced again before its quarantine is over", onAct},
		{slowIsMild, "a node that is slow, and nothing else befell, has its process and its ports left alone, and is not repaired", onWrite},
		{coldStart, "a plain start by order is of a node that missed no acknowledged write", onAct},
		{gcGrace, "no node that lacks a write older than gc_grace_seconds is repaired with, joined to the ring or opened by order", onAct},
		{gateObeys, "a node that is to hibernate is started no other way", onAct},
		{string(incident.QuorumSurvives), "a fence that keeps readers off a serving node leaves every range of it its quorum", onAct},
		{string(incident.PoolFloor), "a pool names all of its members, and one at least is wanted ready; half of those that answer stay ready when one of them is taken out", onWrite},
		{readyBeforeAdd, "a node that was out of its pool is given weight only while it answers and its Severity is 0", onWrite},
		{string(incident.OneOpenIncident), "a node is in one open incident, the one its key names", onWrite},
		{string(incident.ClosedIsQuiet), "a closed incident waits for nothing, holds nothing and stays as it was", onWrite},
		{legalEdges, "an incident goes from phase to phase by the edges of the picture", onWrite},
		{noOrphan, "no fence, no budget and no drain stands without an open incident of its node", onWrite},
		{noLostIncident, "an incident that was open is open or in the archive", onWrite},
		{string(incident.FenceBeforeReplace), "no incident is replacing: this version replaces nothing", onWrite},
		{transaction, "a transaction has fewer than sixteen writes and is one that the store takes", onWrite},
		{format, "what is written can be read", onWrite},
		{noStaleRead, "nobody may read from a node that lacks an acknowledged write", onChange},
		{string(incident.NoSilentWait), "when faults have ended every incident is closed or held, and no node is down without one", atEnd},
		{detectedInTime, "an incident is open about a node that is gone for 30 seconds while all is well", onSecond},
		{returnedInTime, "an incident is closed or held within three minutes, while all is well and nothing is open about another node", onSecond},
		{refusalsTold, "a word of a person is answered, and an incident that stands still says why, within a minute while all is well", onSecond},
		{heldIsSafe, "a node that is held in the middle of its return is behind its fence", atEnd},
		{journalChain, "the journal is one chain of hashes", inPasses},
	}
}

// edges are the phases that may follow one another, a phase after itself apart.
func edges() map[incident.Phase][]incident.Phase {
	return map[incident.Phase][]incident.Phase{
		incident.Suspected: {incident.Draining, incident.Verifying, incident.Returning, incident.Closed, incident.Held},
		incident.Draining:  {incident.Fencing, incident.Returning, incident.Verifying, incident.Closed, incident.Held},
		incident.Fencing:   {incident.Deciding, incident.Returning, incident.Held},
		incident.Deciding:  {incident.Returning, incident.Held},
		incident.Returning: {incident.Verifying, incident.Draining, incident.Closed, incident.Held},
		incident.Verifying: {incident.Returning, incident.Draining, incident.Closed, incident.Held},
		incident.Held:      {incident.Suspected, incident.Draining, incident.Fencing, incident.Deciding, incident.Returning, incident.Verifying, incident.Closed},
	}
}
