// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"strings"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
)

// preflight starts the node when every condition of a return holds.
func (t *turn) preflight() {
	v := t.w.verdict(t.r.Node)
	if t.neverEnded(v) {
		return
	}
	if answers(v) || t.runsAnother() || t.r.Return.InPlace && runs(v) {
		t.cameBack()
		return
	}
	if (t.r.Return.Tries > 0 || t.r.Return.Kills > 0) && t.w.InStep < retryAfter {
		return // starts that failed are spaced; what is known of the last process may be from before its end
	}
	if t.runsOn(v) {
		t.r.Return.InPlace, t.changed = true, true
		t.cameBack()
		return
	}
	if up := t.seenUp(); t.r.Return.Kills > 0 && len(up) > 0 && t.w.InStep < convictedMax {
		// Whoever has not given the ended process up gossips with the next one from
		// its first moment, and mostly sees that one too.
		t.wait(RuleHibernation, "waits_conviction", "peers", names(up), "node", string(t.r.Node))
		return
	}
	if v.Own != membership.Exited {
		t.wait(RuleReach, "waits_agent", "node", string(t.r.Node))
		return
	}
	if who := membership.Answering(v); len(who) > 0 {
		// A copy of its host says so, with its agent's name.
		t.wait(RuleEvidence, "waits_answered", "node", string(t.r.Node), "who", names(who))
		return
	}
	if f := t.preflightFault(); f != nil {
		t.preflightWaits(*f)
		return
	}
	start := isolate.Hibernate
	levels := isolate.Clients | isolate.Reads
	if t.cold() {
		start, levels = isolate.Normal, 0
	}
	t.r.Return.Tries++
	t.r.Return.Cold, t.r.Return.InPlace = start == isolate.Normal, false
	t.ledger = t.ledger.with(t.r, HoldsReturn)
	t.r.Return.Step = Starting
	t.nextStep()
	t.say(Did, "did_start", "node", string(t.r.Node), "how", start.String(), "try", count(t.r.Return.Tries))
	t.fence(levels, start)
	t.order(Once{Verb: VerbStart}, startMax)
	if start == isolate.Hibernate {
		t.wantPoolsStill(loadbalancer.Wish{Want: loadbalancer.Drain}) // nobody is there to lose, and it must stay out until it is proven
	}
}

// seenUp lists the live peers that say UP of the node, whichever process they
// mean.
func (t *turn) seenUp() []cluster.Name {
	seen := t.sights()
	return slices.DeleteFunc(t.w.livePeers(t.r.Node), func(n cluster.Name) bool { return seen[n].Sight != isolate.Up })
}

// neverEnded gives up a return that nobody has begun with, of a node that
// answers with the very process that seemed to be down.
func (t *turn) neverEnded(v membership.Verdict) bool {
	if !t.livesOn(v) {
		return false
	}
	t.r.Return = nil
	t.waitAside()
	t.enter(Verifying)
	t.say(Decided, "decided_verify", "node", string(t.r.Node))
	return true
}

// livesOn tells whether the very process that seemed to be down answers, and
// nothing was done to it.
func (t *turn) livesOn(v membership.Verdict) bool {
	same, known := t.sameProcess(t.r.Process)
	return known && same && answers(v) && t.r.Return.Tries == 0 && !t.r.Return.InPlace
}

// runsOn tells whether the very process that was said to have ended runs, behind
// the fence of its return: who said so was a copy of its host.
func (t *turn) runsOn(v membership.Verdict) bool {
	same, known := t.sameProcess(t.r.Process)
	return known && same && v.Own == membership.Good && t.keptFromReaders()
}

// runsAnother tells whether a process runs that is not the one that ended.
func (t *turn) runsAnother() bool {
	same, known := t.sameProcess(t.r.Process)
	return known && !same
}

// runs tells whether the process of a node runs: by its own agent's word, or by
// that of the others who see its clients shut out. An agent whose host stood still
// is not heard for a while, and coordinators read from the node meanwhile.
func runs(v membership.Verdict) bool {
	return v.Own == membership.Good || v.Answer == membership.Gone && v.Cause == membership.CQLDead
}

// cold tells whether this is a cluster that lost its power: all were gone at
// once, and no write can have been acknowledged since.
func (t *turn) cold() bool { return !t.r.Outage.Writable && t.r.Outage.Dark }

func (t *turn) preflightWaits(f fault) {
	if f.held {
		t.hold(f.rule, f.reason)
		return
	}
	t.wait(f.rule, "waits_preflight", "reason", f.reason)
}

