// SPDX-License-Identifier: Apache-2.0

//go:build real

package kills

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// play gives the fault once and does a deed to the leader's agent when the
// record comes to a moment; at the zero Moment it does none.
func (s *stage) play(t *testing.T, fault Fault, prefix string, at Moment, deed Deed) (Row, []Moment) {
	t.Helper()
	ctx := t.Context()
	await(t, "the cluster rests", settleMax, func() error { return s.rests(ctx) })
	leader := s.book.Leader()
	victim := s.victim(leader)
	row := Row{Story: fault.Name, At: at, Deed: deed, Victim: cluster.Name(victim.Name)}
	d := s.prepare(t, at, deed, leader, victim)
	before, err := starts(victim)
	if err != nil {
		t.Fatal(err)
	}
	l, err := load.Start(ctx, s.load(prefix))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	struck, tail := s.give(t, l, fault, victim, d)
	defer s.book.Arm(nil)
	cold := make(chan error, 1)
	go func() { cold <- s.rewrite(ctx, l, fault, victim, struck.at) }()

	s.inherit(t, struck, &row)
	id := s.closed(t, &row, struck.at)
	await(t, "the cluster rests again", settleMax, func() error { return s.rests(ctx) })
	row.Serving = time.Since(struck.at)
	if err := <-cold; err != nil {
		t.Errorf("%s at %s: %v", fault.Name, at, err)
	}
	row.Stale = l.Stop().StaleReads
	s.audit(t, l, tail, &row)
	s.aware(t, d, &row)
	s.judge(t, id, victim, before, struck.at, &row)
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
	at    time.Time
	death *death // nil: none
}

// give writes tail rows under load until the fault and gives it.
func (s *stage) give(t *testing.T, l *load.Load, fault Fault, victim node.Node, d *death) (blow, []string) {
	t.Helper()
	tail, err := l.StartTail(t.Context(), victim.Name)
	if err != nil {
		t.Fatal(err)
	}
	rest(t.Context(), calm) // the calm itself, not a wait for something
	b := blow{at: time.Now(), death: d}
	if d != nil {
		s.book.Arm(d.strike(victim.Name, b.at))
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

func (s *stage) over(victim cluster.Name, after time.Time) bool {
	sights := s.book.Sights(victim, after)
	return len(sights) > 0 && sights[len(sights)-1].Moment == Over
}

// closed waits until the incident of a fault is closed and returns its ID.
func (s *stage) closed(t *testing.T, row *Row, after time.Time) string {
	t.Helper()
	err := until(t.Context(), closeMax, func() error {
		if s.over(row.Victim, after) {
			return nil
		}
		sights := s.book.Sights(row.Victim, after)
		if len(sights) > 0 {
			s.unheld(t, sights[len(sights)-1], row)
		}
		return fmt.Errorf("moments: %v", sights)
	})
	sights := s.book.Sights(row.Victim, after)
	if err != nil {
		if len(sights) > 0 {
			s.tell(t, sights[0].Incident)
		}
		t.Fatalf("the incident of %s is not closed after %s: %v", row.Victim, closeMax, err)
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
func (s *stage) judge(t *testing.T, id string, victim node.Node, before int, after time.Time, row *Row) {
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
	row.Strays = s.book.Strays(after)
	if faults := row.Faults(); len(faults) > 0 {
		t.Errorf("%s, leader %s at %s (%s):\n%s", row.Story, row.Deed.done(), row.At, id, strings.Join(faults, "\n"))
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
