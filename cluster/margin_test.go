// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func everybody(Name) bool { return true }

func allBut(down ...Name) func(Name) bool {
	return func(n Name) bool { return !slices.Contains(down, n) }
}

// threeAndTwo has three nodes in east, two in west, one token each.
func threeAndTwo(keyspaces ...Keyspace) Schema {
	return Schema{Keyspaces: keyspaces, Members: []Member{
		{Name: "e1", Datacenter: "east", Rack: "a", Tokens: []int64{10}},
		{Name: "w1", Datacenter: "west", Rack: "a", Tokens: []int64{20}},
		{Name: "e2", Datacenter: "east", Rack: "b", Tokens: []int64{30}},
		{Name: "w2", Datacenter: "west", Rack: "b", Tokens: []int64{40}},
		{Name: "e3", Datacenter: "east", Rack: "c", Tokens: []int64{50}},
	}}
}

func networkTopology(name string, factors map[Datacenter]int) Keyspace {
	return Keyspace{Name: name, Replication: Replication{Strategy: NetworkTopology, Factors: factors}}
}

func simple(name string, rf int) Keyspace {
	return Keyspace{Name: name, Replication: Replication{Strategy: Simple, Factor: rf}}
}

// told writes margins one to a line.
func told(rows []Margin) string {
	var b strings.Builder
	for _, m := range rows {
		fmt.Fprintf(&b, "%s/%s rf %d need %d have %d spare %d at %v, %d ranges\n", m.Keyspace, m.Datacenter, m.RF, m.Need, m.Have, m.Spare(), m.Range, m.RangesAtMin)
	}
	return b.String()
}

func TestMargins(t *testing.T) {
	for _, row := range []struct {
		why     string
		ks      Keyspace
		serving func(Name) bool
		want    string
	}{
		{"all serve: one of three may go",
			networkTopology("ks", map[Datacenter]int{"east": 3}), everybody,
			"ks/east rf 3 need 2 have 3 spare 1 at 50:10, 5 ranges\n"},
		{"one is down: no more may go, in any range",
			networkTopology("ks", map[Datacenter]int{"east": 3}), allBut("e2"),
			"ks/east rf 3 need 2 have 2 spare 0 at 50:10, 5 ranges\n"},
		{"each datacenter counts its own replicas",
			networkTopology("ks", map[Datacenter]int{"west": 2, "east": 3}), allBut("w1"),
			"ks/east rf 3 need 2 have 3 spare 1 at 50:10, 5 ranges\nks/west rf 2 need 2 have 1 spare -1 at 50:10, 5 ranges\n"},
		{"the worst range is the first that lacks the node",
			networkTopology("ks", map[Datacenter]int{"east": 1}), allBut("e2"),
			"ks/east rf 1 need 1 have 0 spare -1 at 10:20, 2 ranges\n"},
		{"a simple strategy is one ring over all",
			simple("ks", 3), allBut("w1"),
			"ks/ rf 3 need 2 have 2 spare 0 at 50:10, 3 ranges\n"},
		{"more replicas asked for than nodes: the quorum stays that of the setting",
			networkTopology("ks", map[Datacenter]int{"west": 4}), everybody,
			"ks/west rf 4 need 3 have 2 spare -1 at 50:10, 5 ranges\n"},
		{"replicas asked for where nobody stands",
			networkTopology("ks", map[Datacenter]int{"north": 1}), everybody,
			"ks/north rf 1 need 1 have 0 spare -1 at 50:10, 5 ranges\n"},
		{"a factor of zero asks for nothing",
			networkTopology("ks", map[Datacenter]int{"west": 0}), everybody, ""},
		{"local data has no margin",
			Keyspace{Name: "system", Replication: Replication{Strategy: Local}}, allBut("e1"), ""},
		{"everywhere: a quorum of all",
			Keyspace{Name: "ks", Replication: Replication{Strategy: Everywhere}}, allBut("e1"),
			"ks/ rf 5 need 3 have 4 spare 1 at 50:10, 5 ranges\n"},
	} {
		t.Run(row.why, func(t *testing.T) {
			got, err := Margins(threeAndTwo(row.ks), row.serving)
			if err != nil || told(got) != row.want {
				t.Fatalf("got\n%swant\n%serror %v", told(got), row.want, err)
			}
		})
	}
}

func TestMarginsOfOneNode(t *testing.T) {
	both := networkTopology("ks", map[Datacenter]int{"east": 2, "west": 1})
	for _, row := range []struct {
		why     string
		ks      Keyspace
		node    Name
		serving func(Name) bool
		want    string
	}{
		{"only its own datacenter: taking it away costs the other one nothing",
			both, "w1", everybody, "ks/west rf 1 need 1 have 1 spare 0 at 50:10, 3 ranges\n"},
		{"a hole elsewhere in the ring is not its ring",
			networkTopology("ks", map[Datacenter]int{"west": 1}), "w1", allBut("w2"), "ks/west rf 1 need 1 have 1 spare 0 at 50:10, 3 ranges\n"},
		{"where nothing of the keyspace stands on it there is no margin",
			networkTopology("ks", map[Datacenter]int{"west": 1}), "e1", everybody, ""},
		{"in a simple strategy its ranges count over the ring",
			simple("ks", 2), "e1", allBut("w1"), "ks/ rf 2 need 2 have 1 spare -1 at 50:10, 1 ranges\n"},
	} {
		t.Run(row.why, func(t *testing.T) {
			got, err := MarginsOf(threeAndTwo(row.ks), row.node, row.serving)
			if err != nil || told(got) != row.want {
				t.Fatalf("got\n%swant\n%serror %v", told(got), row.want, err)
			}
		})
	}
}

