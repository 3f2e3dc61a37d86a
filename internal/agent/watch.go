// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"supervisor/incident"
	"supervisor/internal/lead"
	"supervisor/internal/store"
)

const (
	requestMax = 3 * time.Second // one request to the store
	retryEvery = 500 * time.Millisecond
	pulseEvery = 2 * time.Second
	// aroundEvery is after how many pulses the agent looks at what surrounds it.
	aroundEvery = 5
	// refusesEvery is after how many pulses the store is asked whether it takes
	// writes: one that is full goes on answering them.
	refusesEvery = 5
	// outAfter is how long an agent that resigned stays out.
	outAfter = 30 * time.Second
	// deskMax is how long the desk of a leader may do nothing, and deskEvery how
	// often it is asked.
	deskMax   = 3 * time.Second
	deskEvery = time.Second
)

// watch brings the store's changes to the desk.
func (a *Agent) watch(ctx context.Context) {
	for ctx.Err() == nil {
		for b := range a.o.Journal.Watch(ctx, "") {
			a.send(ctx, lead.Changed{Batch: b})
		}
		pause(ctx, retryEvery)
	}
}

// commit carries the leader's transactions, one after the other.
func (a *Agent) commit(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-a.commits:
			cctx, cancel := context.WithTimeout(ctx, requestMax)
			res, err := a.o.Journal.Commit(cctx, c.Txn)
			cancel()
			a.send(ctx, lead.Answered{Commit: c, Result: res, Err: err})
		}
	}
}

// relist reads the whole store when the leader does not trust its picture,
// until it succeeds.
func (a *Agent) relist(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.relists:
		}
		for ctx.Err() == nil {
			cctx, cancel := context.WithTimeout(ctx, requestMax)
			kvs, rev, err := a.o.Journal.List(cctx, "")
			cancel()
			if err == nil {
				a.send(ctx, lead.Changed{Batch: store.Batch{Rev: rev, KVs: kvs, Whole: true}})
				break
			}
			pause(ctx, retryEvery)
		}
	}
}

// checkStore asks how the store does and tells the desk.
func (a *Agent) checkStore(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		if n%aroundEvery == 0 {
			a.checkAround(ctx)
		}
		cctx, cancel := context.WithTimeout(ctx, requestMax)
		took, err := a.o.Pulse.Pulse(cctx)
		cancel()
		if err == nil && n%refusesEvery == 0 {
			a.checkWrites(ctx)
		}
		if errors.Is(err, store.ErrWentBack) {
			err = a.another(ctx, err)
		}
		_, _ = ask(ctx, a, func(d *desk) struct{} { d.storeWord(ctx, took, err); return struct{}{} })
		pause(ctx, pulseEvery)
	}
}

// checkWrites asks why the store takes no writes. Without an answer that stays as
// it was known: the next pulse says more.
func (a *Agent) checkWrites(ctx context.Context) {
	cctx, cancel := context.WithTimeout(ctx, requestMax)
	defer cancel()
	why, err := a.o.Pulse.Refuses(cctx)
	if err != nil {
		return
	}
	_, _ = ask(ctx, a, func(d *desk) struct{} { d.unwritten(why); return struct{}{} })
}

func (d *desk) unwritten(why string) {
	switch was := d.state.Store.Unwritten; {
	case why != "" && was == "":
		d.log.Error(incident.Sentence("STORE_NOT_WRITTEN", map[string]string{"why": why}), zap.String("finding", "STORE_NOT_WRITTEN"))
	case why == "" && was != "":
		d.log.Info("finding cleared", zap.String("finding", "STORE_NOT_WRITTEN"))
	}
	d.state.Store.Unwritten = why
}

