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

// watchProcess stands beside the own process and notices its end at once.
func (p *Probe) watchProcess(ctx context.Context) {
	k := key{p.o.Own.Name, membership.Process}
	for ctx.Err() == nil {
		boot, gone, err := p.o.Process.Watch(ctx)
		switch {
		case err != nil:
			p.table.note(k, membership.NoWord, p.o.Now(), false, err)
			pause(ctx, p.o.Pace.ProcessEvery)
		case boot == "":
			p.setProcess("")
			p.table.note(k, membership.Exited, p.o.Now(), true, nil)
			pause(ctx, p.o.Pace.ProcessEvery)
		default:
			p.setProcess(boot)
			p.table.note(k, membership.Good, p.o.Now(), true, nil)
			select {
			case <-ctx.Done():
			case <-gone:
				p.setProcess("")
				p.table.note(k, membership.Exited, p.o.Now(), true, nil)
				p.LookNow(p.o.Own.Name)
			}
		}
	}
}

// setProcess tells of another process also where the outcome stays Good. What
// the one before said is not its word.
func (p *Probe) setProcess(boot cluster.Boot) {
	p.mu.Lock()
	changed := p.process != boot
	p.process = boot
	p.stated = p.stated && !changed
	p.mu.Unlock()
	if changed {
		p.table.tell()
	}
}

// watchAdmin reads the own node's state; what its failure detector makes of
// the peers are looks too.
func (p *Probe) watchAdmin(ctx context.Context) {
	now := p.kick(p.o.Own.Name)
	k := key{p.o.Own.Name, membership.Admin}
	tick := time.NewTicker(p.o.Pace.AdminEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		own, cancel := context.WithTimeout(ctx, p.o.Pace.AdminMax)
		began := p.o.Now()
		s, err := p.o.Admin.State(own)
		cancel()
		at := p.o.Now()
		outcome := heard(err, at.Sub(began), p.o.Pace.AdminLate)
		var refused *cassandra.AdminError
		if errors.As(err, &refused) { // it lives and says no, as it does while it starts
			outcome = membership.Wrong
		}
		p.note(ctx, k, outcome, err)
		if err == nil && ctx.Err() == nil {
			p.keep(s, at)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-now:
		}
	}
}

// keep remembers a state and notes what it says of each peer.
func (p *Probe) keep(s cassandra.NodeState, at cluster.Moment) {
	p.mu.Lock()
	p.state, p.stateAt, p.stated = s, at, true
	p.mu.Unlock()
	for _, t := range p.o.Peers {
		if peer, ok := s.Peers[t.Storage]; ok && peer.PhiSeen {
			p.table.note(key{t.Name, membership.Phi}, phiOutcome(peer.Phi), at, false, nil)
		}
	}
}

// The failure detector convicts at 8, about 18 s after the last gossip. Phi
// rises by 0.43 for each mean interval of silence, so 2 is about 5 s and 5
// about 12 s.
const (
	phiLate   = 2
	phiSilent = 5
)

func phiOutcome(phi float64) membership.Outcome {
	switch {
	case phi < phiLate:
		return membership.Good
	case phi < phiSilent:
		return membership.Late
	case phi >= phiSilent:
		return membership.Silent
	}
	return membership.NoWord // not a number
}

// watchSelf measures how late this program's own loops run: an observer that
// stalled takes its own silence for others'.
func (p *Probe) watchSelf(ctx context.Context) {
	every := p.o.Pace.LagMax / 2
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := p.o.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := p.o.Now()
		if now.Sub(last)-every > p.o.Pace.LagMax {
			p.mu.Lock()
			p.lagged, p.lags = now, true
			p.mu.Unlock()
			p.table.tell()
		}
		last = now
	}
}
