// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"supervisor/cluster"
)

// part is a loop whose every round ends by time-outs of its own. Those that
// wait for the store are not among them: a store that is lost for days is no
// reason to end an agent.
type part int

const (
	heart      part = iota // reads this host's Cassandra
	poolRounds             // reads proxies back
	fenceRound             // converges on fences
	ownActs                // acts of orders in lane 0: the own Cassandra
	lookActs               // in lane 1: those that look
	powerActs              // in lane 2: the power of other hosts
	powerRound             // asks the power hook
	parts
)

var partNames = [parts]string{"reading this host's Cassandra", "the pool keeper", "the fence keeper", "an order for Cassandra", "an order to look", "an order about a host's power", "the power hook"}

// roundMax is twice the limit of an order, and no other round comes near that.
const roundMax = 10 * time.Minute

// rounds knows since when each part is at work; 0: it waits for work.
type rounds [parts]atomic.Int64

// begin tells that a part is at work, and the function it returns that it is not
// any more.
func (r *rounds) begin(p part, now cluster.Moment) (end func()) {
	r[p].Store(int64(now))
	return func() { r[p].Store(0) }
}

// stuck names a part whose round has not ended in time.
func (r *rounds) stuck(now cluster.Moment) error {
	for p := range parts {
		since := cluster.Moment(r[p].Load())
		if took := now.Sub(since); since != 0 && took > roundMax {
			return fmt.Errorf("%s has not come to an end for %v", partNames[p], took.Round(time.Second))
		}
	}
	return nil
}

// Progress is an error when the agent does not go round any more: its desk does
// not answer before ctx ends, or a part of it is stuck. Whoever watches the
// process may then end it; what it was doing stands in the store and on disk.
func (a *Agent) Progress(ctx context.Context) error {
	if _, err := ask(ctx, a, func(*desk) struct{} { return struct{}{} }); err != nil {
		return err
	}
	return a.rounds.stuck(a.o.Clock.Now())
}