// storeWord notes whether the store answers. Nothing follows from it but that
// nothing new is started.
func (d *desk) storeWord(ctx context.Context, took time.Duration, err error) {
	now := d.a.o.Clock.Now()
	d.member()
	if err == nil && d.belief.Doubt != "" {
		d.lost(d.belief.Doubt, d.belief.Back)
		return
	}
	if err != nil {
		another := errors.Is(err, store.ErrWentBack)
		if d.state.Store.Lost == "" {
			d.log.Warn("the store does not answer, or is another: nothing new is started, nothing standing is undone", zap.String("finding", doubtCode(another)), zap.Error(err))
		}
		d.lost(err.Error(), another)
		return
	}
	back := d.state.Store.Lost != ""
	d.lost("", false)
	d.storeOK = now
	if back {
		d.log.Info("the store answers again", zap.String("finding", "STORE_NO_QUORUM"))
		d.pass(ctx, now) // what waited meanwhile may bring no change with it
	}
	d.slow(took)
}

// unread is what is said of a store before anything was read there.
const unread = "it was not read yet"

// lost is why nobody may rely on the store, as people are told. A question that
// is not answered ends by its time-out only, long after a store that does well
// would have answered, and what was never read is no empty store.
func lost(f incident.StoreFacts, whole bool) string {
	switch {
	case f.Lost != "":
		return f.Lost
	case !whole:
		return unread
	case f.LostFor > pulseEvery+slowCommit:
		return fmt.Sprintf("no answer for %.1f s", f.LostFor.Seconds())
	}
	return ""
}

// campaign stands for election, leads while the lease lasts, and resigns when
// the desk says so, or says nothing: the lease is kept alive by others, and a
// leader whose desk waits for a disk would keep everybody from leading.
func (a *Agent) campaign(ctx context.Context) {
	for a.mayLead(ctx) {
		term, lost, err := a.o.Election.Campaign(ctx)
		if err != nil {
			pause(ctx, retryEvery+time.Duration(rand.Int64N(int64(retryEvery)))) // jitter: candidates must not retry in step
			continue
		}
		drain(a.resigns)
		switch a.serve(ctx, term, lost) {
		case stops:
		case termOver:
			a.send(ctx, lead.Lost{})
		case resigned:
			a.send(ctx, lead.Lost{})
			a.resign(ctx)
			pause(ctx, outAfter)
		case deskBlocked:
			a.o.Log.Error("the desk of this agent does not answer: resigns", zap.Duration("waited", deskMax))
			a.resign(ctx)
			a.send(ctx, lead.Lost{}) // taken when the desk is back; until then this agent is no candidate
			pause(ctx, outAfter)
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestMax)
	defer cancel()
	a.resign(end)
}

// ending is why a term ends.
type ending uint8

const (
	stops       ending = iota // the agent does
	termOver                  // the lease is lost
	resigned                  // the desk wants it
	deskBlocked               // the desk does nothing
)

// serve tells the desk of its term and waits for the term's end.
func (a *Agent) serve(ctx context.Context, term store.Term, lost <-chan struct{}) ending {
	told, cancel := context.WithTimeout(ctx, deskMax)
	a.send(told, lead.Won{Term: term})
	cancel()
	ticker := time.NewTicker(deskEvery)
	defer ticker.Stop()
	for {
		if !a.answers(ctx) && ctx.Err() == nil {
			return deskBlocked
		}
		select {
		case <-ctx.Done():
			return stops
		case <-lost:
			return termOver
		case <-a.resigns:
			return resigned
		case <-ticker.C:
		}
	}
}

// answers tells whether the desk does its work.
func (a *Agent) answers(ctx context.Context) bool {
	cctx, cancel := context.WithTimeout(ctx, deskMax)
	defer cancel()
	_, err := ask(cctx, a, func(*desk) struct{} { return struct{}{} })
	return err == nil
}

func (a *Agent) resign(ctx context.Context) {
	cctx, cancel := context.WithTimeout(ctx, requestMax)
	defer cancel()
	if err := a.o.Election.Resign(cctx); err != nil {
		// The lease ends by itself; nobody is harmed by a later heir.
		a.o.Log.Warn("resign", zap.Error(err))
	}
}

func drain(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
