// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
)

// Load is what an agent says of its Cassandra to those who give it work. It is
// told while the host is to take part in a repair, and only then.
type Load struct {
	// Reading counts the readings of one agent: a word whose number stays is an old one.
	Reading int64 `json:"reading"`
	// Compactions wait, or are under way.
	Compactions int64 `json:"compactions"`
	// Dropped are the mutations that were dropped within the last DroppedWithin.
	Dropped int64 `json:"dropped"`
	// Free of Total bytes of the data disk can still be taken. Total 0: not known.
	Free  int64 `json:"free"`
	Total int64 `json:"total"`
	// Latency is the 99th percentile of its clients' reads; 0: nobody reads through it.
	Latency time.Duration `json:"latency,omitempty"`
	// Validations wait, or are under way; streams likewise.
	Validations int64 `json:"validations,omitempty"`
	Streams     int64 `json:"streams,omitempty"`
	// Sessions are the repairs it takes part in, whoever began them; -1: not told.
	Sessions int64 `json:"sessions,omitempty"`
	// Own are those of them that its agent began and saw no end of.
	Own int64 `json:"own,omitempty"`
	// Moved grows with everything that is validated or streamed there, and tells
	// nothing by itself.
	Moved int64 `json:"moved,omitempty"`
	// Fault is why its agent could not read it; empty: it could.
	Fault string `json:"fault,omitempty"`
}

// DroppedWithin is how long a dropped mutation counts.
const DroppedWithin = time.Minute

// The rules by which the next batch waits, in the order in which they are asked.
const (
	DiskRule        = "repair-disk"
	DroppedRule     = "repair-dropped"
	CompactionsRule = "repair-compactions"
	LatencyRule     = "repair-latency"
	ForeignRule     = "repair-foreign"
	ValidationRule  = "repair-validation"
	UnheardRule     = "repair-unheard"
)

const (
	// LoadFresh is how old the word of a participant may be.
	LoadFresh = 30 * time.Second
	// IdleAfter is how long the repairs of others may stand still and are waited for:
	// Cassandra keeps some whose coordinator went for good.
	IdleAfter = 2 * time.Minute
	// latencyFloor is a latency that nobody complains about, however much more it is
	// than before.
	latencyFloor = 10 * time.Millisecond
)

// Bounds are what the participants of a repair may be asked to bear.
type Bounds struct {
	Compactions   int64
	Dropped       int64
	DiskFree      float64 // share of the data disk
	LatencyFactor float64 // of what it was before the repair began
}

// Peer is one participant of the next batch.
type Peer struct {
	Name cluster.Name
	// Load is the last word of its agent, Age how old that is; nil: there is none.
	Load *Load
	Age  time.Duration
	// Node is set of the one that is repaired: it has no clients of its own, and what
	// it drops it is about to get.
	Node bool
	// Before is its latency before the repair began; 0: not known.
	Before time.Duration
	// Busy is set while its word may be about a batch of ours that has ended since.
	Busy bool
	// Ours are the repairs of ours that it may be taking part in, Idle how long
	// nothing has moved there.
	Ours int64
	Idle time.Duration
	// Given up is set of one whose word was waited for long enough.
	GivenUp bool
}

// Permit says whether the next batch may begin, with at most so many segments,
// or by which rule it waits. Why has the values and the bounds; Next what ends it.
type Permit struct {
	Segments int
	Rule     string // empty: it may begin
	Why      string
	Next     string
	Of       cluster.Name // the participant that it is about
}

// Waits tells whether the batch waits.
func (v Permit) Waits() bool { return v.Rule != "" }

// Decide asks each rule of each participant, and lets the batch begin when none
// holds. A peer that nobody knows about is waited for; given up, it is worked with
// one segment at a time.
func Decide(peers []Peer, b Bounds, batch int) Permit {
	peers = slices.Clone(peers)
	slices.SortFunc(peers, func(a, b Peer) int { return strings.Compare(string(a.Name), string(b.Name)) })
	for _, r := range stopRules {
		for _, p := range peers {
			if p.known() == r.unknown {
				continue
			}
			if why := r.holds(p, b); why != "" {
				return Permit{Rule: r.name, Why: fmt.Sprintf("%s %s", p.Name, why), Next: r.next, Of: p.Name}
			}
		}
	}
	if slices.ContainsFunc(peers, func(p Peer) bool { return !p.known() }) {
		batch = 1
	}
	return Permit{Segments: max(1, batch)}
}

// known tells whether the peer's word says something about now.
func (p Peer) known() bool { return p.Load != nil && p.Load.Told(p.Age) }

// Told tells whether a word of some age says something about now.
func (l Load) Told(age time.Duration) bool { return l.Fault == "" && l.Total > 0 && age <= LoadFresh }

