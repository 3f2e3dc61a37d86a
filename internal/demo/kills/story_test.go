// SPDX-License-Identifier: Apache-2.0

//go:build real

package kills

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/internal/demo/load"
	"supervisor/internal/demo/node"
)

// Bounds of one incident.
const (
	settleMax = 3 * time.Minute  // until the last one is over and all members run
	calm      = 3 * time.Second  // under load before the fault: what tail rows need
	closeMax  = 7 * time.Minute  // from the fault until it is closed
	cutOff    = 35 * time.Second // from then on no peer keeps hints for a node that hangs, or it is told wrongly
)

// death is the end of the leader's agent that an incident is played with.
type death struct {
	at   Moment
	done atomic.Bool
	when time.Time // valid once done is true
	fail error
	file string
}

// strike is called with every moment; the first that fits is the agent's end.
func (d *death) strike(victim string, after time.Time) func(Sight) {
	return func(s Sight) {
		if d.done.Load() || s.Moment != d.at || s.Node != cluster.Name(victim) || s.At.Before(after) {
			return
		}
		d.when = time.Now()
		d.fail = signal(syscall.SIGKILL, d.file)
		d.done.Store(true)
	}
}

// play gives the fault once and kills the leader's agent when the record comes
// to a moment; the zero Moment kills nobody.
func (s *stage) play(t *testing.T, fault Fault, prefix string, at Moment) (Row, []Moment) {
	t.Helper()
	ctx := t.Context()
	await(t, "the cluster rests", settleMax, func() error { return s.rests(ctx) })
	leader := s.book.Leader()
	victim := s.victim(leader)
	row := Row{Story: fault.Name, At: at, Victim: cluster.Name(victim.Name)}
	before, err := starts(victim)
	if err != nil {
		t.Fatal(err)
	}
	l, err := load.Start(ctx, s.load(prefix))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	struck, tail := s.give(t, l, fault, victim, leader, at)
	defer s.book.Arm(nil)
	cold := make(chan error, 1)
	go func() { cold <- s.rewrite(ctx, l, fault, victim, struck.at) }()

	s.inherit(t, struck, &row)
	id := s.closed(t, victim, struck.at)
	await(t, "the cluster rests again", settleMax, func() error { return s.rests(ctx) })
	row.Serving = time.Since(struck.at)
	if err := <-cold; err != nil {
		t.Errorf("%s at %s: %v", fault.Name, at, err)
	}
	row.Stale = l.Stop().StaleReads
	s.audit(t, l, tail, &row)
	s.judge(t, id, victim, before, &row)
	var passed []Moment
	for _, sight := range s.book.Sights(row.Victim, struck.at) {
		passed = append(passed, sight.Moment)
	}
	return row, passed
}

// load is a third of a demo's: what is looked for is one stale answer, and a
// busy machine makes every start longer, and with it the list.
func (s *stage) load(prefix string) load.Options {
	o := load.Normal(s.plan.LoadNodes(), prefix)
	o.WriteVia = s.plan.Proxy.Frontend
	o.WriteRate, o.ReadRate = o.WriteRate/3, o.ReadRate/3
	return o
}

// blow is a fault that was given, and the death that goes with it.
type blow struct {
	at     time.Time
	leader node.Node
	death  *death
}

// give writes tail rows under load until the fault and gives it.
func (s *stage) give(t *testing.T, l *load.Load, fault Fault, victim node.Node, leader cluster.Name, at Moment) (blow, []string) {
	t.Helper()
	lead, err := s.plan.Node(string(leader))
	if err != nil {
		t.Fatal(err)
	}
	tail, err := l.StartTail(t.Context(), victim.Name)
	if err != nil {
		t.Fatal(err)
	}
	select { // the calm itself, not a wait for something
	case <-t.Context().Done():
	case <-time.After(calm):
	}
	b := blow{at: time.Now(), leader: lead}
	if at != (Moment{}) {
		b.death = &death{at: at, file: lead.AgentPidFile()}
		s.book.Arm(b.death.strike(victim.Name, b.at))
	}
	err = signal(fault.Signal, victim.PidFile())
	rows := tail.Stop(b.at)
	if err != nil {
		t.Fatalf("%s of %s: %v", fault.Name, victim.Name, err)
	}
	return b, rows
}

// rewrite writes the cold rows anew while the victim is away: at once after a
// crash, and of a hang only when no peer keeps hints for it any more.
func (s *stage) rewrite(ctx context.Context, l *load.Load, fault Fault, victim node.Node, from time.Time) error {
	if fault.Signal == syscall.SIGSTOP {
		_ = until(ctx, cutOff-time.Since(from), func() error {
			refused, err := s.plan.HintsRefused(ctx, victim.Name)
			if err == nil && !refused {
				err = errors.New("hints are kept")
			}
			return err
		})
	}
	return l.RewriteCold(ctx, victim.Name)
}

