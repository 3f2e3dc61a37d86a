// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"go.uber.org/zap"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/obey"
)

// errand is an order in an executor's hands, with copies of all it needs.
type errand struct {
	key    string
	order  incident.Order
	mod    int64
	era    int64
	taken  obey.Taken
	policy *incident.Policy
	hosts  map[cluster.Name]cluster.Host
	schema *cluster.Schema
	// deadline is when the data of the incident's node must not be let to others any more.
	deadline time.Time
	way      chan struct{} // closed when it is to give way
}

// settledErrand tells the desk that an executor is free again.
type settledErrand struct {
	key string
	rev int64 // the store's revision at which the order's end can be seen; 0: nobody knows
}

// errands gives waiting orders to their executors, oldest token first. An
// executor has one at a time, so two orders about the own Cassandra never
// overlap.
func (d *desk) errands(context.Context) {
	p := d.state.Picture
	if d.state.Store.Lost != "" || p.Era.Mod == 0 {
		return
	}
	facts := obey.Facts{Self: d.a.o.Self, Boot: d.a.o.Boot, Era: p.Era.Value.Era, Closed: d.closed()}
	if d.cassandra != nil {
		facts.HostID = d.cassandra.HostID
	}
	for _, key := range p.OrdersByToken() {
		o := p.Orders[key]
		if _, busy := d.inHand[key]; busy || !d.caughtUp(key) {
			continue
		}
		taken := obey.Take(d.marks, o.Order, p.Token(o.Create), p.Awaits(o.Order), facts)
		if taken.What == obey.Leave {
			continue
		}
		if d.busy(taken.Resource) {
			d.giveWay(o.Incident, taken.Resource)
			continue
		}
		e := errand{key: key, order: o.Order, mod: o.Mod, era: p.Era.Mod, taken: taken,
			policy: p.Policy.Value, hosts: maps.Clone(d.state.Roster()), schema: d.state.Schema,
			deadline: p.Records[o.Incident].Value.Outage.Deadline, way: make(chan struct{})}
		select {
		case d.a.orders[lane(taken.Resource)] <- e:
			d.inHand[key], d.ways[key] = taken.Resource, e.way
		default: // the executor is busy; the next turn offers it again
		}
	}
}

// caughtUp tells whether the picture shows what this agent did to an order
// last: until then the order looks as if nobody had touched it.
func (d *desk) caughtUp(key string) bool {
	if d.state.Picture.Rev < d.ended[key] {
		return false
	}
	delete(d.ended, key)
	return true
}

// lane is the executor of a resource.
func lane(resource string) int {
	switch resource {
	case obey.Cassandra:
		return 0
	case obey.Power:
		return 2
	}
	return 1
}

// busy tells whether the resource's executor already has an order.
func (d *desk) busy(resource string) bool {
	for _, r := range d.inHand { // order: only whether there is one
		if r == resource {
			return true
		}
	}
	return false
}

// ways are closed for orders in hand, by key, that are to give way.
type ways map[string]chan struct{}

// giveWay has an executor give up a repair that a person asked for when an
// incident needs it: a hung process is not ended minutes later because it was
// being repaired. What was begun goes on in Cassandra, and the next repair there
// waits for it.
func (d *desk) giveWay(id, resource string) {
	if incident.IsRepairID(id) {
		return
	}
	for key, r := range d.inHand { // order: each for itself
		way, waits := d.ways[key]
		if waits && r == resource && incident.IsRepairID(d.state.Picture.Orders[key].Incident) {
			close(way)
			delete(d.ways, key)
		}
	}
}

func (d *desk) errandEnded(ctx context.Context, s settledErrand) {
	delete(d.inHand, s.key)
	delete(d.ways, s.key)
	if s.rev > d.state.Picture.Rev {
		d.ended[s.key] = s.rev
	}
	d.errands(ctx)
}

