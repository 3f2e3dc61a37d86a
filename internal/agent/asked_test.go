// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"strings"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
)

// repairOf is the newest repair that a person asked for of a node, as an agent
// shows it.
func (h *run) repairOf(n cluster.Name) incident.Record {
	for _, r := range h.snapshot().World.Repairs {
		if r.Node == n {
			return r
		}
	}
	return incident.Record{}
}

// followed asks for a repair of a node, and wants it begun.
func (h *run) followed(n cluster.Name) {
	h.r.t.Helper()
	if a := h.say("ana", incident.AskRepair, incident.About{Node: n}); a.State != api.OrderFollowed || !incident.IsRepairID(a.Incident) {
		h.r.t.Fatalf("the repair: %+v", a)
	}
}

// untroubled holds that nothing but repairs was done.
func (r *region) untroubled() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.story {
		if !strings.Contains(e, " repair ") && !strings.Contains(e, " preview ") {
			r.t.Errorf("for a repair of a healthy node somebody did %q: %v", e, r.story)
		}
	}
}

// A node that serves is repaired on demand, compared by another, and nothing else
// is done to it, whoever leads and whichever agent is killed meanwhile.
func TestANodeIsRepairedOnDemand(t *testing.T) {
	for why, during := range map[string]func(*region){
		"nothing happens":         func(*region) {},
		"its agent is killed":     func(r *region) { r.restart("n3") },
		"the leader is killed":    func(r *region) { r.restart(r.leader().name) },
		"all agents are killed":   func(r *region) { r.restart("n1"); r.restart("n2"); r.restart("n3") },
		"a bystander is killed":   func(r *region) { r.restart("n2") },
		"it is paused for a time": func(r *region) { r.host("n2").say("bo", incident.AskPause, incident.About{For: 10 * time.Minute}) },
	} {
		t.Run(why, func(t *testing.T) {
			inRegion(t, incident.Auto, func(r *region) {
				r.host("n1").followed("n3")
				r.wait("the first segment", 10*time.Second, func() bool { return r.count("n3 repair ks") > 0 })
				during(r)
				r.wait("its end", 20*time.Minute, func() bool { return r.host("n1").repairOf("n3").Ended() })
				if n := r.count("n3 repair ks"); n < 1 || n > 3 {
					t.Errorf("ks was repaired %d times: %v", n, r.story)
				}
				if r.count("n1 preview ks")+r.count("n2 preview ks") == 0 || r.count("n3 preview ks") > 0 {
					t.Errorf("not compared by another: %v", r.story)
				}
				if _, open := r.open(); open {
					t.Error("an incident is open about it")
				}
				r.untroubled()
			})
		})
	}
}

// A node that hangs in the middle of its repair is ended as soon as any other: its
// agent gives the repair up for it.
func TestARepairOnDemandGivesWayToAFence(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.endless = true })
		r.host("n1").followed("n3")
		r.wait("its order is in hand", 10*time.Second, func() bool { return r.host("n3").logged("order taken") })
		time.Sleep(2 * time.Second)
		began := time.Now()
		r.set("n3", hangs)
		r.wait("the end of the process", time.Minute, func() bool { return r.count("n3 kill") == 1 })
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("it was ended after %v, want 15 s and a little", took)
		}
		r.set("n3", func(n *fakeNode) { n.endless = false })
		r.awaitClosed(1, 2*time.Minute)
		r.wait("the repair goes on behind the incident, and ends", 5*time.Minute, func() bool { return r.host("n1").repairOf("n3").Ended() })
	})
}

// An aborted repair is over at once, and one that is refused is never begun.
func TestARepairOnDemandIsAbortedAndRefused(t *testing.T) {
	inRegion(t, incident.Auto, func(r *region) {
		r.set("n3", func(n *fakeNode) { n.endless = true })
		n1 := r.host("n1")
		n1.followed("n3")
		if a := n1.say("bo", incident.AskRepair, incident.About{Node: "n3"}); a.State != api.OrderRefused || a.Rule != incident.RuleBudget {
			t.Errorf("a second one: %+v", a)
		}
		id := n1.repairOf("n3").ID
		if a := n1.say("bo", incident.AskAbort, incident.About{Incident: id, Node: "n3"}); a.State != api.OrderFollowed {
			t.Errorf("the abort: %+v", a)
		}
		if rec := n1.repairOf("n3"); !rec.Ended() || rec.Return.Job != nil {
			t.Errorf("aborted it is %s", rec.Phase)
		}
		if a := n1.say("bo", incident.AskRepair, incident.About{Node: "n3", Repair: incident.RepairScope{Keyspace: "nothing"}}); a.State != api.OrderRefused {
			t.Errorf("a keyspace that is not there: %+v", a)
		}
		r.untroubled()
	})
}