// inherit waits for the death, for another leader, and starts the agent again.
// A moment that does not come again is no death: the incident ends without.
func (s *stage) inherit(t *testing.T, b blow, row *Row) {
	t.Helper()
	if b.death == nil {
		return
	}
	err := until(t.Context(), closeMax, func() error {
		switch {
		case b.death.done.Load():
			return nil
		case s.over(row.Victim, b.at) && b.death.at != Over:
			return nil
		}
		return errors.New("still under way")
	})
	if err != nil || b.death.fail != nil {
		t.Fatalf("%s: the moment: %v, the kill: %v", row.At, err, b.death.fail)
	}
	if !b.death.done.Load() {
		return
	}
	row.Killed = cluster.Name(b.leader.Name)
	var heir Term
	await(t, "another one leads", 2*heirMax, func() error {
		var ok bool
		if heir, ok = s.book.Heir(row.Killed, b.death.when); !ok {
			return errors.New("nobody")
		}
		return nil
	})
	row.Heir = heir.At.Sub(b.death.when)
	if err := s.fleet.Start(b.leader); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if at, ok := s.book.Word(heir.At); ok {
			row.Word = at.Sub(b.death.when)
		}
	}()
	await(t, "the incident is closed", closeMax, func() error {
		if !s.over(row.Victim, b.at) {
			return fmt.Errorf("moments: %v", s.book.Sights(row.Victim, b.at))
		}
		return nil
	})
}

func (s *stage) over(victim cluster.Name, after time.Time) bool {
	sights := s.book.Sights(victim, after)
	return len(sights) > 0 && sights[len(sights)-1].Moment == Over
}

// closed waits until the incident of a fault is closed and returns its ID.
func (s *stage) closed(t *testing.T, victim node.Node, after time.Time) string {
	t.Helper()
	name := cluster.Name(victim.Name)
	err := until(t.Context(), closeMax, func() error {
		if !s.over(name, after) {
			return fmt.Errorf("moments: %v", s.book.Sights(name, after))
		}
		return nil
	})
	sights := s.book.Sights(name, after)
	if err != nil {
		if len(sights) > 0 {
			s.tell(t, sights[0].Incident)
		}
		t.Fatalf("the incident of %s is not closed after %s: %v", name, closeMax, err)
	}
	return sights[0].Incident
}

// audit reads every row again: first at ONE from every node's own disk, since
// a read at quorum mends what it finds.
func (s *stage) audit(t *testing.T, l *load.Load, tail []string, row *Row) {
	t.Helper()
	a, err := l.Audit(t.Context(), tail, func(name string, read func() error) error { return s.plan.OwnReplica(t.Context(), name, read) })
	if err != nil {
		t.Errorf("%s at %s: %v", row.Story, row.At, err)
	}
	row.Audited = a.Rows
	row.Stale += a.OldOrMissing()
	if row.Lost, err = l.Lost(t.Context()); err != nil {
		t.Errorf("%s at %s: %v", row.Story, row.At, err)
	}
}

// judge holds the incident against what every one of them has to be.
func (s *stage) judge(t *testing.T, id string, victim node.Node, before int, row *Row) {
	t.Helper()
	now, err := starts(victim)
	if err != nil {
		t.Fatal(err)
	}
	row.Starts = now - before
	tl, err := s.timeline(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	story := Story{Entries: entries(tl), Fates: s.book.Fates(id), Starts: row.Starts}
	row.Twice, row.Outcome = story.Twice(), tl.Incident.Phase.String()
	if faults := row.Faults(); len(faults) > 0 {
		t.Errorf("%s, leader killed at %s (%s):\n%s", row.Story, row.At, id, strings.Join(faults, "\n"))
		s.tell(t, id)
	}
}

// tell prints an incident's timeline, and what was seen of its orders.
func (s *stage) tell(t *testing.T, id string) {
	t.Helper()
	tl, err := s.timeline(t.Context(), id)
	if err != nil {
		t.Log(err)
	}
	for _, ev := range tl.Events {
		t.Logf("%8.1f %s %s %s %s: %s", float64(ev.TMS)/1000, ev.Actor.Name, ev.Kind, ev.Code, ev.Effect, ev.Sentence)
	}
	for _, f := range s.book.Fates(id) {
		t.Logf("%s %s claimed by %v, ended %v", f.Effect, f.Verb, f.By, f.Ends)
	}
}
