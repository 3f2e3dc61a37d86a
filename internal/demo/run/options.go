// SPDX-License-Identifier: Apache-2.0

// Package run gives one node of a demo the same fault twice, first while the
// agents only look and the node is restarted as people do it today, then with
// the supervisor at work, and measures both from outside: what HAProxy says
// on its own socket, what a load reads and writes all the time, what the
// journal wrote, and what every node answers at ONE once all is over.
//
// It believes nothing that it can look at: the supervisor's own marks are used
// only for stages that nobody else can see.
package run

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"supervisor/internal/api"
	"supervisor/internal/demo"
)

// Scenario is the fault that is given.
type Scenario string

// The scenarios.
const (
	Crash  Scenario = "crash"  // Cassandra is killed; it may start again at once
	Outage Scenario = "outage" // Cassandra and agent are killed, until no peer keeps hints any more
	Hang   Scenario = "hang"   // Cassandra is stopped for good, its ports stay open
)

// Scenarios lists them.
func Scenarios() []Scenario { return []Scenario{Crash, Outage, Hang} }

// Victim is the node that gets the fault. It is never the leader's.
const Victim = "n3"

// Options are complete: nothing is defaulted later.
type Options struct {
	Scenario Scenario
	Runs     int    // how many times the pair of faults is given to the one cluster
	Binary   string // absolute; the supervisor
	// KillLeader ends the leader's agent in the middle of each second half.
	KillLeader bool
	// StopLeader stops the leader's agent, with its member of the store, in the
	// moment of each second fault, and lets it go on a while later.
	StopLeader bool
	Up         demo.Options
	// Line draws one event of the journal as the command that shows timelines does.
	Line func(api.Event) string
}

// Steps is how many steps of progress a run of that many pairs shows.
func Steps(runs int) int { return demo.UpSteps + pairSteps*runs }

const pairSteps = 4

// RunsMax bounds a series; ten pairs take about half an hour.
const RunsMax = 20

func (o Options) check() error {
	var faults []error
	if !slices.Contains(Scenarios(), o.Scenario) {
		faults = append(faults, fmt.Errorf("scenario %q: want one of %v", o.Scenario, Scenarios()))
	}
	if o.Runs < 1 || o.Runs > RunsMax {
		faults = append(faults, fmt.Errorf("%d runs: want 1 to %d", o.Runs, RunsMax))
	}
	if o.Binary == "" || o.Line == nil || o.Up.Progress == nil {
		faults = append(faults, errors.New("binary, line and progress: want all of them"))
	}
	if o.KillLeader && o.StopLeader {
		faults = append(faults, errors.New("the leader's agent is killed or stopped, not both"))
	}
	return errors.Join(faults...)
}

// members is how many agents carry a member of the store: three where an
// agent that does is ended, or where the store has to show what it is for.
func (o Options) members() int {
	if o.KillLeader || o.StopLeader || o.Scenario == Hang {
		return 3
	}
	return 1
}

// Bounds and paces of a run.
const (
	calm       = 30 * time.Second // before each fault; a stale read in it and the run proves nothing
	tailFor    = 3 * time.Second  // how long before the fault tail rows begin
	noticeMax  = time.Minute      // how long the first half waits for those that were there before us
	outageMin  = 50 * time.Second // an outage's first half lasts at least this long: not less than the second
	agentLead  = 5 * time.Second  // the plain restart comes this long after the agent's, more than the leader takes
	refusedMax = 3 * time.Minute  // until no peer keeps hints: conviction and hint window
	backMax    = 2 * time.Minute  // from a plain start until the node serves
	restMax    = 3 * time.Minute  // until nothing of the first half is left
	healMax    = 5 * time.Minute  // from the fault until the incident is closed, or held
	heirMax    = 20 * time.Second // an agent that was killed or stopped stays away so long
	afterwards = 5 * time.Second  // the load goes on after all is over
	lookEvery  = 200 * time.Millisecond
	proxyEvery = 10 * time.Millisecond
)
