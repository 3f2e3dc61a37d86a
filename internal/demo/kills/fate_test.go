// SPDX-License-Identifier: Apache-2.0

package kills

import (
	"slices"
	"strings"
	"testing"

	"supervisor/cluster"
	"supervisor/incident"
)

func did(code, effect string) incident.Entry {
	return incident.Entry{Kind: incident.Did, Code: code, Effect: effect}
}

func start(by ...cluster.Boot) Fate {
	return Fate{Effect: "i.4.1", Verb: incident.VerbStart, By: by, Ends: []incident.Outcome{incident.Done}}
}

// Each row breaks one thing that an incident has to be; the first breaks none.
func TestWhatWasDoneTwiceIsNamed(t *testing.T) {
	sound := []incident.Entry{{Code: "decided_drain"}, did("did_start", "i.4.1")}
	for _, row := range []struct {
		name string
		s    Story
		want string
	}{
		{"a start that was ordered, done and seen once", Story{sound, []Fate{start("b1")}, 1}, ""},
		{"the journal tells of one effect again", Story{append(slices.Clone(sound), did("did_start", "i.4.1")), []Fate{start("b1")}, 1}, "the journal did i.4.1 twice"},
		{"drained again by the heir", Story{append(slices.Clone(sound), sound[0]), []Fate{start("b1")}, 1}, "decided_drain 2 times"},
		{"two boots of an agent took the same order", Story{sound, []Fate{start("b1", "b2")}, 1}, "i.4.1 (start) was claimed by 2 boots"},
		{"a start that nobody ordered", Story{sound, []Fate{start("b1")}, 2}, "Cassandra started 2 times, the journal ordered 1; Cassandra started 2 times, executors did 1"},
		{"a start that was said to be done and was not", Story{sound, []Fate{start("b1")}, 0}, "Cassandra started 0 times, executors did 1"},
	} {
		if got := strings.Join(row.s.Twice(), "; "); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

// An order that is written again in the same state says nothing new; one that
// is settled, opened and settled again was done twice.
func TestFateFollowsAnOrder(t *testing.T) {
	order := func(state incident.OrderState, by cluster.Boot) incident.Order {
		return incident.Order{Effect: incident.Effect{Once: &incident.Once{Verb: incident.VerbKill}}, State: state, By: by, Outcome: incident.Done}
	}
	var f Fate
	for _, o := range []incident.Order{order(incident.Open, ""), order(incident.Claimed, "b1"), order(incident.Claimed, "b1"),
		order(incident.Settled, "b1"), order(incident.Settled, "b1")} {
		f.note(o)
	}
	if f.Verb != incident.VerbKill || len(f.By) != 1 || len(f.Ends) != 1 || !f.did() {
		t.Errorf("%+v, want one claim and one end", f)
	}
	f.note(order(incident.Claimed, "b2"))
	f.note(order(incident.Settled, "b2"))
	if len(f.By) != 2 || len(f.Ends) != 2 {
		t.Errorf("%+v, want a second claim and a second end", f)
	}
}
