// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/isolate"
)

// TestAFloodedDeskGoesOn fills every queue of the leader at once, from more
// askers than any queue has room for.
func TestAFloodedDeskGoesOn(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		l := r.leader()
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		const askers = 2 * inputMax
		for range askers {
			go func() {
				defer func() { done <- struct{}{} }()
				for ctx.Err() == nil {
					l.agent.send(ctx, lead.Schemed{Schema: schema()})
					_, _ = ask(ctx, l.agent, func(*desk) bool { return true })
					_, _ = l.agent.Gate(ctx, api.GateQuestion{Node: l.name})
					pause(ctx, 20*time.Millisecond)
				}
			}()
		}
		r.crash("n3")
		r.awaitClosed(1, time.Minute)
		stop()
		for range askers {
			<-done
		}
	})
}

// TestManyCommitsWaitWithoutTheDesk gives a leader more datacenters than the
// queue to the store has places, while that store answers nobody and the way
// back to the desk is full.
func TestManyCommitsWaitWithoutTheDesk(t *testing.T) {
	a := New(Options{Disk: Disk{t.TempDir()}, Clock: bubbleClock{}, Log: quietLog(), Counters: noCounters{}})
	d := newDesk(a)
	for i := range 10 * errandMax {
		d.unsent = append(d.unsent, lead.Commit{Datacenter: cluster.Datacenter(fmt.Sprint(i))})
	}
	for range inputMax {
		a.inputs <- lead.Ticked{}
	}
	d.turn(t.Context(), lead.Lost{})
	if len(d.unsent) != 0 {
		t.Errorf("%d commits of a term that is over are still to be sent", len(d.unsent))
	}
}

func TestNobodyWaitsForAnAgentThatStopped(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		h := r.host("n2")
		r.halt("n2", true)
		began := time.Now()
		if _, err := h.agent.Snapshot(context.Background()); err == nil || time.Since(began) > time.Second {
			t.Errorf("asked after it stopped: %v after %v", err, time.Since(began))
		}
	})
}

// desktop is a desk without an agent around it.
func desktop(t *testing.T) *desk {
	return newDesk(New(Options{Self: "n3", Boot: "b2", Disk: Disk{t.TempDir()}, Clock: bubbleClock{}, Log: quietLog(), Counters: noCounters{},
		Courier: &fakeCourier{r: &region{}}, Seen: func() (string, int64) { return "c1", 9 }}))
}

func TestAnEmptyStoreDoesNotEndAReturn(t *testing.T) {
	fence := isolate.Fence{Node: "n3", Levels: isolate.Clients | isolate.Reads, Start: isolate.Hibernate, Incident: "inc-dc1-1"}
	host := store.KV{Key: store.Host("n3"), Value: []byte(`{"name":"n3","datacenter":"dc1"}`), Mod: 2}
	for _, row := range []struct {
		why  string
		kvs  []store.KV
		ends bool
	}{
		{"a store that lost everything says nothing about a return", nil, false},
		{"an older store that knows the host and not the incident says nothing either", []store.KV{host}, false},
		{"an incident of that name about another node is another one",
			[]store.KV{host, {Key: store.Archived("inc-dc1-1"), Value: []byte(`{"id":"inc-dc1-1","node":"n2"}`), Mod: 3}}, false},
		{"the archived incident ends it",
			[]store.KV{host, {Key: store.Archived("inc-dc1-1"), Value: []byte(`{"id":"inc-dc1-1","node":"n3"}`), Mod: 3}}, true},
	} {
		t.Run(row.why, func(t *testing.T) {
			d := desktop(t)
			d.keepLocal(func() { d.local = isolate.Local{Returning: true, Incident: "inc-dc1-1", Fence: &fence} })
			d.state.Picture.Apply(store.Batch{Rev: 9, KVs: row.kvs, Whole: true})
			d.whole = true
			d.passWanted()
			local, err := d.a.o.Disk.Local()
			if err != nil || local.Returning == row.ends || (local.Fence == nil) != row.ends {
				t.Errorf("on disk: %+v (%v)", local, err)
			}
		})
	}
}
