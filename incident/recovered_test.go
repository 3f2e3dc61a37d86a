// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/loadbalancer"
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
		s.fenced = map[cluster.Name]bool{}
		for n := range s.w.Fences {
			s.fenced[n] = true
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

// A pool that nobody has written in this era is written first with those kept out
// that a proxy has out and that an incident is, or will be, open about.
func TestWhoStandsOutOfAPoolIsNotLetInByTheWay(t *testing.T) {
	rows := []struct {
		why        string
		open       bool // an incident about n2 is open
		unrepaired bool // the agent of n2 says that it may lack writes
		out        bool // a proxy has n2 drained
		recovered  bool
		want       loadbalancer.Want
	}{
		{"it stands out and is in an incident", true, false, true, true, loadbalancer.Drain},
		{"it stands out and will be in one", false, true, true, true, loadbalancer.Drain},
		{"it stands out and nobody says why", false, false, true, true, loadbalancer.Ready},
		{"it is in an incident and served", true, false, false, true, loadbalancer.Ready},
		{"the store was never recovered", true, false, true, false, loadbalancer.Ready},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			s := newStage(t)
			s.ring(3)
			w := s.worldOf("n3")
			if r.recovered {
				w.Recovery = &Recovery{Acknowledged: &Acknowledgement{}}
			}
			if r.open {
				w.Open = []Record{{ID: "inc-1", Node: "n2"}}
			}
			a := w.Agents["n2"]
			a.Unrepaired = r.unrepaired
			w.Agents["n2"] = a
			want := loadbalancer.Ready
			if r.out {
				want = loadbalancer.Drain
			}
			w.PoolSeen["web"] = map[cluster.Name]PoolSeen{"n1": {Proxies: map[string]ProxyStatus{"ha": {Actual: []loadbalancer.Actual{{Server: "n2", Want: want}}}}}}
			turn := newTurn(Record{Node: "n3", Datacenter: "dc1"}, w)
			if got := turn.pool(s.policy.Pools[0]).Wants["n2"].Want; got != r.want {
				t.Errorf("n2 is wanted %v, want %v", got, r.want)
			}
			if out := newTurn(Record{Node: "n2", Datacenter: "dc1"}, w).leftOut(); out != (r.out && r.recovered) {
				t.Errorf("left out: %v", out)
			}
		})
	}
}

// A held node whose fence was of an older era gets one of this era, whatever it
// is held for.
func TestAHeldNodeIsFencedAgain(t *testing.T) {
	s := newStage(t)
	s.ring(3)
	s.judge([]cluster.Name{"n3"}, map[string]string{"answer": "alive", "own": "good"})
	r := Record{Schema: SchemaNow, ID: "inc-1", Datacenter: "dc1", Node: "n3", Phase: Held, Held: "why", HeldRule: FenceBeforeReplace, HeldFrom: Draining,
		Cause: membership.DiskFailed}
	s.w.Recovery = &Recovery{Acknowledged: &Acknowledgement{}}
	for _, fenced := range []bool{true, false} {
		w := s.worldOf("n3")
		w.OlderFence = fenced
		d := Next(r, Looked{}, w)
		if raised := len(d.Effects) == 1 && d.Effects[0].Fence != nil; raised != fenced {
			t.Errorf("an older fence %v, effects %+v", fenced, d.Effects)
		}
		if d.Record.HeldRule != FenceBeforeReplace {
			t.Errorf("held by %s", d.Record.HeldRule)
		}
	}
}
