// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
	"supervisor/repair"
)

// SchemaNow is the version of Record that this program writes. A record with
// another one is left alone.
const SchemaNow = 1

// Record is everything that is known of one incident. It is stored whole, and
// any agent that leads can go on from it.
type Record struct {
	Schema     int                     `json:"schema"`
	ID         string                  `json:"id"` // inc-<datacenter>-<n>
	Cluster    string                  `json:"cluster"`
	Region     cluster.Region          `json:"region"`
	Datacenter cluster.Datacenter      `json:"datacenter"`
	Rack       cluster.Rack            `json:"rack"`
	Node       cluster.Name            `json:"node"`
	HostID     cluster.HostID          `json:"host_id,omitempty"`
	Process    cluster.Boot            `json:"process,omitempty"` // the Cassandra process it is about
	Latest     cluster.Boot            `json:"latest,omitempty"`  // the last process seen there, while its end is not ours
	Phase      Phase                   `json:"phase"`
	Cause      membership.Cause        `json:"cause"`
	Held       string                  `json:"held,omitempty"` // the reason, and what would change it
	HeldRule   Rule                    `json:"held_rule,omitempty"`
	HeldFrom   Phase                   `json:"held_from,omitempty"`
	Mode       Mode                    `json:"mode"`
	Burst      string                  `json:"burst,omitempty"`
	Marks      map[Stage]time.Duration `json:"marks"`
	Votes      Votes                   `json:"votes"` // of the verdict that opened it
	Outage     Outage                  `json:"outage"`
	Waited     time.Duration           `json:"waited"`           // in this step, as leaders measured it: a lower bound
	Approx     bool                    `json:"approx,omitempty"` // a leader changed: durations are by wall time
	Began      time.Time               `json:"began"`            // wall time: for stories and upper bounds only
	Policy     int64                   `json:"policy"`
	Step       uint32                  `json:"step"` // names effects; is no token
	Pending    []Effect                `json:"pending,omitempty"`
	Return     *Return                 `json:"return,omitempty"`
	Fenced     *Fenced                 `json:"fenced,omitempty"`   // the fence of its process, if there was one
	Slow       *Slowed                 `json:"slow,omitempty"`     // the answer to its slowness, if it began with that
	Hand       *Hand                   `json:"hand,omitempty"`     // a person's fence
	Proposal   *Proposal               `json:"proposal,omitempty"` // what a person may approve
	Ack        *Ack                    `json:"ack,omitempty"`      // who has seen it as it stands
	Repair     *AskedRepair            `json:"repair,omitempty"`   // set: it is no incident, see AskedRepair
	// Waits is the rule the incident waits for, said once in the journal.
	Waits Rule `json:"waits,omitempty"`
	// Would tells that mode observe already said what it would do.
	Would bool  `json:"would,omitempty"`
	Seq   int64 `json:"seq"` // number of journal events of this incident
}

// Votes is the count that opened an incident; a fenced node keeps it.
type Votes struct {
	For   int `json:"for"`
	Heard int `json:"heard"`
	Of    int `json:"of"`
	Racks int `json:"racks"`
}

// Outage is the window of writes a node may have missed.
type Outage struct {
	From  time.Time `json:"from"` // last proof of life minus the commit log's sync period
	Clean bool      `json:"clean"`
	// Unseen is true while no proof of life is known at all: then From is only
	// the latest moment at which the outage can have begun.
	Unseen bool `json:"unseen,omitempty"`
	// Writable is true once the others had a quorum while the node was away:
	// writes may have been missed.
	Writable bool `json:"writable"`
	// Dark is true once all others were gone at the same time as the node: it
	// went with the whole ring and not alone.
	Dark bool `json:"dark,omitempty"`
	// Deadline is when the data on the node must not be read again, the
	// smallest gc_grace after From; zero: none.
	Deadline time.Time `json:"deadline,omitzero"`
	Table    string    `json:"table,omitempty"` // the table that sets the deadline
}

