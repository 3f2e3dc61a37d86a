// SPDX-License-Identifier: Apache-2.0

package isolate

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// drained is a node that left in good order so long before noon.
func drained(ago time.Duration) Local {
	return Local{Clean: true, CleanFrom: noon.Add(-ago), HintWindow: 3 * time.Hour, EverServed: true}
}

func with(l Local, change func(*Local)) Local {
	change(&l)
	return l
}

func TestTheFirstLineThatHoldsAnswers(t *testing.T) {
	asleep, plain := &Fence{Levels: Clients | Reads, Start: Hibernate, Incident: "inc"}, &Fence{Start: Normal, Incident: "inc"}
	slow, letIn := &Fence{Levels: Reads, Start: Normal, Incident: "inc"}, &Fence{Start: Wait, Incident: "inc"}
	rows := []struct {
		why   string
		asked Asked
		start Start
		rule  string
	}{
		{"a retired identity never starts, whatever else stands", Asked{Local: Local{Retired: true, Clean: true, Fence: plain}}, Refuse, "retired"},
		{"the deadline's own instant has passed", Asked{Local: Local{Deadline: noon, Clean: true}}, Refuse, "gc-grace"},
		{"a moment before the deadline the other lines speak", Asked{Local: Local{Deadline: noon.Add(1)}}, Normal, "first-start"},
		{"a process fence refuses, also when it says how to start", Asked{Local: Local{Fence: &Fence{Levels: Process, Start: Normal}}}, Refuse, "fenced"},
		{"a fence that refuses refuses", Asked{Local: Local{Fence: &Fence{Start: Refuse}}}, Refuse, "fenced"},
		{"a fence that hibernates beats a clean drain", Asked{Local: Local{Fence: asleep, Clean: true}}, Hibernate, "fenced"},
		{"a return that is not finished hibernates without any fence", Asked{Local: Local{Returning: true, Clean: true}}, Hibernate, "returning"},
		{"an old plain fence does not end a return", Asked{Local: Local{Returning: true, Fence: plain}}, Hibernate, "returning"},
		{"the leader starts a cold ring plainly, though an incident is open and others answer",
			Asked{Local: Local{EverServed: true, Fence: plain}, Incident: "inc", Peers: 2, PeersAnswering: 1, Store: true}, Normal, "fenced"},
		{"the fence of a slow node hinders no clean start", Asked{Local: with(drained(time.Hour), func(l *Local) { l.Fence = slow }), Store: true}, Normal, "clean-drain"},
		{"nor does that of one that was slow", Asked{Local: drained(time.Hour), Standing: letIn, Store: true}, Normal, "clean-drain"},
		{"and takes an unclean end for none that was clean", Asked{Local: Local{EverServed: true}, Standing: slow, Peers: 2, PeersAnswering: 2, Store: true}, Wait, "unclean-end"},
		{"nor for one of a ring that lives, when readers are let in again", Asked{Local: Local{EverServed: true}, Standing: letIn, Peers: 2, PeersAnswering: 2, Store: true}, Wait, "unclean-end"},
		{"a verified clean drain starts plainly", Asked{Local: drained(time.Hour)}, Normal, "clean-drain"},
		{"its last moment leaves the start its time while the others keep hints", Asked{Local: drained(3*time.Hour - startAllowance - 1), Store: true}, Normal, "clean-drain"},
		{"the hints may be over before the others see it", Asked{Local: drained(3*time.Hour - startAllowance), Store: true}, Wait, "unclean-end"},
		{"a clock that went back makes the age unknown", Asked{Local: drained(-1), Store: true}, Wait, "unclean-end"},
		{"nobody saw when it left", Asked{Local: with(drained(0), func(l *Local) { l.CleanFrom = time.Time{} }), Store: true}, Wait, "unclean-end"},
		{"nobody knows how long the others keep hints", Asked{Local: with(drained(0), func(l *Local) { l.HintWindow = 0 }), Store: true}, Wait, "unclean-end"},
		{"an open incident beats a clean drain", Asked{Local: drained(time.Hour), Incident: "inc", Store: true}, Wait, "incident-open"},
		{"also when only the disk knows of it, by its deadline", Asked{Local: with(drained(time.Hour), func(l *Local) { l.Deadline = noon.Add(time.Hour) }), Store: true}, Wait, "unclean-end"},
		{"or by its name", Asked{Local: with(drained(time.Hour), func(l *Local) { l.Incident = "inc" }), Store: true}, Wait, "unclean-end"},
		{"the store's fence beats the copy on disk", Asked{Local: Local{Fence: plain}, Standing: asleep}, Hibernate, "fenced"},
		{"what never served has nothing to lose", Asked{Incident: "inc"}, Normal, "first-start"},
		{"a memory that was lost is no first start while an incident is open", Asked{Incident: "inc", Store: true}, Wait, "incident-open"},
		{"nobody answers: the ring lost its power", Asked{Local: Local{EverServed: true}, Incident: "inc", Peers: 2}, Normal, "cold-start"},
		{"nobody answers this host, and the leader knows better: an incident is open and the store speaks",
			Asked{Local: Local{EverServed: true}, Incident: "inc", Peers: 2, Store: true}, Wait, "incident-open"},
		{"without peers to ask, none is known to be down", Asked{Local: Local{EverServed: true}, Store: true}, Wait, "unclean-end"},
		{"an open incident says how to start, later", Asked{Local: Local{EverServed: true}, Incident: "inc", Peers: 2, PeersAnswering: 1, Store: true}, Wait, "incident-open"},
		{"the store is silent: nobody knows what stands", Asked{Local: Local{EverServed: true}, Peers: 2, PeersAnswering: 2}, Wait, "store"},
		{"an unclean end waits for the leader's word", Asked{Local: Local{EverServed: true}, Peers: 2, PeersAnswering: 2, Store: true}, Wait, "unclean-end"},
		{"observing, an unclean end starts", Asked{Local: Local{EverServed: true}, Observe: true, Peers: 2, PeersAnswering: 2, Store: true}, Normal, "mode"},
		{"observing, an open incident starts", Asked{Local: Local{EverServed: true}, Observe: true, Incident: "inc", Peers: 2, PeersAnswering: 2}, Normal, "mode"},
		{"observing undoes no fence", Asked{Local: Local{Fence: asleep}, Observe: true}, Hibernate, "fenced"},
		{"observing undoes no return", Asked{Local: Local{Returning: true}, Observe: true}, Hibernate, "returning"},
		{"observing revives no retired identity", Asked{Local: Local{Retired: true}, Observe: true}, Refuse, "retired"},
		{"observing lets no deadline pass", Asked{Local: Local{Deadline: noon.Add(-1)}, Observe: true}, Refuse, "gc-grace"},
		{"observing keeps a plain answer's own reason", Asked{Observe: true}, Normal, "first-start"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			if got := Ask(r.asked, noon); got.Start != r.start || got.Rule != r.rule || got.Why == "" {
				t.Errorf("got %+v, want %s by %s", got, r.start, r.rule)
			}
		})
	}
}