// cameBack deals with a node that somebody else started, or that an earlier
// start left running. It is kept from readers first, whatever else is true; if
// it hibernates it is ours as it is, otherwise it is repaired in place.
func (t *turn) cameBack() {
	if !t.keptFromReaders() {
		if t.quorumAllows() {
			t.nextStep()
			t.say(Decided, "decided_fence_reads", "node", string(t.r.Node))
			t.fence(isolate.Clients|isolate.Reads, isolate.Hibernate)
		}
		return
	}
	own, told := t.ownInPlace()
	if !told {
		t.wait(RuleReach, "waits_own", "node", string(t.r.Node))
		return
	}
	if f := t.inPlaceFault(); f != nil {
		t.preflightWaits(*f)
		return
	}
	t.r.Return.Process, t.r.Return.Generation, t.r.Return.Cold = own.Process, own.Generation, false
	t.ledger = t.ledger.with(t.r, HoldsReturn)
	if own.Mode == normalMode {
		t.to(AwaitUp)
		return
	}
	t.to(AwaitDown)
	t.asks()
}

// keptFromReaders tells whether the fence of a return stands.
func (t *turn) keptFromReaders() bool {
	f, stands := t.w.Fences[t.r.Node]
	return stands && f.Returns()
}

// shutOut tells whether readers are kept off the node however it runs: by the
// fence of a return, or by one that keeps its process from starting.
func (t *turn) shutOut() bool {
	f, stands := t.w.Fences[t.r.Node]
	return t.keptFromReaders() || stands && f.Levels.Has(isolate.Clients|isolate.Reads|isolate.Process)
}

// ownInPlace is what the own agent says of a process that runs already and is
// to be returned; told is false while that is missing, or of one that ended.
func (t *turn) ownInPlace() (own isolate.OwnState, told bool) {
	own, known := t.w.own(t.r.Node)
	ended := own.Process == t.r.Process && !t.r.Return.InPlace
	return own, known && own.Running && own.Generation != 0 && !ended
}

// inPlaceFault holds a process that runs already, and is kept from readers,
// against what must be true before it is repaired where it is.
func (t *turn) inPlaceFault() *fault {
	return first(t.rateFault, t.ageFault, t.letInFault, t.budgetFault, t.schemaFault, t.versionFault, t.snitchFault, t.changeFault, t.gcGraceFault)
}

// first is the first fault of some.
func first[F any](faults ...func() *F) *F {
	for _, f := range faults {
		if f := f(); f != nil {
			return f
		}
	}
	return nil
}

// fault is what keeps a return from starting; held asks for a person.
type fault struct {
	rule   Rule
	reason string
	held   bool
}

// preflightFault holds a return against what must be true before it starts.
func (t *turn) preflightFault() *fault {
	if f := first(t.ageFault, t.letInFault, t.budgetFault); f != nil {
		return f
	}
	if t.cold() {
		if t.othersWrote(true) {
			return &fault{RuleEvidence, "the whole ring went; whether others took writes since is not known yet", false}
		}
		return nil
	}
	return first(t.schemaFault, t.versionFault, t.seedFault, t.snitchFault, t.ringFault, t.changeFault, t.residencyFault, t.gcGraceFault)
}

func (t *turn) schemaFault() *fault {
	if t.w.Schema == nil {
		return &fault{RulePreflight, "ring and schema are not known yet: no Cassandra was asked", false}
	}
	return nil
}

// budgetFault lets only as many nodes of a datacenter return at a time as the
// policy says, and never of two racks.
func (t *turn) budgetFault() *fault {
	most := max(1, t.w.Policy.Budgets.NodesPerDatacenter)
	switch others, elsewhere := t.ledger.returning(t.r.ID, t.r.Rack); {
	case len(others) >= most:
		return &fault{RuleBudget, fmt.Sprintf("%s on the way back already, at most %d at a time", names(others), most), false}
	case len(elsewhere) > 0:
		return &fault{RuleBudget, fmt.Sprintf("%s on the way back already, of another rack than %s: one rack at a time", names(elsewhere), t.r.Rack), false}
	}
	return nil
}

func (t *turn) versionFault() *fault {
	facts := t.w.Agents[t.r.Node].Cassandra
	if facts == nil || facts.Version == "" {
		return nil // the process is down and was never asked: its peers' ring says the rest
	}
	for _, v := range t.w.Policy.Versions {
		if facts.Version == v || len(facts.Version) > len(v) && facts.Version[:len(v)+1] == v+"." {
			return nil
		}
	}
	return &fault{RulePreflight, "Cassandra " + facts.Version + " is not among the tested versions of the policy", true}
}

// seedFault wants two live seeds besides the node: one that is alone could
// start a ring of its own.
func (t *turn) seedFault() *fault {
	seeds := t.seeds()
	if len(seeds) == 0 {
		return nil
	}
	live := 0
	for _, m := range t.w.Schema.Members {
		if m.Name != t.r.Node && slices.Contains(seeds, m.Address) && t.w.seeds(m.Name) {
			live++
		}
	}
	if live < 2 {
		return &fault{RulePreflight, fmt.Sprintf("%d live seeds besides the node, need 2", live), false}
	}
	return nil
}

