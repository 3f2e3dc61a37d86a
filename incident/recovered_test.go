// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

func init() {
	// recover: the store comes back from a copy of how it stands now. Fences of
	// the older era are not shown, and its pools are nobody's to act upon.
	commands["recover"] = func(s *stage, _ []cluster.Name, _ map[string]string) string {
		s.w.Era = max(1, s.w.Era) + 1
		s.w.Recovery = &Recovery{By: "ana", From: "backup", At: s.w.Wall}
		s.older = map[cluster.Name]bool{}
		for n := range s.records {
			s.older[n] = true
		}
		clear(s.w.Fences)
		for name, p := range s.w.Pools {
			p.Older = true
			s.w.Pools[name] = p
		}
		return ""
	}
	commands["acknowledge"] = func(s *stage, _ []cluster.Name, _ map[string]string) string {
		s.w.Recovery = &Recovery{By: "ana", Acknowledged: &Acknowledgement{By: "bo", At: s.w.Wall}}
		return ""
	}
}

func TestAnUnacknowledgedStoreIsObservedOnly(t *testing.T) {
	policy := DefaultPolicy()
	policy.Modes["dc1"] = Auto
	rows := []struct {
		why      string
		recovery *Recovery
		policy   *Policy
		want     Mode
		finding  bool
	}{
		{"a store that was never recovered", nil, &policy, Auto, false},
		{"a recovered one, whatever its policy says", &Recovery{By: "ana"}, &policy, Observe, true},
		{"one that a person acknowledged", &Recovery{By: "ana", Acknowledged: &Acknowledgement{By: "bo"}}, &policy, Auto, false},
		{"one without a policy", &Recovery{By: "ana", Acknowledged: &Acknowledgement{By: "bo"}}, nil, Observe, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			w := World{Policy: r.policy, Recovery: r.recovery, Era: 2}
			if got := w.ModeOf("dc1"); got != r.want {
				t.Errorf("mode %s, want %s", got, r.want)
			}
			found := false
			for _, f := range Diagnose(w) {
				found = found || f.Code == "STORE_UNACKNOWLEDGED"
			}
			if found != r.finding {
				t.Errorf("finding %v, want %v", found, r.finding)
			}
		})
	}
}

// A store that went back is one thing wrong and not two.
func TestAStoreThatWentBackIsOneFinding(t *testing.T) {
	var codes []string
	for _, f := range Diagnose(World{Policy: &Policy{}, Store: StoreFacts{Lost: "it is older", Back: "it is older", Leader: "n1"}}) {
		codes = append(codes, f.Code)
	}
	if len(codes) != 1 || codes[0] != "STORE_WENT_BACK" {
		t.Errorf("found %v", codes)
	}
}

// What stands in a record of an older era is dropped whatever the event says,
// and nothing is done before a person has acknowledged the store.
func TestARecordOfAnOlderEraWaits(t *testing.T) {
	phases := []Phase{Suspected, Draining, Returning, Verifying, Held}
	for _, phase := range phases {
		for name, ev := range map[string]Event{"looked": Looked{}, "adopted": Adopted{By: "n2"}, "finished": Finished{Effect: "e", Outcome: Done}} {
			t.Run(phase.String()+" "+name, func(t *testing.T) {
				r := Record{Schema: SchemaNow, ID: "inc-1", Datacenter: "dc1", Node: "n3", Phase: phase, Mode: Auto, Cause: membership.ProcessDown,
					Pending: []Effect{{ID: "e", Limit: time.Minute, Once: &Once{Agent: "n3", Verb: VerbRepair}}}, Return: &Return{Step: Ramping}}
				if phase == Held {
					r.Held, r.HeldRule, r.HeldFrom = "why", RuleRate, Returning
				}
				d := Next(r, ev, World{Policy: &Policy{Modes: map[cluster.Datacenter]Mode{"dc1": Auto}}, Recovery: &Recovery{By: "ana"}, Era: 2, Older: true})
				got := d.Record
				if !d.Changed || len(d.Effects) > 0 || len(got.Pending) > 0 || got.Phase != Held || got.Return.Step != Preflight {
					t.Errorf("%s %s, pending %d, return at %s, effects %d", got.Phase, got.HeldRule, len(got.Pending), got.Return.Step, len(d.Effects))
				}
				if want := RuleEra; phase != Held && got.HeldRule != want {
					t.Errorf("held by %s, want %s", got.HeldRule, want)
				}
				if phase == Held && (got.HeldRule != RuleRate || got.Held != "why") {
					t.Errorf("the reason for which it waits was lost: %s %q", got.HeldRule, got.Held)
				}
			})
		}
	}
}
