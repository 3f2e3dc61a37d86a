// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/loadbalancer"
	"supervisor/membership"
	"supervisor/repair"
)

// behindFence is a node in the ring whose proof was held, with its fence raised
// by the hold, and another one that serves.
func behindFence(step ReturnStep) (Record, World) {
	now := cluster.Moment(time.Hour)
	p := DefaultPolicy()
	p.Modes["dc1"] = Auto
	p.Pools = []loadbalancer.Declared{{Name: "web", Members: []cluster.Name{"n1", "n2"}, Proxies: []loadbalancer.Proxy{{Name: "ha"}}}}
	own := isolate.OwnState{Running: true, Mode: "NORMAL", Process: "p1", Severity: 50, Generation: 7}
	w := World{Now: now, InStep: time.Minute, Wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Policy: &p,
		Schema: &cluster.Schema{Members: []cluster.Member{{Name: "n1", Datacenter: "dc1"}, {Name: "n2", Datacenter: "dc1"}}},
		View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{
			"n1": {Node: "n1", Answer: membership.Gone, Cause: membership.CQLDead, Own: membership.Good, Process: "p1", Since: now.Add(-time.Minute)},
			"n2": {Node: "n2", Answer: membership.Alive, Own: membership.Good, Process: "q1"}}},
		Agents: map[cluster.Name]Agent{"n1": {}, "n2": {}},
		Fences: map[cluster.Name]StandingFence{"n1": {Fence: isolate.Fence{Node: "n1", Levels: isolate.Clients | isolate.Reads, Start: isolate.Hibernate}}},
		Seen:   map[cluster.Name]map[cluster.Name]isolate.Seen{"n1": {"n1": {Own: &own}}},
	}
	job := repair.Job{Segments: []repair.Segment{{Keyspace: "ks", Tables: []string{"t"}, Ranges: []cluster.TokenRange{{}}, Hosts: []cluster.Name{"n1", "n2"}}}, Done: []byte{1}}
	r := Record{Schema: SchemaNow, ID: "i1", Node: "n1", Datacenter: "dc1", Phase: Held, HeldFrom: Verifying, HeldRule: RuleDeadline, Held: "x", Process: "p1",
		Return: &Return{Step: step, Process: "p1", Generation: 7, Job: &job}, Marks: map[Stage]time.Duration{}}
	return r, w
}

func opens(t *turn) bool {
	return slices.ContainsFunc(t.effects, func(e Effect) bool { return e.Fence != nil && e.Fence.Levels == 0 })
}

// A second look at what changes all the time ends behind the fence that the hold
// had raised: it is lifted before anything is given back.
func TestASecondLookBehindItsFenceOpensBeforeTheRamp(t *testing.T) {
	r, w := behindFence(Previewing)
	r.Return.Unread, r.Return.Looks = []string{"ks.t"}, 1
	r.Phase, r.Held, r.HeldRule, r.HeldFrom = Verifying, "", "", PhaseUnknown
	x := newTurn(r, w)
	x.comparedAgain()
	if !opens(x) || x.r.Return.Step != Opening {
		t.Errorf("step %s, effects %+v", x.r.Return.Step, x.effects)
	}
}

// A proof that had to wait goes on by itself, and is not opened when the node was
// silent meanwhile for longer than hints are kept.
func TestAHeldProofOpensOnlyAKnownNode(t *testing.T) {
	for _, lapsed := range []bool{false, true} {
		r, w := behindFence(Reading)
		if lapsed {
			w.Lapsed = map[cluster.Name]bool{"n1": true}
		}
		x := newTurn(r, w)
		x.held()
		if x.r.Phase != Verifying || opens(x) == lapsed {
			t.Errorf("lapsed %v: phase %s, effects %+v", lapsed, x.r.Phase, x.effects)
		}
	}
}

// A storm that somebody has seen is hidden from the turn in which the next one
// says so: his word must not take the first one's away.
func TestTwoPeopleHaveSeenAStorm(t *testing.T) {
	s := newStage(t)
	for line := range strings.SplitSeq("ring nodes=6\nnode n2 n3 answer=gone cause=host_gone own=no_word\nbegin n2 n3\nwait for=20s", "\n") {
		s.do(strings.Fields(line))
		s.settle()
	}
	for _, word := range []string{"say incident_ack n3", "say incident_ack n3 by=bo"} {
		s.do(strings.Fields(word))
		s.settle()
		if ack := s.records["n3"].Ack; ack == nil || ack.Storm == "" {
			t.Fatalf("after %q: seen %+v, want the storm", word, ack)
		}
	}
}
