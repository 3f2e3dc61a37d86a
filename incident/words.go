// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"

	"supervisor/cluster"
	"supervisor/repair"
)

// Phase is where an incident stands.
type Phase uint8

// The phases. PhaseUnknown is an error, never a state.
const (
	PhaseUnknown Phase = iota
	Suspected          // seen, nothing done
	Draining           // being taken out of the pools
	Fencing            // its process, which hangs, is being ended
	Deciding           // fenced and proven: return or replace?
	Returning          // being brought back, hibernated until it is repaired
	Replacing          // another host takes its place
	Verifying          // back, and being proven
	Closed             // over; never opens again
	Held               // waits for a person, and says for what
)

var phaseWords = cluster.Words{"unknown", "suspected", "draining", "fencing", "deciding", "returning",
	"replacing", "verifying", "closed", "held"}

// Phases lists every wire word, in the order of the constants.
func Phases() []string { return append([]string(nil), phaseWords...) }

// String is the wire word of the phase.
func (p Phase) String() string { return phaseWords.Word(uint8(p)) }

// MarshalText spells the phase.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a wire word.
func (p *Phase) UnmarshalText(text []byte) error {
	v, err := phaseWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("phase: %w", err)
	}
	*p = Phase(v)
	return nil
}

// Mode is how far the supervisor may go in a datacenter.
type Mode uint8

// The modes. Observe is the zero value: where nobody said anything, nothing
// is done.
const (
	Observe Mode = iota // says what it sees and would do
	Assist              // drains, starts again and returns by itself; asks before fence and replace
	Auto                // does all of it
)

var modeWords = cluster.Words{"observe", "assist", "auto"}

// String is the wire word of the mode.
func (m Mode) String() string { return modeWords.Word(uint8(m)) }

// MarshalText spells the mode.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads a wire word.
func (m *Mode) UnmarshalText(text []byte) error {
	v, err := modeWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("mode: %w", err)
	}
	*m = Mode(v)
	return nil
}

// Stage is a mark on an incident's way; demo, histograms and reports all read
// this one list.
type Stage string

// The stages, in their usual order.
const (
	StageSeen     Stage = "seen"
	StageVerdict  Stage = "verdict"
	StageDrained  Stage = "drained"
	StageFenced   Stage = "fenced"
	StageReturned Stage = "returned" // NORMAL, repaired, verified
	StageServing  Stage = "serving"  // first weight in a pool
	StageClosed   Stage = "closed"
)

// Stages lists the stages in their usual order.
func Stages() []Stage {
	return []Stage{StageSeen, StageVerdict, StageDrained, StageFenced, StageReturned, StageServing, StageClosed}
}

// Kind is what sort of thing a journal event tells. The list is closed.
type Kind string

// The kinds.
const (
	Saw     Kind = "saw"
	Judged  Kind = "judged"
	Decided Kind = "decided"
	Asked   Kind = "asked"
	Did     Kind = "did"
	Proved  Kind = "proved"
	Waited  Kind = "waited"
	Refused Kind = "refused"
	Ended   Kind = "closed"
)

// Kinds lists the kinds.
func Kinds() []Kind {
	return []Kind{Saw, Judged, Decided, Asked, Did, Proved, Waited, Refused, Ended}
}

// Rule is the name of what held something back: a named invariant or a gate.
// The same names stand in code, explain, metrics, documents and simulator.
type Rule string

// The named invariants.
const (
	FenceBeforeReplace     Rule = "fence-before-replace"
	UnknownDestroysNothing Rule = "unknown-destroys-nothing"
	NoBorderCrossing       Rule = "no-border-crossing"
	IntentFirst            Rule = "intent-first"
	TokenNeverFalls        Rule = "token-never-falls"
	QuorumSurvives         Rule = "quorum-survives"
	PoolFloor              Rule = "pool-floor"
	OneOpenIncident        Rule = "one-open-incident"
	NoSilentWait           Rule = "no-silent-wait"
	ClosedIsQuiet          Rule = "closed-is-quiet"
)

// The gates.
const (
	RuleEvidence     Rule = "evidence"
	RuleMinAge       Rule = "min-age"
	RuleBudget       Rule = "budget"
	RuleRate         Rule = "rate"
	RuleStorm        Rule = "storm"
	RulePaused       Rule = "paused"
	RuleMode         Rule = "mode"
	RuleHintWindow   Rule = "hint-window"
	RuleGCGrace      Rule = "gc-grace"
	RulePreflight    Rule = "preflight"
	RuleReach        Rule = "reach"
	RuleHibernation  Rule = "hibernation"
	RuleRepairQuorum Rule = "repair-quorum"
	RuleRepairPeer   Rule = "repair-peer" // one batch at a time works with a host
	RuleVerify       Rule = "verify"
	RuleFencing      Rule = "fencing"
	RuleDeadline     Rule = "deadline"
	RulePolicy       Rule = "policy"
	RuleSize         Rule = "size"       // the store would not take what is to be written
	RuleQuarantine   Rule = "quarantine" // it comes and goes, or hung again after its fence
	RuleEra          Rule = "era"        // the store was recovered from an older copy of itself
	RuleOperator     Rule = "operator"   // a person said so, or said what cannot be followed
	RulePlan         Rule = "plan"       // what was approved is not what would be done now
	RuleMute         Rule = "mute"       // what may be hidden, and for how long
)

// Rules lists every rule, invariants first.
func Rules() []Rule {
	return []Rule{FenceBeforeReplace, UnknownDestroysNothing, NoBorderCrossing, IntentFirst, TokenNeverFalls,
		QuorumSurvives, PoolFloor, OneOpenIncident, NoSilentWait, ClosedIsQuiet,
		RuleEvidence, RuleMinAge, RuleBudget, RuleRate, RuleStorm, RulePaused, RuleMode, RuleHintWindow, RuleGCGrace,
		RulePreflight, RuleReach, RuleHibernation, RuleRepairQuorum, RuleVerify, RuleFencing, RuleDeadline, RulePolicy, RuleSize,
		RuleQuarantine, RuleEra, RuleOperator, RulePlan, RuleMute, RuleRepairPeer, Rule(repair.DiskRule), Rule(repair.DroppedRule),
		Rule(repair.CompactionsRule), Rule(repair.LatencyRule), Rule(repair.ForeignRule), Rule(repair.ValidationRule), Rule(repair.UnheardRule)}
}
