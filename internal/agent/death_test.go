// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
)

// spoken are the verbs that a return uses, a kill among them.
var spoken = []incident.Verb{incident.VerbStart, incident.VerbKill, incident.VerbRepair, incident.VerbJoinRing,
	incident.VerbPreview, incident.VerbReadRows}

// death is one moment at which the store dies.
type death struct {
	what  string
	hits  func(t store.Txn) bool
	nth   int // of the transactions it hits, from 1
	fault fault
	away  time.Duration // how long it stays away after that
}

func (d death) String() string {
	return fmt.Sprintf("%s %d: %s, away %v", d.what, d.nth, d.fault, d.away)
}

// deaths is every moment of a return at which the store can die: at each of
// the leader's commits, at the claim and at the settling of each verb, at the
// first reports; before it is written, after it, and a while after that. The
// many commits and reports take the ways to die in turn.
func deaths(leads int) []death {
	var out []death
	every := []fault{neverThere, answerLost, writtenLater}
	add := func(what string, nth int, hits func(store.Txn) bool, faults ...fault) {
		for _, f := range faults {
			away := time.Duration(0)
			if len(out)%2 == 1 {
				away = 2 * time.Second
			}
			out = append(out, death{what, hits, nth, f, away})
		}
	}
	for n := 1; n <= leads; n++ {
		add("commit of the leader", n, led, every[n%3], every[(n+1)%3])
	}
	for _, v := range spoken {
		add("claim of "+v.String(), 1, func(t store.Txn) bool { o, claims, _ := orderOf(t); return claims && o.Once.Verb == v }, every...)
		add("settling of "+v.String(), 1, func(t store.Txn) bool { o, _, settles := orderOf(t); return settles && o.Once.Verb == v }, every...)
	}
	for n := 1; n <= 6; n++ {
		add("report", n, reported, every[n%3])
	}
	return out
}

// strike arms the store with a death; the count begins now.
func (r *region) strike(d death) (struck func() bool) {
	var mu sync.Mutex
	seen, done := 0, false
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	r.store.fault = func(_ cluster.Name, t store.Txn) fault {
		mu.Lock()
		defer mu.Unlock()
		if done || !d.hits(t) {
			return noFault
		}
		if seen++; seen < d.nth {
			return noFault
		}
		done = true
		if d.away > 0 {
			time.AfterFunc(storeTakes/2, func() { r.store.outage(d.away) })
		}
		return d.fault
	}
	return func() bool { mu.Lock(); defer mu.Unlock(); return done }
}

// commitsOfAReturn counts the leader's commits when nothing dies.
func commitsOfAReturn(t *testing.T) int {
	n := 0
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.falseUp = true })
		r.crash("n3")
		r.awaitClosed(1, 2*time.Minute)
		for _, c := range r.store.commits {
			if led(c.txn) {
				n++
			}
		}
	})
	return n
}

func TestAStoreThatDiesAtAnyMomentCostsTimeOnly(t *testing.T) {
	leads := commitsOfAReturn(t)
	if leads < 20 {
		t.Fatalf("a return takes %d commits, want 20 or more", leads)
	}
	for _, d := range deaths(leads) {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			inRegion(t, incident.Auto, func(r *region) {
				struck := r.strike(d)
				r.set("n3", func(n *fakeNode) { n.falseUp = true })
				r.crash("n3")
				r.awaitClosed(1, 2*time.Minute)
				r.onceEach(1)
				if !struck() {
					t.Error("the store never died")
				}
			})
		})
	}
}

// onceEach checks that what must be done once was done once.
func (r *region) onceEach(kills int) {
	r.t.Helper()
	for _, e := range []struct {
		event string
		times int
	}{
		{"n3 start", kills + 1}, {"n3 begin hibernate", kills + 1}, {"n3 kill", kills}, {"n3 join_ring", 1}, {"n3 native on", 1},
		{"n3 severity 0", 1}, {"n3 pool drain", 1}, {"n3 pool ready 10 %", 1}, {"n3 pool ready 100 %", 1},
	} {
		if n := r.count(e.event); n != e.times {
			r.t.Errorf("%q happened %d times, want %d", e.event, n, e.times)
		}
	}
}
