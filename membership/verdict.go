// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"time"

	"supervisor/cluster"
)

// Answer is one of three, never two. Unknown is the zero value, so a
// forgotten field condemns nobody: what destroys waits on Unknown, what
// protects goes on protecting.
type Answer uint8

// The answers.
const (
	Unknown Answer = iota
	Alive
	Gone
)

var answerWords = cluster.Words{"unknown", "alive", "gone"}

// String is the wire word of the answer.
func (a Answer) String() string { return answerWords.Word(uint8(a)) }

// MarshalText spells the answer.
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads a wire word.
func (a *Answer) UnmarshalText(text []byte) error {
	v, err := answerWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	*a = Answer(v)
	return nil
}

// Cause is why a node has its answer.
type Cause uint8

// The causes. AgentGone goes with Alive (Cassandra is fine and is not
// touched); Planned goes with either; the others but Slow go with Gone.
const (
	NoCause Cause = iota
	Slow
	Hung        // the process lives and answers nobody
	CQLDead     // JVM and gossip alive, native protocol off or refused
	ProcessDown // the process is gone, the host answers
	DiskFailed  // the data disk refuses writes
	HostGone    // every path is silent
	Isolated    // silent to the others, its own agent says it is fine, or only closed to clients
	AgentGone   // only the agent is silent
	Planned     // the node said so before it went
)

var causeWords = cluster.Words{"none", "slow", "hung", "cql_dead", "process_down", "disk_failed",
	"host_gone", "isolated", "agent_gone", "planned"}

// Causes lists every wire word, in the order of the constants.
func Causes() []string { return append([]string(nil), causeWords...) }

// String is the wire word of the cause.
func (c Cause) String() string { return causeWords.Word(uint8(c)) }

// MarshalText spells the cause.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a wire word.
func (c *Cause) UnmarshalText(text []byte) error {
	v, err := causeWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("cause: %w", err)
	}
	*c = Cause(v)
	return nil
}

// Vote is what one eligible observer contributes to a verdict.
type Vote uint8

// The votes. Unheard is the zero value: an observer nobody heard is eligible
// and says nothing.
const (
	Unheard  Vote = iota
	For           // says the node is gone
	Against       // says the node lives
	Abstains      // unwell, or heard without a word about this node
)

var voteWords = cluster.Words{"unheard", "for", "against", "abstains"}

// String is the wire word of the vote.
func (v Vote) String() string { return voteWords.Word(uint8(v)) }

// MarshalText spells the vote.
func (v Vote) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a wire word.
func (v *Vote) UnmarshalText(text []byte) error {
	n, err := voteWords.Value(string(text))
	if err != nil {
		return fmt.Errorf("vote: %w", err)
	}
	*v = Vote(n)
	return nil
}

// Ballot is the vote of one observer with the looks it rests on.
type Ballot struct {
	Observer   cluster.Name       `json:"observer"`
	Datacenter cluster.Datacenter `json:"datacenter,omitempty"`
	Rack       cluster.Rack       `json:"rack"`
	Own        bool               `json:"own,omitempty"` // the node's own agent
	Vote       Vote               `json:"vote"`
	Unwell     bool               `json:"unwell,omitempty"`
	// Duplicate: two agents bear this name, so neither is believed.
	Duplicate bool `json:"duplicate,omitempty"`
	// Age is that of the observer's last digest when the verdict was made
	// (Verdict.At); 0 beside Unheard means that it was never heard.
	Age   time.Duration `json:"age"`
	Cites []Report      `json:"cites,omitempty"` // its fresh looks at the node, by path
}

// Verdict is what the judge says of one node, with everything it rests on.
type Verdict struct {
	Node   cluster.Name   `json:"node"`
	At     cluster.Moment `json:"-"` // when these ballots were counted; ages in them are of this moment
	Answer Answer         `json:"answer"`
	Cause  Cause          `json:"cause"`
	Since  cluster.Moment `json:"-"` // the first of the unbroken bad looks; of the answer when Alive
	For    int            `json:"for"`
	// Heard counts eligible observers heard fresh and not abstaining; Of counts all eligible.
	Against int `json:"against"`
	Abstain int `json:"abstain"`
	Heard   int `json:"heard"`
	Of      int `json:"of"`
	Racks   int `json:"racks"` // distinct racks of those who vote For, own agent left out
	// Drain is true when the bar for draining is met and the picture was
	// stable. It is never true with Unknown, with Planned, or with fewer
	// eligible observers than Bars.ObserversMin: then the answer is advice.
	Drain bool `json:"drain"`
	// Own is what the node's own agent says of the process, fresh or NoWord.
	// An unwell agent is still believed that the process exited: that is the
	// kernel's word and does not depend on the agent's clock.
	Own Outcome `json:"own"`
	// Process is the boot of the last Cassandra process the own agent named,
	// fresh or not, also when that process has ended since.
	Process cluster.Boot `json:"process,omitempty"`
	// LastAlive is the last moment an observer had a CQL answer from the node; zero when never seen.
	LastAlive cluster.Moment `json:"-"`
	// Slow is how its answers compare with those of its peers, of a node whose cause is Slow; zero for every other.
	Slow    Slowness `json:"slow,omitzero"`
	Ballots []Ballot `json:"ballots"`
}

// Slowness is how far a node that answers stands out among its peers, as those see it who
// watch several nodes at once. It is only told of an outlier that has been one for long enough.
type Slowness struct {
	Since   cluster.Moment `json:"-"`       // an outlier without a pause, on the judge's clock
	For     time.Duration  `json:"for"`     // the same as an age, when the verdict was made
	Says    []cluster.Name `json:"says"`    // observers that find it slow, in the order of names
	Of      int            `json:"of"`      // observers that have enough to compare
	Typical time.Duration  `json:"typical"` // its answers: the median of what those in Says measured
	Peers   time.Duration  `json:"peers"`   // those of the nodes it was compared with, likewise
	// Inside is what the node says of itself that may be why, a sentence each; empty when nothing stands out.
	Inside []string `json:"inside,omitempty"`
}
