// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"testing"
	"time"

	"supervisor/incident"
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

// What it knows of the store is from before it stood still, whether that is a
// fence, an incident or their absence.
func TestAGateIsNotAnsweredFromWhatAStoppedAgentKnew(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		says, err := ask(context.Background(), r.host("n3").agent, func(d *desk) [2]isolate.Answer {
			now := d.gate(0)
			d.storeOK = d.a.o.Clock.Now().Add(-16 * time.Second)
			return [2]isolate.Answer{now, d.gate(0)}
		})
		if err != nil {
			t.Fatal(err)
		}
		if says[0].Rule == "store" || says[1].Start != isolate.Wait || says[1].Rule != "store" {
			t.Errorf("before: %+v, when it woke: %+v", says[0], says[1])
		}
	})
}
