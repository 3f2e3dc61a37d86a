// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/membership"
)

// What an agent reads of its own host is a finding for everybody, and nothing is
// done for it.
func TestWhatReadingsLeadToIsAFindingAndNothingIsDone(t *testing.T) {
	for _, row := range []struct {
		code, says string
		begins     func(*fakeNode, *fakeCourier)
		ends       func(*fakeNode, *fakeCourier)
	}{
		{"DISK_FULL", "5 B of 1000 B are free", func(n *fakeNode, _ *fakeCourier) { n.free = 5 }, func(n *fakeNode, _ *fakeCourier) { n.free = 500 }},
		{"CASS_QUEUE_SATURATING", "tasks that wait for ReadStage", func(n *fakeNode, _ *fakeCourier) {
			n.vitals.Pools = []cassandra.ThreadPool{{Name: "ReadStage", Pending: 50, Threads: 4, QueueMax: 40}}
		}, func(n *fakeNode, _ *fakeCourier) { n.vitals.Pools[0].Pending = 0 }},
		{"HINTS_BACKLOG", "hints for n2 on n3", func(n *fakeNode, _ *fakeCourier) {
			n.vitals.Hint = cassandra.OldestHint{For: hostID("n2"), At: time.Now().Add(-2 * time.Hour)}
		}, func(n *fakeNode, _ *fakeCourier) { n.vitals.Hint = cassandra.OldestHint{} }},
		{"CLOCK_DRIFT", "of n3 is 2s ahead of those of 2 of 2 other hosts", func(_ *fakeNode, c *fakeCourier) {
			c.clocks = map[cluster.Name]membership.Clock{"n1": {Ahead: -2 * time.Second, Error: time.Millisecond}, "n2": {Ahead: -2 * time.Second, Error: time.Millisecond},
				"n3": {}, "a host that is not on the roster": {}}
		}, func(_ *fakeNode, c *fakeCourier) {
			c.clocks["n1"], c.clocks["n2"] = membership.Clock{}, membership.Clock{}
		}},
	} {
		t.Run(row.code, func(t *testing.T) {
			inRegion(t, incident.Auto, func(r *region) {
				change := func(f func(*fakeNode, *fakeCourier)) {
					mail := r.host("n3").mail
					r.set("n3", func(n *fakeNode) { f(n, mail) })
				}
				change(row.begins)
				r.wait(row.code+" at the leader", 10*time.Minute, func() bool { return r.leader().finds(row.code) })
				if !r.host("n3").logged(row.says) {
					t.Errorf("nothing in the log says %q", row.says)
				}
				revision := r.leader().snapshot().Revision
				time.Sleep(5 * time.Minute)
				if wrote := r.leader().snapshot().Revision - revision; wrote > 1 {
					t.Errorf("%d writes in five minutes of the same", wrote)
				}
				r.quiet()
				change(row.ends)
				r.wait("the finding gone", 20*time.Minute, func() bool { return !r.leader().finds(row.code) })
			})
		})
	}
}

// A disk that hangs is asked once, and holds nobody.
func TestADiskThatHangsIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, goes := 0, make(chan struct{})
		r := spaceReader{read: func() (Space, error) {
			asked++
			<-goes
			return Space{Used: 1, Free: 2}, nil
		}}
		began := time.Now()
		for range 3 {
			if s := r.space(t.Context()); s != nil {
				t.Errorf("%+v", s)
			}
		}
		if took := time.Since(began); asked != 1 || took != 3*spaceMax {
			t.Errorf("asked %d times in %v", asked, took)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if s := r.space(ctx); s != nil {
			t.Errorf("after the end: %+v", s)
		}
		close(goes)
		synctest.Wait()
		if s := r.space(t.Context()); s == nil || s.total() != 3 {
			t.Errorf("when it answers: %+v", s)
		}
		bad := spaceReader{read: func() (Space, error) { return Space{Used: 1}, errors.New("no such directory") }}
		if s := bad.space(t.Context()); s != nil {
			t.Errorf("an error: %+v", s)
		}
	})
}

// What one process said is not taken for the word of the next.
func TestVitalsOfAProcessThatWasReplacedAreNotTaken(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		h := r.host("n3")
		var v vitals
		h.agent.askVitals(r.t.Context(), &v, false)
		if v.said == nil || !strings.HasPrefix(string(v.process), "p-n3") {
			t.Errorf("of a process that runs: %+v", v)
		}
		r.crash("n3")
		r.wait("no process", time.Minute, func() bool { return h.looks.Process() == "" })
		v = vitals{}
		if h.agent.askVitals(r.t.Context(), &v, false); v.said != nil || v.process != "" {
			t.Errorf("of none: %+v", v)
		}
		r.awaitClosed(1, 15*time.Minute)
	})
}