// seeds are the addresses of the node's seeds, and of its peers'. A Cassandra drops a
// seed from the list it goes by when gossip of an earlier life of it has to be
// forgotten (Gossiper.removeEndpoint), and one that was down when its agent began
// has not been asked: each list alone may lack some that its file names.
func (t *turn) seeds() []string {
	var seeds []string
	for _, p := range append(t.w.livePeers(t.r.Node), t.r.Node) {
		if facts := t.w.facts(p); facts != nil {
			seeds = append(seeds, facts.Seeds...)
		}
	}
	return seeds
}

// changeFault wants ring and schema at rest: a newcomer would build a ring
// without the sleeper, and a repair across two schemas fails. It also wants the
// schema that stands: by an older reading a keyspace made since would be neither
// repaired nor compared. Who does not tell which one stands holds up nothing.
func (t *turn) changeFault() *fault {
	if f := t.movingFault(); f != nil {
		return f
	}
	schema, of := "", cluster.Name("")
	for _, p := range t.w.livePeers(t.r.Node) {
		facts := t.w.facts(p)
		switch {
		case facts == nil:
		case facts.Schema != "" && schema != "" && facts.Schema != schema:
			return &fault{RulePreflight, fmt.Sprintf("%s and %s do not agree about the schema", of, p), false}
		case facts.Schema != "":
			schema, of = facts.Schema, p
		}
	}
	if read := t.w.Schema.Version; read != "" && schema != "" && read != schema {
		return &fault{RulePreflight, fmt.Sprintf("%s has another schema than the one that was read: it is read again first", of), false}
	}
	return nil
}

func (t *turn) movingFault() *fault {
	for _, p := range t.w.livePeers(t.r.Node) {
		if facts := t.w.facts(p); facts != nil && len(facts.Moving) > 0 {
			return &fault{RulePreflight, fmt.Sprintf("%s sees a change of the ring under way: %s", p, strings.Join(facts.Moving, ", ")), false}
		}
	}
	return nil
}

// untoldFault wants to know of every peer that may read how its Cassandra is made
// up; what an agent said that went since may be untrue by now.
func (t *turn) untoldFault() *fault {
	untold := slices.DeleteFunc(t.w.livePeers(t.r.Node), func(n cluster.Name) bool { return t.w.facts(n) != nil })
	if len(untold) == 0 {
		return nil
	}
	return &fault{RuleReach, fmt.Sprintf("no word from %s%s whether Severity has an effect there", names(untold), t.w.silentRegions(untold)), t.w.InStep > sightMax}
}

func (t *turn) snitchFault() *fault {
	for _, p := range t.w.livePeers(t.r.Node) {
		if facts := t.w.facts(p); facts != nil && facts.SnitchOff {
			return snitchOff(p)
		}
	}
	for _, p := range t.w.foreigners() { // also one that is out of reach: it may come back any moment
		if facts := t.w.Abroad[p].Agent.Cassandra; facts != nil && facts.SnitchOff {
			return snitchOff(p)
		}
	}
	return nil
}

func snitchOff(p cluster.Name) *fault {
	return &fault{RulePreflight, "Severity has no effect on " + string(p) + ": its dynamic snitch is off", true}
}

func (t *turn) ringFault() *fault {
	for _, m := range t.w.Schema.Members {
		if m.Name != t.r.Node {
			continue
		}
		if facts := t.w.Agents[t.r.Node].Cassandra; facts != nil && facts.Tokens != 0 && facts.Tokens != len(m.Tokens) {
			return &fault{RulePreflight, fmt.Sprintf("the ring has %d tokens for it, its configuration %d", len(m.Tokens), facts.Tokens), true}
		}
		return nil
	}
	return &fault{RulePreflight, "the ring does not know the node", true}
}

func (t *turn) residencyFault() *fault {
	region, ok := t.w.Policy.RegionOf(t.r.Datacenter)
	if !ok {
		return &fault{NoBorderCrossing, "the policy maps no region to datacenter " + string(t.r.Datacenter), true}
	}
	var keyspaces []string
	for _, ks := range t.w.Schema.Keyspaces {
		if replicatedIn(ks, t.r.Datacenter) && !cluster.NeverReplicated(ks.Name) {
			keyspaces = append(keyspaces, ks.Name)
		}
	}
	slices.Sort(keyspaces)
	if err := t.w.Policy.Residency.Admit(keyspaces, region); err != nil {
		return &fault{NoBorderCrossing, err.Error(), true}
	}
	return nil
}

func (t *turn) gcGraceFault() *fault {
	if _, _, _, zero := t.deadline(); len(zero) > 0 && t.w.Wall.Sub(t.r.Outage.From) > t.w.Policy.Ages.Replace {
		return &fault{RuleGCGrace, fmt.Sprintf("gc_grace_seconds is 0 on %v: declare \"no deletes, TTL only\" in the policy, or replace the node", zero), true}
	}
	return nil
}
