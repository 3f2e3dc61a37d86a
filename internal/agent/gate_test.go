// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"

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
