// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"sync"
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/residency"
)

// fakeHoldings tells the same again and again, and keeps what it was asked.
type fakeHoldings struct {
	mu    sync.Mutex
	asked []residency.Question
	parts []residency.Part
}

func (f *fakeHoldings) Told(_ context.Context, q residency.Question) residency.Told {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, q)
	return residency.Told{Version: q.Version, Read: f.parts, Traces: true}
}

func (f *fakeHoldings) times() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

// What a Cassandra keeps is told by its own agent while it runs, and read by all.
func TestWhatACassandraKeepsIsToldWhileItRuns(t *testing.T) {
	inRegion(t, incident.Observe, func(r *region) {
		told := func() *residency.Told { return r.leader().snapshot().World.Agents["n2"].Residency }
		f := &fakeHoldings{parts: residency.Parts()}
		r.halt("n2", true)
		r.start("n2", func(o *Options) { o.Holdings = f })
		r.wait("the leader reads it", time.Minute, func() bool { return r.leader() != nil && told() != nil })
		w := r.leader().snapshot().World
		unread := residency.Unread(incident.ResidencyFacts(w))
		if len(unread) != 2 || unread[0].Node != "n1" || unread[1].Node != "n3" {
			t.Errorf("not read: %+v", unread)
		}
		if got := *told(); got.Version != w.Policy.Version || !got.Traces {
			t.Errorf("told %+v", got)
		}
		began, before := r.leader().snapshot().Revision, f.times()
		time.Sleep(5 * time.Minute)
		if wrote := r.leader().snapshot().Revision - began; wrote > 4 {
			t.Errorf("%d writes in five minutes of the same", wrote)
		}
		if n := f.times() - before; n < 4 || n > 6 {
			t.Errorf("asked %d times in five minutes", n)
		}
		r.crash("n2") // nobody starts it: the mode is to observe
		r.wait("of a Cassandra that does not run nothing is known", time.Minute, func() bool { return told() == nil })
	})
}

// A Cassandra that tells nothing at all is not one that keeps nothing.
func TestACassandraThatTellsNothingIsNotRead(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		f := &fakeHoldings{parts: []residency.Part{}}
		r.halt("n2", true)
		r.start("n2", func(o *Options) { o.Holdings = f })
		r.wait("it is asked", 2*time.Minute, func() bool { return f.times() > 1 })
		if got := r.leader().snapshot().World.Agents["n2"].Residency; got != nil {
			t.Errorf("told %+v", got)
		}
	})
}