// stopRule is one reason to wait. unknown is set of those that are about a peer of
// which nobody knows; next is what ends the wait.
type stopRule struct {
	name, next string
	unknown    bool
	holds      func(Peer, Bounds) string
}

var stopRules = []stopRule{
	{DiskRule, "make room there: old snapshots, more disk", false, diskHolds},
	{DroppedRule, "it goes on when none was dropped for a minute; look what overloads it", false, droppedHolds},
	{CompactionsRule, "it goes on when they are fewer; let it compact faster (nodetool setcompactionthroughput) if its disk allows", false, compactionsHold},
	{LatencyRule, "it goes on when its clients are answered faster", false, latencyHolds},
	{ForeignRule, "it goes on when they have ended; pause who began them: Reaper, ecChronos, auto-repair, nodetool", false, foreignHolds},
	{ValidationRule, "it goes on when they have ended", false, validationHolds},
	{UnheardRule, "look at the agent and at Jolokia there", true, unheardHolds},
}

func diskHolds(p Peer, b Bounds) string {
	if share := float64(p.Load.Free) / float64(p.Load.Total); share < b.DiskFree {
		return fmt.Sprintf("has %s of %s of its disk free, %.1f %%, at least %.1f %% wanted", sized(p.Load.Free), sized(p.Load.Total), 100*share, 100*b.DiskFree)
	}
	return ""
}

func droppedHolds(p Peer, b Bounds) string {
	if p.Node || p.Load.Dropped <= b.Dropped {
		return ""
	}
	return fmt.Sprintf("dropped %d mutations within a minute, at most %d allowed", p.Load.Dropped, b.Dropped)
}

func compactionsHold(p Peer, b Bounds) string {
	if p.Load.Compactions <= b.Compactions {
		return ""
	}
	return fmt.Sprintf("has %d pending compactions, at most %d allowed", p.Load.Compactions, b.Compactions)
}

func latencyHolds(p Peer, b Bounds) string {
	most := time.Duration(b.LatencyFactor * float64(max(p.Before, latencyFloor)))
	if p.Node || p.Before == 0 || p.Load.Latency <= most {
		return ""
	}
	return fmt.Sprintf("answers reads within %s (p99), %s before the repair, at most %s allowed", ms(p.Load.Latency), ms(p.Before), ms(most))
}

// foreignHolds passes over repairs in which nothing moves: some are left over from
// a coordinator that went.
func foreignHolds(p Peer, _ Bounds) string {
	foreign := p.Load.Sessions - p.Ours
	if foreign <= 0 || p.Idle >= IdleAfter {
		return ""
	}
	if foreign == 1 {
		return "takes part in a repair that the supervisor did not begin"
	}
	return fmt.Sprintf("takes part in %d repairs that the supervisor did not begin", foreign)
}

func validationHolds(p Peer, _ Bounds) string {
	if p.Busy || p.Load.Own > 0 || p.Load.Validations == 0 || p.Idle >= IdleAfter {
		return ""
	}
	return fmt.Sprintf("validates already (%d at once)", p.Load.Validations)
}

func unheardHolds(p Peer, _ Bounds) string {
	switch {
	case p.GivenUp:
		return ""
	case p.Load == nil:
		return "has not said how much it has to do"
	case p.Load.Fault != "":
		return "cannot say how much it has to do: " + p.Load.Fault
	case p.Load.Total <= 0:
		return "does not say how full its disk is"
	}
	return fmt.Sprintf("has not said for %s how much it has to do, %s allowed", p.Age.Round(time.Second), LoadFresh)
}

// Pace is how fast a repair goes on, and what it waits for.
type Pace struct {
	Batch int `json:"batch,omitempty"` // segments of the next order; 0: the first one
	// Before are the participants' latencies before the repair had them work.
	Before map[cluster.Name]time.Duration `json:"before,omitempty"`
	// GivenUp are participants whose word was waited for long enough.
	GivenUp []cluster.Name `json:"given_up,omitempty"`
	// Since is the wall time from which on no batch could begin; zero: one can.
	Since time.Time `json:"since,omitzero"`
}

// Next is how many segments the next batch has. A repair begins with one.
func (p Pace) Next(most int) int { return min(max(1, p.Batch), max(1, most)) }

// Went is the pace after a batch that nothing kept from beginning: one segment more.
func (p Pace) Went(most int) Pace {
	p.Batch = min(p.Next(most)+1, max(1, most))
	p.Since = time.Time{}
	return p
}

// Pressed is the pace when the next batch has to wait: half as many.
func (p Pace) Pressed(wall time.Time) Pace {
	p.Batch = max(1, p.Batch/2)
	if p.Since.IsZero() {
		p.Since = wall.UTC()
	}
	return p
}

func sized(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	size, i := float64(n)/unit, 0
	for ; size >= unit && i < 4; i++ {
		size /= unit
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGTP"[i])
}

func ms(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