func TestObservingSaysWhatItWouldHaveSaid(t *testing.T) {
	q := Asked{Local: Local{EverServed: true}, Observe: true, Incident: "inc-1", Peers: 2, PeersAnswering: 2, Store: true}
	if got := Would(q, noon); got.Start != Wait || got.Rule != "incident-open" {
		t.Errorf("would: %+v", got)
	}
	if got := Ask(q, noon); got.Start != Normal {
		t.Errorf("says: %+v", got)
	}
}

func TestBeforeAskingNeedsNobodyOnlyWhenSomethingStands(t *testing.T) {
	if a, ok := BeforeAsking(Local{EverServed: true}, noon); ok {
		t.Errorf("nothing stands, and it answered %+v", a)
	}
	if _, ok := BeforeAsking(Local{Fence: &Fence{Levels: Clients, Start: Normal}}, noon); ok {
		t.Error("a fence that keeps clients off is no plain start")
	}
}

func TestAloneAGateTakesTheFenceOfASlowNodeForNone(t *testing.T) {
	for _, f := range []Fence{{Levels: Reads, Start: Normal}, {Start: Wait}} {
		if got := Alone(Local{EverServed: true, Fence: &f, Unasked: Refuse}, noon); got.Start != Refuse || !got.Unasked() {
			t.Errorf("%+v: %+v, want the policy's word", f, got)
		}
	}
}

func TestUnaskedNeverWaits(t *testing.T) {
	for policy, want := range map[Start]Start{StartUnknown: Normal, Normal: Normal, Wait: Normal, Refuse: Refuse, Hibernate: Hibernate} {
		if got := Unasked(policy); got.Start != want {
			t.Errorf("unasked %s starts %s, want %s", policy, got.Start, want)
		}
	}
}

func TestOnlyHibernationHasOptions(t *testing.T) {
	for _, s := range []Start{StartUnknown, Normal, Refuse, Wait} {
		if got := Options(s); got != nil {
			t.Errorf("%s has options %v", s, got)
		}
	}
	if got := Options(Hibernate); len(got) != 2 {
		t.Errorf("hibernate has options %v", got)
	}
}
