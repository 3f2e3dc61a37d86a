// SPDX-License-Identifier: Apache-2.0

package loadbalancer

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

// poolOf builds a pool from words such as "n1:ready n2:drain n3:10".
func poolOf(t testing.TB, words string) Pool {
	t.Helper()
	p := Pool{Name: "cql", Wants: map[cluster.Name]Wish{}}
	for _, word := range strings.Fields(words) {
		name, state, _ := strings.Cut(word, ":")
		p.Wants[cluster.Name(name)] = wishOf(t, state)
	}
	return p
}

func wishOf(t testing.TB, state string) Wish {
	t.Helper()
	switch state {
	case "ready":
		return Full
	case "10":
		return Wish{Ready, 10}
	case "drain":
		return Wish{Want: Drain}
	case "maint":
		return Wish{Want: Maint}
	case "unknown":
		return Wish{}
	}
	t.Fatalf("no wish is spelled %q", state)
	return Wish{}
}

// among answers for the names in the list and for nobody else.
func among(names string) func(cluster.Name) bool {
	return func(n cluster.Name) bool { return slices.Contains(strings.Fields(names), string(n)) }
}

// signs are those of members: who is in the list answers, of those with a
// question mark nobody knows, and all others are silent.
func signs(list string) func(cluster.Name) Sign {
	return func(n cluster.Name) Sign {
		switch {
		case among(list)(n):
			return Answers
		case among(list)(n + "?"):
			return Unsure
		}
		return Silent
	}
}

func names(list string) []cluster.Name {
	var out []cluster.Name
	for _, n := range strings.Fields(list) {
		out = append(out, cluster.Name(n))
	}
	return out
}

func TestFloorIsHalfRoundedUp(t *testing.T) {
	for answering, want := range []int{1, 1, 1, 2, 2, 3, 3, 4, 4} {
		if got := Floor(answering); got != want {
			t.Errorf("Floor(%d) = %d, want %d", answering, got, want)
		}
	}
}

func TestTake(t *testing.T) {
	rows := []struct {
		why     string
		pool    string
		answers string
		nodes   string
		wish    string
		want    string // the pool afterwards; empty: refused
		left    int
		floor   int
	}{
		{"one of three leaves two, and the floor is two", "n1:ready n2:ready n3:ready", "n1 n2 n3", "n3", "drain",
			"n1:ready n2:ready n3:drain", 0, 0},
		{"a second of three that answer goes below it", "n1:ready n2:ready n3:drain", "n1 n2 n3", "n2", "drain", "", 1, 2},
		{"two at once are counted together", "n1:ready n2:ready n3:ready", "n1 n2 n3", "n2 n3", "drain", "", 1, 2},
		{"maint takes out like drain does", "n1:ready n2:ready n3:drain", "n1 n2 n3", "n2", "maint", "", 1, 2},
		{"the dead one of three leaves two", "n1:ready n2:ready n3:ready", "n1 n2", "n3", "drain",
			"n1:ready n2:ready n3:drain", 0, 0},
		{"the dead do not raise the floor: of two that answer one may go", "n1:ready n2:ready n3:drain", "n1 n2", "n2", "drain",
			"n1:ready n2:drain n3:drain", 0, 0},
		{"a dead one is let go although the pool is below its floor already", "n1:ready n2:drain n3:drain n4:ready", "n1 n2 n3", "n4", "drain",
			"n1:ready n2:drain n3:drain n4:drain", 0, 0},
		{"a dead one in company of a living one gets no such grace", "n1:ready n2:ready n3:drain n4:ready", "n1 n2 n3", "n2 n4", "drain", "", 1, 2},
		{"of whom nobody knows, he counts where the floor is measured", "n1:ready n2:ready n3:ready n4:ready n5:ready", "n1 n2 n3 n4? n5?", "n3", "drain",
			"", 2, 3},
		{"and is not taken out as if he were dead", "n1:ready n2:ready n3:ready n4:drain", "n1 n2? n3? n4", "n3", "drain", "", 1, 2},
		{"he keeps no dead one in", "n1:ready n2:ready n3:ready", "n1 n2?", "n3", "drain", "n1:ready n2:ready n3:drain", 0, 0},
		{"nor is he the last one that is left", "n1:ready n2:ready", "n1?", "n2", "drain", "", 0, 1},
		{"nobody answers: more likely we are blind", "n1:ready n2:ready", "", "n1", "drain", "", 0, 1},
		{"the last ready one stays, dead or not", "n1:ready n2:drain", "n2", "n1", "drain", "", 0, 1},
		{"the only member is never taken out", "n1:ready", "n1", "n1", "drain", "", 0, 1},
		{"what changes nothing is not refused, so an order may be repeated", "n1:drain n2:ready", "", "n1", "drain",
			"n1:drain n2:ready", 0, 0},
		{"a member on its ramp counts as ready", "n1:10 n2:ready n3:ready", "n1 n2 n3", "n3", "drain", "n1:10 n2:ready n3:drain", 0, 0},
		{"a damaged wish does not count as ready", "n1:unknown n2:ready n3:ready", "n1 n2 n3", "n3", "drain", "", 1, 2},
		{"giving back asks for no floor", "n1:drain n2:drain", "", "n1", "10", "n1:10 n2:drain", 0, 0},
		{"the next step of the ramp", "n1:10 n2:ready", "n1 n2", "n1", "ready", "n1:ready n2:ready", 0, 0},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			before := poolOf(t, r.pool)
			got, err := Take(before, names(r.nodes), wishOf(t, r.wish), signs(r.answers))
			if !maps.Equal(before.Wants, poolOf(t, r.pool).Wants) {
				t.Fatalf("the pool it was given became %v", before)
			}
			if r.want != "" {
				if err != nil || !maps.Equal(got.Wants, poolOf(t, r.want).Wants) || got.Name != "cql" {
					t.Fatalf("got %v, %v", got, err)
				}
				return
			}
			var no Refusal
			if !errors.As(err, &no) || no.Rule != PoolFloor || no.Left != r.left || no.Floor != r.floor {
				t.Fatalf("got %v, %#v; want a refusal with %d left, floor %d", got, err, r.left, r.floor)
			}
			if !slices.Equal(no.Nodes, names(r.nodes)) || got.Wants != nil {
				t.Errorf("the refusal names %v, and gave back %v", no.Nodes, got)
			}
		})
	}
}

