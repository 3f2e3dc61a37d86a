// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/cassandra"
	"supervisor/membership"
)

// What an agent reads of its own host is a finding for everybody, its sentence
// rests, and nothing is done for it.
func TestWhatReadingsLeadToIsAFindingAndNothingIsDone(t *testing.T) {
	says := map[string]string{
		"DISK_FULL":             "5 B of 1000 B are free",
		"CASS_QUEUE_SATURATING": "tasks that wait for ReadStage",
		"HINTS_BACKLOG":         "hints for n2 on n3",
		"CLOCK_DRIFT":           "of n3 is 2s ahead of those of 2 of 2 other hosts",
	}
	inRegion(t, incident.Auto, func(r *region) {
		mail := r.host("n3").mail
		r.set("n3", func(n *fakeNode) {
			n.free = 5
			n.vitals.Pools = []cassandra.ThreadPool{{Name: "ReadStage", Pending: 50, Threads: 4, QueueMax: 40}}
			n.vitals.Hint = cassandra.OldestHint{For: hostID("n2"), At: time.Now().Add(-2 * time.Hour)}
			behind := membership.Clock{Ahead: -2 * time.Second, Error: time.Millisecond}
			mail.clocks = map[cluster.Name]membership.Clock{"n1": behind, "n2": behind, "n3": {}, "a host that is not on the roster": {}}
		})
		for code, text := range says {
			r.wait(code+" at the leader", 10*time.Minute, func() bool { return r.leader().finds(code) })
			if !r.host("n3").logged(text) {
				t.Errorf("nothing in the log says %q", text)
			}
		}
		revision := r.leader().snapshot().Revision
		time.Sleep(5 * time.Minute)
		if wrote := r.leader().snapshot().Revision - revision; wrote > 4 {
			t.Errorf("%d writes in five minutes of the same", wrote)
		}
		r.quiet()
		r.set("n3", func(n *fakeNode) {
			n.free, n.vitals, mail.clocks = 500, cassandra.Vitals{}, map[cluster.Name]membership.Clock{"n1": {}, "n2": {}}
			n.vitals.Pools = []cassandra.ThreadPool{{Name: "ReadStage", Threads: 4, QueueMax: 40}}
		})
		for code := range says {
			r.wait(code+" gone", 15*time.Minute, func() bool { return !r.leader().finds(code) })
		}
	})
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

// replaced is an observer that sees another process at each look.
type replaced struct {
	Observer
	boots []cluster.Boot
}

func (r *replaced) Process() cluster.Boot {
	boot := r.boots[0]
	r.boots = r.boots[1:]
	return boot
}

// wordy is an admin interface that says something.
type wordy struct{ Admin }

func (wordy) Vitals(context.Context, bool) (cassandra.Vitals, error) { return cassandra.Vitals{}, nil }

// What one process said is not taken for the word of the next.
func TestVitalsOfAProcessThatWasReplacedAreNotTaken(t *testing.T) {
	for _, row := range []struct {
		why         string
		before, now cluster.Boot
		said        bool
	}{
		{"it runs", "p1", "p1", true},
		{"it was replaced while it was asked", "p1", "p2", false},
		{"none runs", "", "p1", false},
	} {
		a := &Agent{o: Options{Admin: wordy{}, Observer: &replaced{boots: []cluster.Boot{row.before, row.now}}}}
		var v vitals
		if a.askVitals(t.Context(), &v, false); (v.said != nil) != row.said || v.process != row.before {
			t.Errorf("%s: %+v", row.why, v)
		}
	}
}
