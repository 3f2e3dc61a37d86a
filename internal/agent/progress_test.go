// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"strings"
	"testing"
	"time"

	"supervisor/incident"
)

// An agent goes round also without a store; it does not when its desk stands, or
// when a round of one of its parts does not end.
func TestProgress(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		a := r.agents["n3"][0].agent
		progress := func() string {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := a.Progress(ctx); err != nil {
				return err.Error()
			}
			return ""
		}
		end := a.rounds.begin(ownActs, a.o.Clock.Now())
		time.Sleep(roundMax)
		if got := progress(); got != "" {
			t.Errorf("at the limit: %s", got)
		}
		time.Sleep(time.Second)
		if got := progress(); !strings.Contains(got, partNames[ownActs]) {
			t.Errorf("past the limit: %q", got)
		}
		end()
		if got := progress(); got != "" {
			t.Errorf("after its end: %s", got)
		}
		stands := make(chan struct{})
		a.errands <- func(*desk) { <-stands }
		if got := progress(); !strings.Contains(got, "deadline") {
			t.Errorf("with a desk that stands: %q", got)
		}
		close(stands)
		r.store.outage(2*roundMax + time.Minute)
		time.Sleep(2 * roundMax)
		if got := progress(); got != "" {
			t.Errorf("without a store: %s", got)
		}
	})
}
