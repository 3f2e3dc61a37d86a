// SPDX-License-Identifier: Apache-2.0

package isolate

import (
	"testing"
	"time"
)

func TestWhatIsKeptFollowsTheFence(t *testing.T) {
	asleep, plain := Fence{Levels: Clients | Reads, Start: Hibernate, Incident: "inc"}, Fence{Start: Normal, Incident: "inc"}
	before := drained(time.Hour)
	starting := before.Starting(asleep)
	if !starting.Returning || starting.Incident != "inc" || starting.Clean || starting.Fence != nil {
		t.Errorf("before a start asleep: %+v", starting)
	}
	if cold := before.Starting(plain); cold.Returning || cold.Incident != "inc" || cold.Clean {
		t.Errorf("before a plain start: %+v", cold)
	}
	fenced := starting.Fenced(asleep)
	if fenced.Fence == nil || *fenced.Fence != asleep || !fenced.Returning {
		t.Errorf("fenced: %+v", fenced)
	}
	if again := fenced.Fenced(asleep); again != fenced {
		t.Errorf("the same fence is something else to keep: %+v", again)
	}
	if over := fenced.Over(); over != (Local{CleanFrom: before.CleanFrom, HintWindow: before.HintWindow, EverServed: true}) {
		t.Errorf("over: %+v", over)
	}
	if got := (Local{EverServed: true}).Drained(noon, time.Minute); got != (Local{EverServed: true, Clean: true, CleanFrom: noon, HintWindow: time.Minute}) {
		t.Errorf("drained: %+v", got)
	}
}

// What this host says without an agent, and who must hear of it.
func TestAnAnswerThatOnlyThisHostGave(t *testing.T) {
	asleep := &Fence{Levels: Clients | Reads, Start: Hibernate, Incident: "inc"}
	rows := []struct {
		why    string
		local  Local
		atOnce bool // nobody is asked before
		start  Start
		lacks  bool
	}{
		{"a fence hibernates: its return may be over elsewhere", Local{Fence: asleep, EverServed: true}, true, Hibernate, true},
		{"a return that is not finished as well", Local{Returning: true, EverServed: true}, true, Hibernate, true},
		{"what is refused lacks nothing", Local{Retired: true, EverServed: true}, true, Refuse, false},
		{"a clean drain starts plainly, but an agent may know better", drained(time.Hour), false, Normal, false},
		{"the policy starts one that has served", Local{EverServed: true, Unasked: Normal}, false, Normal, true},
		{"or keeps it asleep, until somebody joins it", Local{EverServed: true, Unasked: Hibernate}, false, Hibernate, true},
		{"or does not start it", Local{EverServed: true, Unasked: Refuse}, false, Refuse, false},
		{"what never served lacks nothing", Local{Unasked: Normal}, false, Normal, false},
	}
	for _, r := range rows {
		if a, ok := AtOnce(r.local, noon); ok != r.atOnce || ok && a.Start != r.start {
			t.Errorf("%s: at once %v, %+v", r.why, ok, a)
		}
		a := Alone(r.local, noon)
		if a.Start != r.start || r.local.MayLack(a) != r.lacks {
			t.Errorf("%s: %+v, may lack %v", r.why, a, r.local.MayLack(a))
		}
		if a.UsesUp() != r.local.Clean || a.Unasked() != (!r.atOnce && !r.local.Clean) {
			t.Errorf("%s: uses up %v, unasked %v", r.why, a.UsesUp(), a.Unasked())
		}
	}
}