// execute works off one lane of orders.
func (a *Agent) execute(ctx context.Context, orders <-chan errand) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-orders:
			rev := a.obey(ctx, e)
			select {
			case a.settled <- settledErrand{e.key, rev}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// obey claims an order, marks it, acts and settles. Without the claim nothing
// is done: no etcd, no act. It returns the revision at which the store shows
// what became of the order; 0 when that is not known.
func (a *Agent) obey(ctx context.Context, e errand) int64 {
	log := a.o.Log.With(zap.String("incident", e.order.Incident), zap.String("effect", e.order.ID), zap.Stringer("verb", e.order.Once.Verb))
	if outcome, result, over := e.over(log); over {
		a.o.Counters.Settled(e.order.Once.Verb, outcome)
		return a.settle(ctx, e, e.mod, outcome, result, log)
	}
	claim, err := obey.Claim(e.key, e.order, e.mod, e.era, a.o.Boot)
	if err != nil {
		log.Error("claim", zap.Error(err))
		pause(ctx, claimEvery)
		return 0
	}
	cctx, cancel := context.WithTimeout(ctx, requestMax)
	res, err := a.o.Journal.Commit(cctx, claim)
	cancel()
	if err != nil || !res.OK {
		// Somebody was first, or nobody knows: the watch will tell, and a claim
		// that did land is found as our own and taken up again.
		log.Warn("order not claimed", zap.Error(err))
		pause(ctx, claimEvery)
		return res.Rev
	}
	outcome, result := a.carryOut(ctx, e, log)
	a.o.Counters.Settled(e.order.Once.Verb, outcome)
	if ctx.Err() != nil {
		return 0 // the next boot of this agent takes it up by its mark
	}
	return a.settle(ctx, e, res.Rev, outcome, result, log)
}

// over is how an order ends with which nothing is done any more. It is not
// claimed: who finds it claimed by this boot may do it.
func (e errand) over(log *zap.Logger) (incident.Outcome, incident.Result, bool) {
	switch e.taken.What {
	case obey.Known:
		return e.taken.Mark.Outcome, e.taken.Mark.Result, true
	case obey.Refuse:
		log.Warn("order refused", zap.String("rule", string(e.taken.Rule)), zap.String("why", e.taken.Why))
		return incident.TurnedAway, incident.Result{Rule: e.taken.Rule, Why: e.taken.Why}, true
	case obey.Leave, obey.Start, obey.Resume:
	}
	return incident.NoOutcome, incident.Result{}, false
}

// carryOut marks and acts.
func (a *Agent) carryOut(ctx context.Context, e errand, log *zap.Logger) (incident.Outcome, incident.Result) {
	if err := a.mark(ctx, e.taken.Resource, e.taken.Mark); err != nil {
		return incident.TurnedAway, incident.Result{Rule: incident.IntentFirst, Why: err.Error()}
	}
	log.Info("order taken", zap.Bool("resumed", e.taken.What == obey.Resume))
	began := a.o.Clock.Now()
	defer a.rounds.begin(part(lane(e.taken.Resource))+ownActs, began)()
	actx, cancel := context.WithTimeout(ctx, e.order.Limit)
	defer cancel()
	go func() {
		select {
		case <-e.way:
			cancel()
		case <-actx.Done():
		}
	}()
	result, err := a.act(actx, e)
	result.Took = a.o.Clock.Now().Sub(began)
	outcome := outcomeOf(ctx, actx, err)
	if err != nil {
		result.Why = err.Error()
		log.Warn("order not done", zap.Stringer("outcome", outcome), zap.Error(err))
	}
	var refused refusal
	if errors.As(err, &refused) {
		result.Rule = refused.rule
	}
	if ctx.Err() == nil {
		done := e.taken.Mark
		done.Done, done.Outcome, done.Result = true, outcome, result
		if err := a.mark(ctx, e.taken.Resource, done); err != nil {
			log.Warn("mark the end of an order", zap.Error(err))
		}
	}
	return outcome, result
}

// outcomeOf says how an act ended. One whose limit passed, or that goes on
// without us, is Uncertain: it is never taken for "not done".
func outcomeOf(ctx, act context.Context, err error) incident.Outcome {
	var refused refusal
	switch {
	case err == nil:
		return incident.Done
	case errors.As(err, &refused):
		return incident.TurnedAway
	case act.Err() != nil && ctx.Err() == nil, errors.Is(err, ErrUncertain):
		return incident.Uncertain
	}
	return incident.Failed
}

// mark writes a mark at the desk, which owns them all.
func (a *Agent) mark(ctx context.Context, resource string, m obey.Mark) error {
	err, asked := ask(ctx, a, func(d *desk) error {
		return d.saveMarks(d.marks.With(resource, m))
	})
	return errors.Join(asked, err)
}

const (
	settleEvery = 500 * time.Millisecond
	// claimEvery spaces claims that come to nothing: the picture they rest on
	// is old until the watch goes on.
	claimEvery = 500 * time.Millisecond
)

// settle tells how an order ended, again and again until the store has it or
// the order is no longer ours, and returns the revision that tells so.
func (a *Agent) settle(ctx context.Context, e errand, mod int64, outcome incident.Outcome, result incident.Result, log *zap.Logger) int64 {
	txn, err := obey.Settle(e.key, e.order, mod, e.era, a.o.Boot, outcome, result)
	if err != nil {
		log.Error("settle", zap.Error(err))
		return 0
	}
	for ctx.Err() == nil {
		cctx, cancel := context.WithTimeout(ctx, requestMax)
		res, err := a.o.Journal.Commit(cctx, txn)
		cancel()
		if err == nil {
			log.Info("order settled", zap.Stringer("outcome", outcome), zap.Duration("took", result.Took), zap.Bool("written", res.OK))
			return res.Rev
		}
		pause(ctx, settleEvery)
	}
	return 0
}

// refusal is an executor's guard speaking: nothing was done.
type refusal struct {
	rule incident.Rule
	why  string
}

// Error makes a refusal printable.
func (r refusal) Error() string { return fmt.Sprintf("refused by %s: %s", r.rule, r.why) }
