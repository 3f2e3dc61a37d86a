// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/store"
)

// hanging is a store that ceases to answer as a real one does: who asks it waits
// for the end of his patience.
type hanging struct{ *client }

func (h hanging) Pulse(ctx context.Context) (time.Duration, error) {
	took, err := h.client.Pulse(ctx)
	if errors.Is(err, errStore) {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return took, err
}

// hangs puts such a store before a new agent of n2.
func (r *region) hangs(goodbye bool) *run {
	r.halt("n2", goodbye)
	return r.start("n2", func(o *Options) { o.Pulse = hanging{o.Pulse.(*client)} })
}

func TestLost(t *testing.T) {
	for _, row := range []struct {
		why   string
		facts incident.StoreFacts
		whole bool
		want  string
	}{
		{"it answered a moment ago", incident.StoreFacts{LostFor: time.Second}, true, ""},
		{"the last question may be on its way yet", incident.StoreFacts{LostFor: 3 * time.Second}, true, ""},
		{"a store that does well would have answered it", incident.StoreFacts{LostFor: 3100 * time.Millisecond}, true, "no answer for 3.1 s"},
		{"what etcd said is told first", incident.StoreFacts{Lost: "no leader", LostFor: time.Minute}, true, "no leader"},
		{"it answers, and what stands there is on its way", incident.StoreFacts{}, false, "it was not read yet"},
		{"it never answered", incident.StoreFacts{Lost: "no leader"}, false, "no leader"},
	} {
		if got := lost(row.facts, row.whole); got != row.want {
			t.Errorf("%s: %q, want %q", row.why, got, row.want)
		}
	}
}

// Whoever asks is not told for long that all is well after the store died, and
// what is shown meanwhile is told to be old.
func TestAStoreThatDiesIsToldSoon(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		h := r.hangs(true)
		state := func() api.State { return api.StatusOf(h.snapshot()).State }
		r.wait("healthy", time.Minute, func() bool { return state() == api.Healthy })
		h.awaitPulse()
		r.store.outage(2 * time.Minute)
		time.Sleep(pulseEvery + slowCommit + 100*time.Millisecond)
		s := h.snapshot()
		if st := api.StatusOf(s); st.State != api.Blind || st.Store.Available || !h.finds("STORE_NO_QUORUM") {
			t.Errorf("%v after the store died: %s, store available %v", pulseEvery+slowCommit, st.State, st.Store.Available)
		}
		for range 100 {
			if s = h.snapshot(); api.StatusOf(s).State != api.Blind || !strings.Contains(strings.Join(s.Missing, "; "), "as it was last read") {
				t.Fatalf("while it is lost: %s, missing %q", api.StatusOf(s).State, s.Missing)
			}
			time.Sleep(100 * time.Millisecond)
		}
		r.wait("healthy again", 3*time.Minute, func() bool { return state() == api.Healthy && len(h.snapshot().Missing) == 0 })
	})
}

// awaitPulse waits until the store has just answered.
func (h *run) awaitPulse() {
	for last := time.Duration(0); ; time.Sleep(10 * time.Millisecond) {
		since := h.snapshot().World.Store.LostFor
		if since < last {
			return
		}
		last = since
	}
}

// A store that answers is not lost between two questions.
func TestAStoreThatAnswersIsNotTakenForLost(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		for range 600 {
			if lost := r.host("n2").snapshot().StoreLost; lost != "" {
				t.Fatalf("the store answers and is told to be lost: %s", lost)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}

// An agent that begins has read nothing and heard nobody: it says so, and not that
// there is no policy.
func TestAnAgentThatBeginsIsBlindUntilItKnows(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		for _, dead := range []bool{false, true} {
			if dead {
				r.store.outage(time.Minute)
				time.Sleep(10 * time.Second)
			}
			h := r.hangs(false)
			for range 3000 {
				s := h.snapshot()
				st := api.StatusOf(s)
				if heard, of := s.World.View.Hearing(); of == len(names) && 2*heard > of && !dead {
					break
				}
				if st.State != api.Blind || h.finds("POLICY_MISSING") || st.Store.Available == (dead || len(s.World.Hosts) == 0) {
					t.Fatalf("store dead %v: %s %q, available %v, no policy %v", dead, st.State, st.Why, st.Store.Available, h.finds("POLICY_MISSING"))
				}
				time.Sleep(time.Millisecond)
			}
		}
	})
}

// A store that takes no writes answers every pulse: nothing is decided, and all
// agents say so, at rest and while a node is down.
func TestAStoreThatTakesNoWritesIsTold(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		full := func(is bool) {
			r.store.mu.Lock()
			defer r.store.mu.Unlock()
			r.store.full = is
		}
		told := func(want api.State, when string) {
			t.Helper()
			for _, n := range names {
				r.wait("told by "+string(n)+" "+when, (refusesEvery+1)*pulseEvery, func() bool {
					h := r.host(n)
					return api.StatusOf(h.snapshot()).State == want && h.finds("STORE_NOT_WRITTEN") == (want == api.Blind)
				})
			}
		}
		full(true)
		told(api.Blind, "at rest")
		before := r.touchedSoFar()
		r.crash("n3")
		time.Sleep(time.Minute)
		told(api.Blind, "with a node down")
		if e, err := api.Explain(r.host("n2").snapshot(), "n3"); err != nil || !strings.Contains(e.Headline, "NOSPACE") || r.touchedSoFar() != before {
			t.Errorf("%q (%v), %d acts", e.Headline, err, r.touchedSoFar()-before)
		}
		full(false)
		r.awaitClosed(1, 5*time.Minute)
		told(api.Healthy, "when it takes them again")
		if !r.host("n2").logged("STORE_NOT_WRITTEN") {
			t.Error("no line of the log tells")
		}
	})
}

// Whatever the reason: a leader that leads and does not get anything written is not
// taken for one that handles it.
func TestANodeThatNobodyHandlesIsAPersons(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.store.mu.Lock()
		r.store.fault = func(cluster.Name, store.Txn) fault { return neverThere }
		r.store.mu.Unlock()
		r.crash("n3")
		time.Sleep(30 * time.Second)
		for _, n := range names {
			s := r.host(n).snapshot()
			want := api.NeedsYou
			if s.Leader == n {
				want = api.Blind // it knows that nothing is written
			}
			if st := api.StatusOf(s); st.State != want {
				t.Errorf("%s, after half a minute without an incident: %s %q, want %s", n, st.State, st.Why, want)
			}
		}
		r.store.mu.Lock()
		r.store.fault = nil
		r.store.mu.Unlock()
		r.awaitClosed(1, 5*time.Minute)
	})
}
