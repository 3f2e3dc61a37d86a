// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"slices"
	"testing"

	"supervisor/cluster"
)

// ended is a verdict after the end of a process: its own agent and two others
// meet what is given.
func ended(own, cql, storage Outcome) Verdict {
	x := Verdict{Node: "n1", Answer: Gone, Ballots: []Ballot{{Observer: "n1", Own: true, Vote: For,
		Cites: []Report{look("n1", "n1", Process, own, start), look("n1", "n1", CQL, cql, start), look("n1", "n1", Storage, storage, start)}}}}
	for _, n := range []cluster.Name{"n2", "n3"} {
		x.Ballots = append(x.Ballots, Ballot{Observer: n, Vote: For, Cites: []Report{look(n, "n1", CQL, cql, start), look(n, "n1", Storage, storage, start)}})
	}
	return x
}

func TestWhoIsRefusedProvesAnEnd(t *testing.T) {
	both := []cluster.Name{"n2", "n3"}
	for _, row := range []struct {
		why   string
		x     Verdict
		spoil func(*Verdict)
		want  []cluster.Name
	}{
		{"nobody listens there any more; its own agent's looks are no second path", ended(Exited, Refused, Refused), nil, both},
		{"it hangs", ended(Good, Silent, Good), nil, nil},
		{"it lives behind a closed port", ended(Good, Refused, Good), nil, nil},
		{"the storage port was not looked at", ended(Exited, Refused, NoWord), nil, nil},
		{"its host is silent", ended(Exited, Silent, Silent), nil, nil},
		{"who is unwell proves nothing", ended(Exited, Refused, Refused), func(x *Verdict) { x.Ballots[1].Unwell = true }, []cluster.Name{"n3"}},
		{"nor who bears a name twice", ended(Exited, Refused, Refused), func(x *Verdict) { x.Ballots[2].Duplicate = true }, []cluster.Name{"n2"}},
		{"nor who was not heard", ended(Exited, Refused, Refused), func(x *Verdict) { x.Ballots[1].Vote, x.Ballots[2].Vote = Unheard, Unheard }, nil},
	} {
		t.Run(row.why, func(t *testing.T) {
			if row.spoil != nil {
				row.spoil(&row.x)
			}
			if got := RefusedTo(row.x); !slices.Equal(got, row.want) {
				t.Errorf("refused to %v, want %v", got, row.want)
			}
		})
	}
}

func TestWhoHasAnAnswer(t *testing.T) {
	x := ended(Good, Silent, Good)
	if who := Answering(x); who != nil {
		t.Errorf("%v answer for a process that hangs", who)
	}
	x.Ballots[0].Cites = append(x.Ballots[0].Cites, look("n1", "n1", Admin, Late, start))
	if who := Answering(x); !slices.Equal(who, []cluster.Name{"n1"}) {
		t.Errorf("its admin interface answers, however slowly: %v", who)
	}
	x = ended(Good, Silent, Good)
	x.Ballots[2].Cites[0].Outcome = Good
	if who := Answering(x); !slices.Equal(who, []cluster.Name{"n3"}) {
		t.Errorf("n3 has a CQL answer: %v", who)
	}
	x.Ballots[2].Duplicate = true
	if who := Answering(x); who != nil {
		t.Errorf("of two agents with one name neither is believed: %v", who)
	}
}
