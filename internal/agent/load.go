// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"time"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/repair"
)

const (
	// loadEvery is how often a host tells its load while the next segments of a repair
	// work with it; loadFar, where only a fence of another region tells of a repair.
	loadEvery = 5 * time.Second
	loadFar   = 10 * time.Second
	// loadRest bounds the wait for the desk's word that a load is asked for.
	loadRest = time.Minute
	// faultMax bounds what is told of a reading that failed.
	faultMax = 160
)

// loadAsked tells whether anybody asks for the load.
type loadAsked struct{ asks, far bool }

// passLoad has the load read when somebody begins to ask for it.
func (d *desk) passLoad() {
	if d.load == nil && d.asksLoad().asks {
		wake(d.a.loads)
	}
}

func (d *desk) asksLoad() loadAsked {
	asks, far := d.state.AsksLoad(d.a.o.Self)
	return loadAsked{asks, far}
}

// watchLoad tells how much this host's Cassandra has to do, while a repair is to
// work with it. Else it reads nothing, and the agent's key rests.
func (a *Agent) watchLoad(ctx context.Context) {
	r := loadReader{disk: spaceReader{read: a.o.Space}}
	for ctx.Err() == nil {
		who, err := ask(ctx, a, (*desk).asksLoad)
		if err != nil {
			return
		}
		rest := loadRest
		var load *repair.Load
		if who.asks {
			l := r.read(ctx, a)
			load, rest = &l, loadEvery
		}
		if who.far {
			rest = loadFar
		}
		if _, err := ask(ctx, a, func(d *desk) struct{} { d.tellLoad(load); return struct{}{} }); err != nil {
			return
		}
		a.untilLoad(ctx, rest)
	}
}

// tellLoad has the agent's key say it.
func (d *desk) tellLoad(l *repair.Load) {
	if d.load == nil && l == nil {
		return
	}
	d.load = l
	d.announce()
}

// untilLoad waits for d, or until a load is asked for.
func (a *Agent) untilLoad(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-a.loads:
	}
}

// loadReader counts readings, and what was dropped between them.
type loadReader struct {
	disk    spaceReader
	n       int64
	last    repair.Load
	process cluster.Boot
	dropped []droppedAt // of this process, the oldest first; bounded by the window
}

// droppedAt is a count of dropped mutations.
type droppedAt struct {
	at    cluster.Moment
	count int64
}

// read is one reading. Of a Cassandra that is silent the last word stands until it is
// too old; what else fails is told.
func (r *loadReader) read(ctx context.Context, a *Agent) repair.Load {
	l, err := r.reading(ctx, a)
	switch {
	case err == nil:
		r.last = l
	case !errors.Is(err, cassandra.ErrSilent) || r.last.Reading == 0:
		r.last = repair.Load{Reading: r.n, Fault: err.Error()[:min(len(err.Error()), faultMax)]}
	}
	return r.last
}

func (r *loadReader) reading(ctx context.Context, a *Agent) (repair.Load, error) {
	r.n++
	l := repair.Load{Reading: r.n}
	process := a.o.Observer.Process()
	said, err := a.o.Admin.Load(ctx)
	if err != nil {
		return l, err
	}
	if process != r.process {
		r.process, r.dropped = process, nil
	}
	l.Compactions, l.Latency, l.Validations, l.Streams = said.Compactions, said.Latency, said.Validations, said.Streams
	l.Sessions, l.Moved = said.Sessions, said.Moved
	l.Dropped = r.within(a.o.Clock.Now(), said.Dropped)
	l.Own = a.ownRepairs(ctx, process)
	if s := r.disk.space(ctx); s != nil {
		l.Free, l.Total = s.Free, s.total()
	}
	return l, nil
}

// within is how many were dropped within the window, or since the first reading of
// this process. A count that fell is of a process whose start nobody saw.
func (r *loadReader) within(at cluster.Moment, count int64) int64 {
	if n := len(r.dropped); n > 0 && count < r.dropped[n-1].count {
		r.dropped = nil
	}
	r.dropped = append(r.dropped, droppedAt{at, count})
	for len(r.dropped) > 1 && at.Sub(r.dropped[1].at) >= repair.DroppedWithin {
		r.dropped = r.dropped[1:]
	}
	return count - r.dropped[0].count
}

// ownRepairs counts the repairs that go on here and that this agent, or an earlier
// run of it, began.
func (a *Agent) ownRepairs(ctx context.Context, process cluster.Boot) int64 {
	on, err := a.o.Disk.RepairsOn()
	if err != nil {
		return 0
	}
	var running int64
	for _, cmd := range on.Of(process).On {
		if s, err := a.o.Admin.RepairStatus(ctx, cmd); err == nil && s.Phase == cassandra.Running {
			running++
		}
	}
	return running
}
