// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"time"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/membership"
)

// watchCQL asks one node for a sign of life on a kept connection: at its
// pace, when told to look now, and the moment the connection ends.
func (p *Probe) watchCQL(ctx context.Context, t Target, now <-chan struct{}) {
	ask := cassandra.NewProber(t.CQL, p.o.Pace.CQLMax)
	defer ask.Close()
	k := key{t.Name, membership.CQL}
	tick := time.NewTicker(p.o.Pace.CQLEvery)
	defer tick.Stop()
	var dialled cluster.Moment
	for ctx.Err() == nil {
		began := p.o.Now()
		if began.Sub(dialled) >= p.o.Pace.CQLRedial {
			ask.Close()
		}
		kept := ask.Lost() != nil
		if !kept {
			dialled = began
		}
		err := ask.Ask(ctx)
		if kept && errors.Is(err, cassandra.ErrRefused) {
			// A lost connection alone is not the node's end: the kernel of a
			// dead process refuses the next one, a living server takes it.
			err = ask.Ask(ctx)
		}
		at := p.o.Now()
		outcome := heard(err, at.Sub(began), p.o.Pace.CQLLate)
		if ctx.Err() == nil {
			p.table.time(t.Name, outcome, at.Sub(began), at)
		}
		p.note(ctx, k, outcome, err)
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-now:
			pause(ctx, lookGap-p.o.Now().Sub(began))
		case <-ask.Lost():
			pause(ctx, lookGap-p.o.Now().Sub(began))
		}
	}
}

// lookGap keeps looks that were hurried apart: a server that takes a
// connection, answers and drops it would be asked without end.
const lookGap = 20 * time.Millisecond

// watchStorage connects to the port between Cassandra nodes.
func (p *Probe) watchStorage(ctx context.Context, t Target, now <-chan struct{}) {
	k := key{t.Name, membership.Storage}
	tick := time.NewTicker(p.o.Pace.StorageEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		began := p.o.Now()
		err := cassandra.Connect(ctx, t.Storage, p.o.Pace.StorageMax)
		p.note(ctx, k, heard(err, 0, time.Second), err)
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-now:
			pause(ctx, lookGap-p.o.Now().Sub(began))
		}
	}
}

// note keeps a look unless the prober itself is ending: a look cut off by that
// says nothing.
func (p *Probe) note(ctx context.Context, k key, o membership.Outcome, trouble error) {
	if ctx.Err() == nil {
		p.table.note(k, o, p.o.Now(), false, trouble)
	}
}

// heard turns what a call brought into an outcome. An error of another kind
// is trouble of our own, and no word about the node.
func heard(err error, took, late time.Duration) membership.Outcome {
	switch {
	case err == nil && took > late, errors.Is(err, cassandra.ErrBusy):
		return membership.Late
	case err == nil:
		return membership.Good
	case errors.Is(err, cassandra.ErrRefused):
		return membership.Refused
	case errors.Is(err, cassandra.ErrSilent):
		return membership.Silent
	case errors.Is(err, cassandra.ErrNonsense):
		return membership.Wrong
	}
	return membership.NoWord
}

// pause waits for d, if that is any, or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