func TestMarginsAcrossDatacenters(t *testing.T) {
	s := threeAndTwo(networkTopology("ks", map[Datacenter]int{"east": 3, "west": 2}), simple("old", 1))
	got, err := MarginsAcross(s, allBut("w1", "w2"))
	want := "ks/ rf 5 need 3 have 3 spare 0 at 50:10, 5 ranges\nold/ rf 1 need 1 have 0 spare -1 at 10:20, 2 ranges\n"
	if err != nil || told(got) != want {
		t.Fatalf("got\n%swant\n%serror %v", told(got), want, err)
	}
	of, err := MarginsAcrossOf(s, "e1", allBut("w1", "w2"))
	want = "ks/ rf 5 need 3 have 3 spare 0 at 50:10, 5 ranges\nold/ rf 1 need 1 have 1 spare 0 at 50:10, 1 ranges\n"
	if err != nil || told(of) != want {
		t.Fatalf("got\n%swant\n%serror %v", told(of), want, err)
	}
}

func TestMarginsSayWhatTheyCouldNotCount(t *testing.T) {
	s := threeAndTwo(simple("b", 1), Keyspace{Name: "strange"}, simple("a", 1), Keyspace{Name: "odd", Replication: Replication{Strategy: 77}})
	got, err := Margins(s, everybody)
	if err == nil || !strings.Contains(err.Error(), "strange") || !strings.Contains(err.Error(), "odd") {
		t.Errorf("the error names not both: %v", err)
	}
	if len(got) != 2 || got[0].Keyspace != "a" || got[1].Keyspace != "b" {
		t.Errorf("the others were not counted, or not in order:\n%s", told(got))
	}
	if _, err := MarginsOf(s, "nobody", everybody); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("margins of a stranger: %v", err)
	}
	if rows, err := Margins(Schema{}, everybody); err == nil || rows != nil {
		t.Errorf("margins of no ring: %v, %v", rows, err)
	}
}

func TestMarginOnTheWire(t *testing.T) {
	raw, err := json.Marshal(Margin{Keyspace: "ks", Datacenter: "east", RF: 3, Need: 2, Have: 1, Range: TokenRange{1, 2}, RangesAtMin: 4})
	want := `{"keyspace":"ks","datacenter":"east","rf":3,"need":2,"have":1,"range":{"start":1,"end":2},"ranges_at_min":4}`
	if err != nil || string(raw) != want {
		t.Fatalf("got %s, %v", raw, err)
	}
}

func TestMarginsNeverExceedTheSetting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := anyRing(t)
		s := Schema{Members: members, Keyspaces: []Keyspace{
			networkTopology("ks", anyFactors(t)), simple("old", rapid.IntRange(1, 6).Draw(t, "rf")),
		}}
		down := rapid.SliceOfN(rapid.SampledFrom(members), 0, 4).Draw(t, "down")
		serving := func(n Name) bool { return !slices.ContainsFunc(down, func(m Member) bool { return m.Name == n }) }
		all, err := Margins(s, everybody)
		if err != nil {
			t.Fatal(err)
		}
		some, err := Margins(s, serving)
		if err != nil || len(some) != len(all) {
			t.Fatalf("%d rows with some down, %d with all, error %v", len(some), len(all), err)
		}
		for i, m := range some {
			if m.Spare() > m.RF-m.Need || m.Have > all[i].Have || m.Have < 0 || m.RangesAtMin < 1 {
				t.Fatalf("with %d down: %v; with all: %v", len(down), m, all[i])
			}
		}
	})
}

func TestTheWorstNodeIsTheMargin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := anyRing(t)
		s := Schema{Members: members, Keyspaces: []Keyspace{networkTopology("ks", map[Datacenter]int{"dc1": 3})}}
		down := rapid.SampledFrom(members).Draw(t, "down")
		all, err := Margins(s, allBut(down.Name))
		if err != nil {
			t.Fatal(err)
		}
		least := -1
		for _, m := range members {
			of, err := MarginsOf(s, m.Name, allBut(down.Name))
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range of {
				if least < 0 || row.Have < least {
					least = row.Have
				}
			}
		}
		if least >= 0 && all[0].Have != least {
			t.Fatalf("margin says %d, the worst node %d", all[0].Have, least)
		}
	})
}

func BenchmarkMargins(b *testing.B) {
	s := Schema{Members: membersOf(1000, 3, 256)}
	for i := range 20 {
		s.Keyspaces = append(s.Keyspaces, networkTopology(fmt.Sprintf("ks%d", i), map[Datacenter]int{"dc1": 3}))
	}
	for b.Loop() {
		if _, err := Margins(s, allBut("n7")); err != nil {
			b.Fatal(err)
		}
	}
}
