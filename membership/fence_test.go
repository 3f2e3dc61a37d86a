// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
)

// hostGone is a verdict that may be fenced: own agent silent, four others in
// two racks deaf for 20 s, two of their Cassandras miss the node.
func hostGone() Verdict {
	x := Verdict{Node: "n1", At: start, Answer: Gone, Cause: HostGone, For: 4, Heard: 4, Of: 5, Racks: 2,
		Ballots: []Ballot{{Observer: "n1", Rack: "a", Own: true}}}
	for i, rack := range []cluster.Rack{"a", "b", "a", "b"} {
		n := cluster.Name([]string{"n2", "n3", "n4", "n5"}[i])
		cql := look(n, "n1", CQL, Silent, start)
		cql.Misses, cql.Held = 40, 20*time.Second
		phi := look(n, "n1", Phi, Late, start)
		if i < 2 {
			phi.Outcome = Silent
		}
		x.Ballots = append(x.Ballots, Ballot{Observer: n, Rack: rack, Vote: For, Cites: []Report{cql, phi}})
	}
	return x
}

func TestFenceBarNeedsEachOfItsConditions(t *testing.T) {
	own := func(o Outcome) Ballot {
		return Ballot{Observer: "n1", Rack: "a", Own: true, Vote: Against, Cites: []Report{look("n1", "n1", Process, o, start)}}
	}
	for _, row := range []struct {
		why   string
		spoil func(*Verdict)
		after time.Duration
		want  []string
	}{
		{"everything there", func(*Verdict) {}, 0, nil},
		{"not gone", func(x *Verdict) { x.Answer = Unknown }, 0, []string{"evidence: the verdict is Unknown, needs Gone"}},
		{"announced", func(x *Verdict) { x.Cause = Planned }, 0, []string{"evidence: the stop was announced"}},
		{"CQL turned off", func(x *Verdict) { x.Cause = CQLDead }, 0,
			[]string{"evidence: the JVM lives and a person may have turned CQL off, so it is never fenced"}},
		{"two observers are too few to act", func(x *Verdict) { x.Of = 2 }, 0, []string{"evidence: 2 eligible observers, needs 3"}},
		{"a majority of those heard is not one of all", func(x *Verdict) { x.Of = 8 }, 0,
			[]string{"evidence: 4 of 8 eligible observers get no answer, needs 5"}},
		{"all in one rack though others stand elsewhere", func(x *Verdict) {
			for i := range x.Ballots {
				x.Ballots[i].Rack = "a"
			}
			x.Ballots = append(x.Ballots, Ballot{Observer: "n6", Rack: "b"})
		}, 0, []string{"evidence: observers in 1 racks say so, needs 2"}},
		{"one rack where there is no other", func(x *Verdict) {
			for i := range x.Ballots {
				x.Ballots[i].Rack = "a"
			}
		}, 0, nil},
		{"racks of two datacenters may share a name", func(x *Verdict) {
			for i := range x.Ballots {
				x.Ballots[i].Rack, x.Ballots[i].Datacenter = "a", cluster.Datacenter(x.Ballots[i].Rack)
			}
		}, 0, nil},
		{"Cassandra on one peer only misses it", func(x *Verdict) { x.Ballots[1].Cites[1].Outcome = Late }, 0,
			[]string{"evidence: its own agent is silent and Cassandra on 1 peers misses it, needs 2"}},
		{"the own agent is there and does not complain", func(x *Verdict) { x.Ballots[0] = own(Good) }, 0,
			[]string{"evidence: its own agent is heard and does not say so"}},
		{"the own agent's word needs no phi", func(x *Verdict) {
			x.Ballots[0] = own(Exited)
			x.Ballots[0].Vote = For
			x.Ballots[1].Cites[1].Outcome = Late
		}, 0, nil},
		{"one CQL answer is a veto, also from who abstains", func(x *Verdict) {
			x.Ballots = append(x.Ballots, Ballot{Observer: "n6", Rack: "b", Vote: Abstains, Cites: []Report{look("n6", "n1", CQL, Late, start)}})
		}, 0, []string{"evidence: n6 has a CQL answer"}},
		{"gossip on a majority of peers is a veto", func(x *Verdict) {
			for range 5 {
				x.Ballots = append(x.Ballots, Ballot{Observer: "x", Rack: "b", Vote: Abstains, Cites: []Report{look("x", "n1", Phi, Good, start)}})
			}
		}, 0, []string{"evidence: Cassandra on 5 of 9 peers hears it"}},
		{"but not against the own agent's word of a hang", func(x *Verdict) {
			x.Cause, x.Own = Hung, Good
			x.Ballots[0] = own(Good)
			x.Ballots[0].Vote = For
			for i := 1; i < 5; i++ {
				x.Ballots[i].Cites[1].Outcome = Good
			}
		}, 0, nil},
		{"the others missed it before it hung: its own agent has to see the hang for as long", func(x *Verdict) {
			x.Cause, x.Own = Hung, Good
			cql := look("n1", "n1", CQL, Silent, start)
			cql.Misses, cql.Held = 4, 2*time.Second
			x.Ballots[0] = own(Good)
			x.Ballots[0].Vote = For
			x.Ballots[0].Cites = append(x.Ballots[0].Cites, cql)
		}, 0, []string{"min-age: its own agent has no answer for 2s, needs 15s"}},
		{"three of five for 20 s, but the third for 14 s only", func(x *Verdict) {
			for i := 3; i < 5; i++ {
				x.Ballots[i].Cites[0].Held = 14 * time.Second
			}
		}, 0, []string{"min-age: a majority has stood for 14s, needs 15s"}},
		{"exactly 15 s is enough", func(x *Verdict) {
			for i := 3; i < 5; i++ {
				x.Ballots[i].Cites[0].Held = 15 * time.Second
			}
		}, 0, nil},
		{"a verdict nobody renewed", func(*Verdict) {}, 4 * time.Second, []string{"min-age: the verdict itself is 4s old, at most 3s"}},
	} {
		t.Run(row.why, func(t *testing.T) {
			x := hostGone()
			row.spoil(&x)
			met, missing := FenceBar(x, DefaultBars(), 15*time.Second, start.Add(row.after))
			if met != (len(row.want) == 0) || !slices.Equal(missing, row.want) {
				t.Errorf("met %v, missing %q\nwant %q", met, missing, row.want)
			}
		})
	}
}