// Return is how far a return has come.
type Return struct {
	Step       ReturnStep    `json:"step"`
	Tries      int           `json:"tries"`              // starts
	Kills      int           `json:"kills,omitempty"`    // of hibernating processes, whoever had started them
	Cold       bool          `json:"cold,omitempty"`     // the last start was a plain one: the whole ring was out
	InPlace    bool          `json:"in_place,omitempty"` // it runs and lacks writes: it is repaired where it is
	Process    cluster.Boot  `json:"process,omitempty"`
	Generation int64         `json:"generation,omitempty"` // gossip generation of that process
	Job        *repair.Job   `json:"job,omitempty"`
	Rounds     int           `json:"rounds"`             // repairs that ended
	Compared   repair.Bitmap `json:"compared,omitempty"` // segments of Job that another coordinator compared since
	Differs    []string      `json:"differs,omitempty"`  // tables whose preview differed: read row by row
	Read       []string      `json:"read,omitempty"`     // tables that were read, none of their rows old
	// Unread are tables that differed and whose rows tell nothing: they are
	// compared again, Looks times by now.
	Unread []string `json:"unread,omitempty"`
	Looks  int      `json:"looks,omitempty"`
	// Asks counts the questions about write counters, Asked is when the last one was
	// put, since the incident began, and Open is true while its answers may be used.
	Asks  uint32        `json:"asks,omitempty"`
	Asked time.Duration `json:"asked,omitempty"`
	Open  bool          `json:"open,omitempty"`
	// Planned is from when on what is written may be missing from the repair that
	// hibernates, and Repaired the same of one that has ended; 0: there is none.
	Planned  time.Duration `json:"planned,omitempty"`
	Repaired time.Duration `json:"repaired,omitempty"`
	// Whole is true once a repair left old rows behind: from then on no table is left out.
	Whole     bool          `json:"whole,omitempty"`
	Cassandra time.Duration `json:"cassandra"` // share of Cassandra's own work
	Uncertain int           `json:"uncertain,omitempty"`
	// Pace is how fast its repair goes on.
	Pace repair.Pace `json:"pace,omitzero"`
}

// Fenced is how far the fence of a process has come.
type Fenced struct {
	Process cluster.Boot `json:"process"` // the one that is to end
	Tries   int          `json:"tries"`   // orders to end it
	// Proof are the words of two paths that it has ended, or is cut off, each with
	// the token of the fence that stood; empty until then.
	Proof []string `json:"proof,omitempty"`
	// Cut is set while its peers are to keep the host cut off, and Let once they
	// are to let it in again.
	Cut bool `json:"cut,omitempty"`
	Let bool `json:"let,omitempty"`
	// Power is about the end of the host's power, where the cut could not be had.
	Power PowerOff `json:"power,omitzero"`
}

// Pending effects never exceed this, so that a commit stays below sixteen
// operations.
const pendingMax = 8

// clone is a copy whose parts may be changed, all but Marks: those mark copies.
func (r Record) clone() Record {
	if r.Marks == nil {
		r.Marks = map[Stage]time.Duration{}
	}
	r.Pending = slices.Clone(r.Pending)
	if r.Return != nil {
		ret := *r.Return
		ret.Differs, ret.Read, ret.Unread = slices.Clone(ret.Differs), slices.Clone(ret.Read), slices.Clone(ret.Unread)
		r.Return = &ret
	}
	if r.Repair != nil {
		asked := *r.Repair
		r.Repair = &asked
	}
	if r.Fenced != nil {
		f := *r.Fenced
		r.Fenced = &f
	}
	if r.Slow != nil {
		s := *r.Slow
		r.Slow = &s
	}
	return r
}

// dropJob forgets the repair, which is most of a record; r is a clone.
func (r Record) dropJob() {
	if r.Return != nil {
		r.Return.Job = nil
	}
}

// Ended tells whether the incident is over.
func (r Record) Ended() bool { return r.Phase == Closed }

// Awaits tells whether an effect with this ID is still to come.
func (r Record) Awaits(id string) bool {
	return slices.ContainsFunc(r.Pending, func(e Effect) bool { return e.ID == id })
}
