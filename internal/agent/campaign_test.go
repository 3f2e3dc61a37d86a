// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/store"
)

// block keeps a desk from everything, as a disk does that takes no sync.
func (h *run) block() (release func()) {
	wait, begun := make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = ask(context.Background(), h.agent, func(*desk) bool { close(begun); <-wait; return true })
	}()
	<-begun
	return func() { close(wait) }
}

// leadsNot waits until somebody else than the blocked ones leads.
func (r *region) leadsNot(blocked ...cluster.Name) {
	r.t.Helper()
	r.wait("another leader", 10*time.Second, func() bool {
		l := r.leader()
		for _, n := range blocked {
			if l == nil || l.name == n {
				return false
			}
		}
		return true
	})
}

func TestALeaderWhoseDeskIsBlockedIsReplaced(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		old := r.leader()
		release := old.block()
		r.leadsNot(old.name)
		n := cluster.Name("n1")
		if old.name == n {
			n = "n2"
		}
		r.crash(n)
		time.Sleep(2 * time.Minute) // what reaches a blocked desk fills its queues
		r.leadsNot(old.name)
		release()
		r.awaitClosed(1, 5*time.Minute)
		if !old.logged("the desk of this agent does not answer") {
			t.Error("nobody says why the term ended")
		}
	})
}

func TestABlockedCandidateDoesNotKeepTheTerm(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		old := r.leader()
		line := r.store.list(store.Leaders)
		slices.SortFunc(line, func(a, b store.KV) int { return cmp.Compare(a.Create, b.Create) })
		next := cluster.Name(line[1].Value)
		release := r.host(next).block()
		time.Sleep(2 * time.Minute)
		r.halt(old.name, true)
		r.leadsNot(next, old.name)
		release()
	})
}
