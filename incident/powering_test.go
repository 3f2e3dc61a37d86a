// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"
	"testing"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/membership"
)

func TestOnlyOtherControlAgentsWhoseHookAnsweredTurnAHostOff(t *testing.T) {
	can := &Powers{Can: []cluster.Name{"n3"}}
	w := World{Agents: map[cluster.Name]Agent{
		"n1": {Control: true, Power: can},
		"n2": {Control: true, Power: &Powers{Cannot: map[cluster.Name]string{"n3": "exit code 1"}}},
		"n3": {Control: true, Power: can}, // nobody turns himself off
		"n4": {Power: can},                // no control agent
		"n5": {Control: true},             // no hook
		"n6": {Control: true, Power: can},
	}}
	if got := w.powerAgents("n3"); !slices.Equal(got, []cluster.Name{"n1", "n6"}) {
		t.Errorf("got %v", got)
	}
	turn := newTurn(Record{Node: "n3"}, w)
	if a, b, c := turn.powerAgent(""), turn.powerAgent("n1"), turn.powerAgent("n6"); a != "n1" || b != "n6" || c != "n1" {
		t.Errorf("got %s, %s, %s: another than the last is asked", a, b, c)
	}
	delete(w.Agents, "n6")
	if got := newTurn(Record{Node: "n3"}, w).powerAgent("n1"); got != "n1" {
		t.Errorf("got %q: the only one is asked again", got)
	}
	if got := turn.orPower(); got != "; n2 cannot turn it off: exit code 1" {
		t.Errorf("got %q", got)
	}
}

// A host that was turned off may be on again, and its peers hear it: then it may
// read from them, and none of them hibernates without its word.
func TestAHostThatWasTurnedOffIsNotTakenForCutOff(t *testing.T) {
	for _, off := range []bool{false, true} {
		w := World{
			Fences: map[cluster.Name]StandingFence{"n3": {Fence: isolate.Fence{Node: "n3", Levels: offLevels, Start: isolate.Refuse}}},
			View:   membership.View{Verdicts: map[cluster.Name]membership.Verdict{"n3": {Node: "n3", Answer: membership.Alive}}},
			Open:   []Record{{Node: "n3", Fenced: &Fenced{Cut: true, Proof: []string{"a", "b"}, Power: PowerOff{Wanted: off, Off: "n1"}}}},
		}
		if got := w.mayRead("n3"); got != off {
			t.Errorf("turned off %v: may read %v", off, got)
		}
	}
}

// What moves between the plan of a cut and its approval may not turn a host off
// that nobody approved.
func TestTheApprovalOfACutTurnsNoHostOff(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		s := newStage(t)
		s.ring(3)
		for _, line := range [][]string{{"policy", "mode=assist"}, {"agent", "n1", "cuts=yes", "power=n3"}, {"agent", "n2", "cuts=yes"}, {"agent", "n3"},
			{"node", "n3", "answer=gone", "cause=host_gone", "own=no_word", "looks=silent"}, {"begin", "n3"}, {"stand"}} {
			s.do(line)
		}
		s.settle()
		s.pass("16s")
		s.settle()
		if r := s.records["n3"]; r.Proposal == nil || r.Proposal.Levels != cutLevels {
			t.Fatalf("it proposes %+v", r.Proposal)
		}
		if !guarded {
			s.do([]string{"agent", "n2"})
			s.w.Agents["n2"] = Agent{}
		}
		s.do([]string{"say", "incident_approve", "n3", "plan=now"})
		r := s.records["n3"]
		if r.Fenced != nil && r.Fenced.Power.Wanted || len(r.Pending) > 0 {
			t.Errorf("guarded %v: it is turned off: %+v", guarded, r.Fenced)
		}
		if fenced := r.Phase == Fencing; fenced != guarded {
			t.Errorf("guarded %v: it is %s", guarded, r.Phase)
		}
	}
}

// Others go by a proof that stands, also while its incident is held.
func TestARecoveredStoreProvesNothing(t *testing.T) {
	s := newStage(t)
	s.ring(3)
	for _, line := range [][]string{{"agent", "n1", "power=n3"}, {"agent", "n3"},
		{"node", "n3", "answer=gone", "cause=host_gone", "own=no_word", "looks=silent"}, {"begin", "n3"}, {"stand"}, {"wait", "for=16s"}, {"order", "n3", "done"}, {"order", "n3", "done"}, {"wait", "for=4s"}} {
		s.do(line)
		s.settle()
	}
	if r := s.records["n3"]; r.Phase != Held || len(r.Fenced.Proof) != paths {
		t.Fatalf("%s, fenced %+v", r.Phase, r.Fenced)
	}
	s.do([]string{"recover"})
	s.settle()
	if f := s.records["n3"].Fenced; len(f.Proof) != 0 || f.Power != (PowerOff{}) || s.records["n3"].HeldFrom != Fencing {
		t.Errorf("fenced: %+v", f)
	}
}
