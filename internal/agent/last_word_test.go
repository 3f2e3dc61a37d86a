// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"slices"
	"testing"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/internal/store"
	"supervisor/isolate"
)

// writtenFences is a store that holds fences at revisions.
type writtenFences struct {
	Journal
	revs map[string]int64
	err  error
}

func (w writtenFences) List(context.Context, string) ([]store.KV, int64, error) {
	var kvs []store.KV
	for key, rev := range w.revs {
		kvs = append(kvs, store.KV{Key: key, Mod: rev})
	}
	return kvs, 9, w.err
}

// doneBy notes what a Cassandra was told.
type doneBy struct {
	Admin
	acts []isolate.Act
}

func (d *doneBy) SetSeverity(_ context.Context, v float64) error {
	act := isolate.LowerSeverity
	if v > 0 {
		act = isolate.RaiseSeverity
	}
	d.acts = append(d.acts, act)
	return nil
}

func (d *doneBy) StartNativeTransport(context.Context) error {
	d.acts = append(d.acts, isolate.StartNative)
	return nil
}

func (d *doneBy) StopNativeTransport(context.Context) error {
	d.acts = append(d.acts, isolate.StopNative)
	return nil
}

// An agent that stood still wakes up with the fences of then. It keeps out at
// once, and lets nobody in before the store has said that they are its last word.
func TestNobodyIsLetInByAnOldFence(t *testing.T) {
	known := map[string]int64{store.Fence("n3"): 5, store.Fence("n1"): 4}
	open, shut := isolate.Fence{Node: "n3"}, isolate.Fence{Node: "n3", Levels: isolate.Clients | isolate.Reads}
	raised := isolate.OwnState{Running: true, Mode: "NORMAL", Severity: isolate.SeverityFenced}
	lowered := isolate.OwnState{Running: true, Mode: "NORMAL"}
	rows := []struct {
		why   string
		store writtenFences
		f     isolate.Fence
		own   isolate.OwnState
		want  []isolate.Act
	}{
		{"they are the last word: readers", writtenFences{revs: known}, open, raised, []isolate.Act{isolate.LowerSeverity}},
		{"they are the last word: clients", writtenFences{revs: known}, open, lowered, []isolate.Act{isolate.StartNative}},
		{"it was raised since", writtenFences{revs: map[string]int64{store.Fence("n3"): 7, store.Fence("n1"): 4}}, open, raised, nil},
		{"one was raised beside", writtenFences{revs: map[string]int64{store.Fence("n3"): 5, store.Fence("n1"): 4, store.Fence("n2"): 8}}, open, lowered, nil},
		{"one is gone", writtenFences{revs: map[string]int64{store.Fence("n3"): 5}}, open, lowered, nil},
		{"the store does not say", writtenFences{revs: known, err: errors.New("no answer")}, open, raised, nil},
		{"what keeps out needs no word", writtenFences{err: errors.New("no answer")}, shut, lowered, []isolate.Act{isolate.RaiseSeverity}},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			admin := &doneBy{}
			k := fenceKeeper{a: &Agent{o: Options{Self: "n3", Journal: r.store, Admin: admin, Log: quietLog(), Clock: bubbleClock{}}},
				work: fenceWork{whole: true, revs: known, fences: map[cluster.Name]standing{"n3": {fence: r.f}}}}
			p := pulse{running: true, state: cassandra.NodeState{OperationMode: r.own.Mode, CQL: r.own.Native, Severity: r.own.Severity}}
			k.converge(t.Context(), r.f, p)
			if !slices.Equal(admin.acts, r.want) {
				t.Errorf("did %v, want %v", admin.acts, r.want)
			}
		})
	}
}
