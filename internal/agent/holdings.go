// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/residency"
)

// Holdings tells what this host's Cassandra keeps, for an audit of where data
// stands. Parts that it cannot read it leaves out.
type Holdings interface {
	Told(ctx context.Context, q residency.Question) residency.Told
}

const (
	holdingsEvery = time.Minute
	// holdingsLook is how often the desk is asked whether the policy changed: what was
	// looked for by another one counts for nothing.
	holdingsLook = 5 * time.Second
	holdingsMax  = 15 * time.Second
)

// holdingsQuestion is what to look for; nil: nobody knows, or nothing runs that could be
// asked.
type holdingsQuestion struct {
	asks    *residency.Question
	process cluster.Boot
}

// watchHoldings asks once a minute what this host's Cassandra keeps, and at once when
// another policy stands. What was told before is forgotten as soon as it cannot be asked.
func (a *Agent) watchHoldings(ctx context.Context) {
	var last cluster.Moment
	var by holdingsQuestion
	var version int64
	for ctx.Err() == nil {
		q, err := ask(ctx, a, (*desk).holdingsQuestion)
		if err != nil {
			return
		}
		now := a.o.Clock.Now()
		switch {
		case q.asks == nil:
			version = 0
			a.tellHoldings(ctx, nil)
		case q.asks.Version != version || q.process != by.process || now.Sub(last) >= holdingsEvery:
			version, by, last = q.asks.Version, q, now
			a.tellHoldings(ctx, a.askHoldings(ctx, q))
		}
		pause(ctx, holdingsLook)
	}
}

// askHoldings asks the process that runs. One that was replaced meanwhile has said
// nothing.
func (a *Agent) askHoldings(ctx context.Context, q holdingsQuestion) *residency.Told {
	ctx, cancel := context.WithTimeout(ctx, holdingsMax)
	defer cancel()
	told := a.o.Holdings.Told(ctx, *q.asks)
	if a.o.Observer.Process() != q.process || len(told.Read) == 0 {
		return nil
	}
	return &told
}

func (a *Agent) tellHoldings(ctx context.Context, told *residency.Told) {
	_, _ = ask(ctx, a, func(d *desk) struct{} { d.residency = told; return struct{}{} })
}

// holdingsQuestion is made of the policy that stands and of the schema as it was read.
func (d *desk) holdingsQuestion() holdingsQuestion {
	q := holdingsQuestion{process: d.a.o.Observer.Process()}
	p := d.state.Picture.Policy.Value
	if q.process == "" || p == nil || d.state.Schema == nil {
		return q
	}
	own := d.state.Picture.Hosts[d.a.o.Self]
	asks := residency.Asked(p.Residency, incident.ResidencyFacts(incident.World{Policy: p, Schema: d.state.Schema}), own.Datacenter, own.Region)
	q.asks = &asks
	return q
}
