// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/trace"
	"supervisor/isolate"
)

// Source is the agent behind the interface. Its answers share nothing with
// the agent's own state: the server keeps and reads them without a lock.
type Source interface {
	// Snapshot is everything the agent knows at this moment.
	Snapshot(ctx context.Context) (Snapshot, error)
	// Submit hands an operator's word to the leader's inbox and returns the
	// name it has there. ErrNoStore when it certainly is not written; an error
	// beside a name leaves open whether it is.
	Submit(ctx context.Context, w lead.Word) (request string, err error)
	// Gate is the agent's answer to the gate in front of its own Cassandra.
	Gate(ctx context.Context, q GateQuestion) (isolate.Answer, error)
	// Recording is what the agent's judge was told lately; ErrNoRecording where
	// there is no judge, or it has not begun.
	Recording(ctx context.Context) (trace.Recording, error)
}

// GateQuestion is what the gate of a host tells its agent.
type GateQuestion struct {
	Node   cluster.Name  `json:"node"`   // by the gate's own configuration; another one than the agent's is refused
	Waited time.Duration `json:"waited"` // for how long this gate has been asking
}

// Snapshot is what one agent knows at one moment.
type Snapshot struct {
	At       time.Time // wall time, for people
	Revision int64     // of the store, as far as the agent has read it
	Cluster  string
	Region   cluster.Region
	Self     cluster.Name
	Leader   cluster.Name // empty: none
	// World is the region as a leader sees it. World.Now is the moment of At;
	// World.Open holds all open records. On an agent that does not judge the
	// view is empty and Missing says so.
	World    incident.World
	Ledgers  map[cluster.Datacenter]incident.Ledger
	Findings []incident.Finding
	Open     []incident.Record
	Closed   []incident.Record
	Log      []incident.Entry // in order within a datacenter; the newest of each
	// Missing names what this agent cannot know: "view: this agent does not judge".
	Missing []string
	// StoreLost says why the store does not answer; empty: it does.
	StoreLost string
	// StoreCommit is how long the last commit took; 0: this agent made none.
	StoreCommit time.Duration
	Version     string // of the program
}

// judges tells whether this agent has a view of its own.
func (s Snapshot) judges() bool { return s.World.View.Began != 0 }

// ago turns a moment of the agent's clock into wall time; zero for no moment.
func (s Snapshot) ago(m cluster.Moment) *Time {
	if m == 0 {
		return nil
	}
	return at(s.At.Add(-s.World.Now.Sub(m)))
}
