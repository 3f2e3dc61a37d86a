// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"slices"
	"testing"
	"time"

	"supervisor/incident"
	"supervisor/internal/store"
	"supervisor/isolate"
	"supervisor/membership"
)

// strange writes what this program cannot read at a key, and has the store read
// whole, so that nothing is remembered of what stood there.
func (b *bench) strange(key string) {
	b.t.Helper()
	b.put(key, map[string]any{"version": 2, "modes": map[string]string{"dc1": "auto"}, "of_a_later_program": true})
	b.rest(b.relist())
	if _, strange := b.s.Picture.Strange[key]; !strange {
		b.t.Fatalf("%s can be read", key)
	}
}

// spoil is a store of which one key cannot be read.
func spoil(t *testing.T, values map[string]any, key string) *State {
	t.Helper()
	s := shelf(t, values)
	s.Picture.Apply(store.Batch{Rev: 101, KVs: []store.KV{{Key: key}}})
	s.Picture.Apply(store.Batch{Rev: 102, KVs: []store.KV{{Key: key, Value: []byte(`{"of_a_later_program":true}`), Mod: 102, Create: 102}}})
	if got := s.Picture.Unread(); !slices.Equal(got, []string{key}) {
		t.Fatalf("cannot be read: %v, want %s", got, key)
	}
	return s
}

// A policy of a later program is no word for observing, and what is kept for the
// gate is not written over for it.
func TestAGateIsNotAnsweredByWhatCannotBeRead(t *testing.T) {
	deadline := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)
	rec := incident.Record{ID: "inc-dc1-1", Node: "n3", Outage: incident.Outage{Deadline: deadline}}
	known := map[string]any{store.Host("n3"): host, store.Host("n2"): peer, store.Policy: moded(incident.Auto),
		store.Fence("n3"): asleep, store.Open("n3"): rec.ID, store.Record(rec.ID): rec}
	answers := []membership.Look{{Subject: "n2", Path: membership.CQL, Outcome: membership.Good}}
	rows := []struct {
		why    string
		absent string // beside the key
		key    string
		local  isolate.Local
		start  isolate.Start
		rule   string
	}{
		{"the policy", store.Fence("n3"), store.Policy, isolate.Local{EverServed: true, Unasked: isolate.Refuse, Deadline: deadline}, isolate.Wait, "incident-open"},
		{"the own fence: the copy counts", "", store.Fence("n3"), isolate.Local{EverServed: true, Fence: &asleep, Unasked: isolate.Refuse, Deadline: deadline}, isolate.Hibernate, "fenced"},
		{"whether an incident is open", store.Fence("n3"), store.Open("n3"), isolate.Local{EverServed: true, Unasked: isolate.Refuse, Deadline: deadline}, isolate.Wait, "store"},
		{"its record", store.Fence("n3"), store.Record(rec.ID), isolate.Local{EverServed: true, Unasked: isolate.Refuse, Deadline: deadline}, isolate.Wait, "incident-open"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			stands := map[string]any{}
			for key, v := range known {
				if key != r.absent {
					stands[key] = v
				}
			}
			s := spoil(t, stands, r.key)
			q := s.Asked(Gate{Local: r.local, Looks: answers, Whole: true, Answers: true})
			if got := isolate.Ask(q, deadline.Add(-time.Hour)); got.Start != r.start || got.Rule != r.rule {
				t.Errorf("the gate is told %+v, want %s by %s", got, r.start, r.rule)
			}
			got := s.Picture.Kept("n3", r.local)
			if got.Unasked != r.local.Unasked || !got.Deadline.Equal(deadline) {
				t.Errorf("kept %+v, was %+v", got, r.local)
			}
		})
	}
}

// The node ends uncleanly while nobody can read the policy: it waits, and is not
// read without the writes it lost.
func TestAnUnreadablePolicyStartsNoNodePlainly(t *testing.T) {
	s := spoil(t, map[string]any{store.Host("n3"): host, store.Host("n2"): peer}, store.Policy)
	q := s.Asked(Gate{Local: isolate.Local{EverServed: true}, Whole: true, Answers: true,
		Looks: []membership.Look{{Subject: "n2", Path: membership.CQL, Outcome: membership.Good}}})
	if got := isolate.Ask(q, time.Now()); q.Observe || got.Start != isolate.Wait || got.Rule != "unclean-end" {
		t.Errorf("observe %v, the gate is told %+v", q.Observe, got)
	}
}

