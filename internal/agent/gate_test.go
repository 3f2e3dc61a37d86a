// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"
	"time"

	"supervisor/internal/lead"
	"supervisor/internal/store"
	"supervisor/isolate"
)

// A host that lost its power asks its gate in the same second in which its
// agent starts: what the agent has not read yet is not mode observe.
func TestAGateIsNotAnsweredFromAStoreThatWasNeverRead(t *testing.T) {
	d := desktop(t)
	d.local.EverServed = true
	if got := d.gate(0); got.Start != isolate.Wait || got.Rule != "store" {
		t.Errorf("before the store was read: %+v", got)
	}
	d.turn(t.Context(), lead.Changed{Batch: store.Batch{Rev: 1, Whole: true}})
	if got := d.gate(0); got.Start != isolate.Normal || got.Rule != "mode" {
		t.Errorf("a store without a policy only observes: %+v", got)
	}
}

func TestAMarkerThatAnUnansweredGateUsedUpIsNone(t *testing.T) {
	d := desktop(t)
	d.local = isolate.Local{Clean: true, CleanFrom: time.Now().Add(-time.Minute), HintWindow: time.Hour, EverServed: true}
	if err := d.a.o.Disk.SaveLocal(d.local); err != nil {
		t.Fatal(err)
	}
	if got, err := d.a.o.Disk.Alone(time.Now()); err != nil || got.Rule != "clean-drain" {
		t.Fatalf("the gate alone: %+v, %v", got, err)
	}
	if got := d.gate(0); got.Start != isolate.Wait || got.Rule != "store" {
		t.Errorf("the agent, afterwards: %+v", got)
	}
}