func TestTakeTurnsAwayWrongRequests(t *testing.T) {
	whole := "n1:ready n2:ready"
	rows := []struct {
		why, pool, nodes string
		wish             Wish
		says             string
		refusal          bool
	}{
		{"an empty wanted set is an error, not an order", "", "n1", Wish{Want: Drain}, "wanted set is empty", true},
		{"an empty set cannot be filled from here either", "", "n1", Full, "wanted set is empty", true},
		{"a node nobody declared", whole, "n9", Wish{Want: Drain}, "n9 is no member; members: [n1 n2]", false},
		{"nobody named is not everybody", whole, "", Wish{Want: Drain}, "no node named", false},
		{"a forgotten wish", whole, "n1", Wish{}, "orders nothing", false},
		{"a wish of a later version", whole, "n1", Wish{Want: 7}, "orders nothing", false},
		{"no clients at all is not ready", whole, "n1", Wish{Ready, 0}, "not in 1..100", false},
		{"more than normal", whole, "n1", Wish{Ready, 101}, "not in 1..100", false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			_, err := Take(poolOf(t, r.pool), names(r.nodes), r.wish, signs("n1 n2"))
			if err == nil || !strings.Contains(err.Error(), r.says) {
				t.Fatalf("got %v, want %q in it", err, r.says)
			}
			if _, is := errors.AsType[Refusal](err); is != r.refusal {
				t.Errorf("is it a refusal of a rule: %v, want %v", is, r.refusal)
			}
		})
	}
}

func TestRefusalTellsHowFar(t *testing.T) {
	_, err := Take(poolOf(t, "n1:ready n2:ready n3:ready"), names("n2 n3"), Wish{Want: Drain}, signs("n1 n2 n3"))
	want := "refused by pool-floor: taking [n2 n3] from pool cql: 3 members answer, 1 left, floor 2"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestPoolIsWrittenTheSameEveryTime(t *testing.T) {
	want := `{"name":"cql","wants":{"n1":{"want":"ready","weight":100},"n2":{"want":"drain"},"n3":{"want":"ready","weight":10}}}`
	for range 20 {
		got, err := json.Marshal(poolOf(t, "n3:10 n1:ready n2:drain"))
		if err != nil || string(got) != want {
			t.Fatalf("got %s, %v", got, err)
		}
	}
	var back Pool
	if err := json.Unmarshal([]byte(want), &back); err != nil || !maps.Equal(back.Wants, poolOf(t, "n3:10 n1:ready n2:drain").Wants) {
		t.Errorf("read back as %v, %v", back, err)
	}
}

// TestNoSequenceOfTakesEmptiesAPool takes and gives back at random while
// members come and go. A drain never goes below the floor of its moment unless
// it lowers nothing, and whatever happens somebody stays ready.
func TestNoSequenceOfTakesEmptiesAPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Pool{Name: "cql", Wants: map[cluster.Name]Wish{}}
		for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(names("n1 n2 n3 n4 n5 n6 n7")), 1, 7, rapid.ID).Draw(t, "members") {
			p.Wants[n] = Full
		}
		members := p.Members()
		wish := rapid.SampledFrom([]Wish{{Want: Drain}, {Want: Drain}, {Want: Maint}, {Ready, 10}, Full})
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			live := rapid.SliceOfDistinct(rapid.SampledFrom(members), rapid.ID).Draw(t, "answering")
			nodes := rapid.SliceOfN(rapid.SampledFrom(members), 1, 3).Draw(t, "nodes")
			w := wish.Draw(t, "wish")
			after, err := Take(p, nodes, w, func(n cluster.Name) Sign {
				if slices.Contains(live, n) {
					return Answers
				}
				return Silent
			})
			if err == nil {
				checkStep(t, p, after, live)
				p = after
			} else if _, is := errors.AsType[Refusal](err); !is || w.Want == Ready {
				t.Fatalf("take %v %v: %v", nodes, w, err)
			}
			if readyIn(p, members) == 0 {
				t.Fatalf("the pool is empty: %v", p)
			}
		}
	})
}

func checkStep(t *rapid.T, before, after Pool, live []cluster.Name) {
	if !slices.Equal(before.Members(), after.Members()) {
		t.Fatalf("members became %v", after.Members())
	}
	if readyIn(after, live) < readyIn(before, live) && readyIn(after, live) < (len(live)+1)/2 {
		t.Fatalf("%d of %d answering members left ready: %v", readyIn(after, live), len(live), after)
	}
	if readyIn(after, after.Members()) < readyIn(before, before.Members()) && readyIn(after, live) == 0 {
		t.Fatalf("something was taken out and nobody that answers is left: %v", after)
	}
}

func readyIn(p Pool, among []cluster.Name) int {
	n := 0
	for _, m := range among {
		if p.Wants[m].Want == Ready {
			n++
		}
	}
	return n
}
