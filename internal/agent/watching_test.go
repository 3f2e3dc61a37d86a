// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"
	"time"

	"supervisor/incident"
)

func TestAnObserverThatDoesNotTakeTheRosterIsToldAgain(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.halt("n2", true)
		h := r.start("n2", func(o *Options) { o.Observer.(*fakeObserver).refuses = 5 })
		r.wait("both others watched", 20*time.Second, func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(h.looks.peers) == 2
		})
		if !h.logged("not watched as assigned") {
			t.Error("nobody says that n2 watched nobody")
		}
	})
}