// A policy that nobody can read is replaced by one that was made against it, also
// past other words, which wait, and while the holds cannot be read.
func TestAnUnreadablePolicyIsReplaced(t *testing.T) {
	for _, row := range []struct {
		why     string
		strange []string
		base    int64
		applied bool
	}{
		{"made against what cannot be read", []string{store.Policy}, 2, true},
		{"made against the one before it", []string{store.Policy}, 1, false},
		{"made against none", []string{store.Policy}, 0, false},
		{"neither policy nor holds can be read", []string{store.Policy, store.Holds}, 2, true},
		{"the holds cannot be read", []string{store.Holds}, 1, true},
	} {
		t.Run(row.why, func(t *testing.T) {
			b := newBench(t)
			b.see(false)
			if row.strange[0] == store.Policy {
				b.put(store.PolicyVersion(2), map[string]any{"version": 2, "of_a_later_program": true})
			}
			for _, key := range row.strange {
				b.strange(key)
			}
			next := incident.DefaultPolicy()
			next.Modes["dc1"] = incident.Assist
			said := time.Unix(0, int64(b.now))
			b.put(store.Word("r0"), Word{Who: "bo", Verb: string(incident.AskPause), Why: "a reason", About: &incident.About{Datacenter: "dc1", For: time.Hour, Said: said}})
			b.put(store.Word("r1"), Word{Who: "ann", Verb: "policy_apply", Why: "a reason", Base: row.base, Policy: &next})
			b.rest(b.relist())
			if b.s.failed > 0 || b.count(store.Word("r1")) != 0 {
				t.Fatalf("%d commits in a row were not written, words left %d", b.s.failed, b.count(store.Inbox))
			}
			p := b.s.Picture.Policy.Value
			if applied := p != nil && p.By == "ann" && p.Version == row.base+1; applied != row.applied {
				t.Errorf("the policy that stands: %+v", p)
			}
			waits := row.strange[len(row.strange)-1] == store.Holds || !row.applied
			if left := b.count(store.Word("r0")); (left == 1) != waits {
				t.Errorf("the other word: %d left, waits %v", left, waits)
			}
		})
	}
}

// A pause that ends while the holds, or the policy, cannot be read is not taken
// away again and again.
func TestNothingLapsesPastWhatCannotBeRead(t *testing.T) {
	b := newBench(t)
	b.see(false)
	b.wants(b.say("r1", "ana", incident.AskPause, "", incident.About{Datacenter: "dc1", For: time.Minute}), "ana", "", "ana pauses dc1 until")
	b.strange(store.Policy)
	b.now = b.now.Add(time.Hour)
	for range 10 {
		if out := b.see(false); len(out.Commits) > 0 {
			t.Fatalf("it writes %+v", out.Commits[0].Txn)
		}
	}
}

// What rests on a key that cannot be read is decided by nobody; the world says why
// there is no policy, and the agent which keys it cannot read.
func TestWhatCannotBeReadIsKnown(t *testing.T) {
	b := newBench(t)
	b.rest(b.see(true))
	rec := b.record()
	for _, key := range []string{store.Holds, store.Ledger("dc1"), store.Record(rec.ID), store.Fence("n3"), store.Pool("cql"), store.Word("r9")} {
		b.put(key, []string{"of a later program"})
	}
	b.put(store.Log("dc1", 999), []string{"of a later program"})
	b.put(store.SeenFence("n2", "n3")+"/more", "of a later program")
	b.put(store.Policy, []string{"of a later program"})
	b.heir("n2")
	want := []string{store.Fence("n3"), store.Holds, store.Word("r9"), store.Record(rec.ID), store.Ledger("dc1"), store.Policy, store.Pool("cql")}
	slices.Sort(want)
	if got := b.s.Picture.Unread(); !slices.Equal(got, want) {
		t.Errorf("cannot be read: %v, want %v", got, want)
	}
	for range 10 {
		if out := b.see(true); len(out.Commits) > 0 {
			t.Fatalf("decided past it: %+v", out.Commits[0].Txn)
		}
	}
	w := b.s.World("dc1", b.now, time.Unix(0, int64(b.now)))
	if w.Policy != nil || w.PolicyUnread == nil || *w.PolicyUnread != 0 {
		t.Errorf("policy %v, unread %v", w.Policy, w.PolicyUnread)
	}
	for _, f := range incident.Diagnose(w) {
		if f.Code == "POLICY_MISSING" {
			t.Error("a policy that cannot be read is told as none")
		}
	}
}
