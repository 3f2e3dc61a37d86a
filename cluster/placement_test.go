// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// oracle is one ring of testdata/placement.txt: what Cassandra's own classes
// answered. testdata/Placement.java says how the file is made again.
type oracle struct {
	name      string
	members   []Member
	keyspaces []Replication
	keys      []oracleKey
}

type oracleKey struct {
	key      []byte
	token    int64
	replicas []string // per keyspace, joined by commas
}

func readOracles(t *testing.T) []oracle {
	t.Helper()
	f, err := os.Open("testdata/placement.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []oracle
	for lines := bufio.NewScanner(f); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		if word == "ring" {
			out = append(out, oracle{name: rest})
			continue
		}
		o, fields := &out[len(out)-1], strings.Fields(rest)
		switch word {
		case "member":
			m := Member{Name: Name(fields[0]), Datacenter: Datacenter(fields[1]), Rack: Rack(fields[2])}
			for _, token := range fields[3:] {
				m.Tokens = append(m.Tokens, number(t, token))
			}
			o.members = append(o.members, m)
		case "keyspace":
			o.keyspaces = append(o.keyspaces, replication(t, rest))
		case "key":
			key, err := hex.DecodeString(fields[0])
			if err != nil {
				t.Fatal(err)
			}
			o.keys = append(o.keys, oracleKey{key, number(t, fields[1]), fields[2:]})
		default:
			t.Fatalf("placement.txt has a line that begins with %q", word)
		}
	}
	return out
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// replication reads "dc1=3,dc2=2" or "simple=3".
func replication(t *testing.T, s string) Replication {
	t.Helper()
	rep := Replication{Strategy: NetworkTopology, Factors: map[Datacenter]int{}}
	for option := range strings.SplitSeq(s, ",") {
		dc, rf, _ := strings.Cut(option, "=")
		if dc == "simple" {
			return Replication{Strategy: Simple, Factor: int(number(t, rf))}
		}
		rep.Factors[Datacenter(dc)] = int(number(t, rf))
	}
	return rep
}

func joined(names []Name) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ",")
}

func TestReplicasAreThoseOfCassandra(t *testing.T) {
	asked := 0
	for _, o := range readOracles(t) {
		t.Run(o.name, func(t *testing.T) {
			r, err := NewRing(o.members)
			if err != nil {
				t.Fatal(err)
			}
			for k, rep := range o.keyspaces {
				for _, key := range o.keys {
					asked++
					got, err := r.ReplicasOf(rep, Murmur3Token(key.key))
					if err != nil || joined(got) != key.replicas[k] {
						t.Fatalf("key %x in %v: got %v, %v, Cassandra says %s", key.key, rep, got, err, key.replicas[k])
					}
				}
			}
		})
	}
	if asked < 3000 {
		t.Fatalf("only %d answers of Cassandra were compared", asked)
	}
}

func TestTokensAreThoseOfCassandra(t *testing.T) {
	lengths := map[int]bool{}
	for _, o := range readOracles(t) {
		for _, key := range o.keys {
			lengths[len(key.key)] = true
			if got := Murmur3Token(key.key); got != key.token {
				t.Fatalf("token of %x is %d, Cassandra says %d", key.key, got, key.token)
			}
		}
	}
	for n := 1; n <= 40; n++ {
		if !lengths[n] {
			t.Errorf("no key of %d bytes was compared: each tail is a path of its own", n)
		}
	}
}

func TestTokenOfKnownKeys(t *testing.T) {
	for _, row := range []struct {
		why  string
		key  string
		want int64
	}{
		{"the empty key stands at the ring's beginning", "", -9223372036854775808},
		{"a word that many drivers test with", "hello", -3758069500696749310},
		{"a tail byte above 127 counts as negative", "\xff", -4442228696663692417},
	} {
		t.Run(row.why, func(t *testing.T) {
			if got := Murmur3Token([]byte(row.key)); got != row.want {
				t.Fatalf("token of %q is %d, want %d", row.key, got, row.want)
			}
		})
	}
}

func TestStrategiesWithoutAWalk(t *testing.T) {
	r := ringOf(t, 3, 1, 4)
	for _, row := range []struct {
		why      string
		rep      Replication
		replicas int
		placed   int
		fails    bool
	}{
		{"everything everywhere: all nodes hold each range", Replication{Strategy: Everywhere}, 3, 12, false},
		{"local data is placed nowhere", Replication{Strategy: Local}, 0, 0, false},
		{"a strategy nobody taught us is not guessed", Replication{}, 0, 0, true},
		{"no replicas asked for, none placed", Replication{Strategy: Simple}, 0, 12, false},
		{"a factor below zero counts as none", Replication{Strategy: NetworkTopology, Factors: map[Datacenter]int{"dc1": -1}}, 0, 12, false},
	} {
		t.Run(row.why, func(t *testing.T) {
			placed, err := r.Placement(row.rep)
			if (err != nil) != row.fails || len(placed) != row.placed {
				t.Fatalf("got %d ranges and error %v", len(placed), err)
			}
			for _, p := range placed {
				if len(p.Replicas) != row.replicas {
					t.Fatalf("range %v has replicas %v, want %d", p.Range, p.Replicas, row.replicas)
				}
			}
			of, err := r.ReplicasOf(row.rep, 0)
			if (err != nil) != row.fails || len(of) != row.replicas {
				t.Fatalf("token 0 has replicas %v and error %v", of, err)
			}
		})
	}
}

func TestReplicated(t *testing.T) {
	for _, row := range []struct {
		why  string
		rep  Replication
		want bool
	}{
		{"one copy in all has nothing beside it", Replication{Strategy: NetworkTopology, Factors: map[Datacenter]int{"dc1": 1, "dc2": 0}}, false},
		{"one copy in each of two datacenters are two", Replication{Strategy: NetworkTopology, Factors: map[Datacenter]int{"dc1": 1, "dc2": 1}}, true},
		{"a simple one", Replication{Strategy: Simple, Factor: 1}, false},
		{"a simple pair", Replication{Strategy: Simple, Factor: 2}, true},
		{"local data", Replication{Strategy: Local}, false},
		{"everywhere", Replication{Strategy: Everywhere}, true},
		{"of what nobody knows there may be a second copy", Replication{}, true},
	} {
		t.Run(row.why, func(t *testing.T) {
			if got := row.rep.Replicated(); got != row.want {
				t.Fatalf("got %v", got)
			}
		})
	}
}

// ringOf makes nodes n1, n2, … of dc1 in turn over the racks, with tokens
// each, spread evenly.
func ringOf(t testing.TB, nodes, racks, tokens int) Ring {
	t.Helper()
	r, err := NewRing(membersOf(nodes, racks, tokens))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func membersOf(nodes, racks, tokens int) []Member {
	out := make([]Member, nodes)
	step := ^uint64(0) / uint64(nodes*tokens)
	for i := range out {
		out[i] = Member{Name: Name(fmt.Sprintf("n%d", i+1)), Datacenter: "dc1", Rack: Rack(fmt.Sprintf("r%d", i%racks+1))}
		for k := range tokens {
			out[i].Tokens = append(out[i].Tokens, int64(uint64(k*nodes+i)*step))
		}
	}
	return out
}

// anyRing draws up to 12 nodes in up to 3 datacenters and 4 racks, some
// without tokens.
func anyRing(t *rapid.T) []Member {
	tokens := rapid.SliceOfNDistinct(rapid.Int64(), 1, 40, rapid.ID[int64]).Draw(t, "tokens")
	nodes := rapid.IntRange(1, 12).Draw(t, "nodes")
	out := make([]Member, nodes)
	for i := range out {
		out[i] = Member{
			Name:       Name(fmt.Sprintf("n%02d", i)),
			Datacenter: Datacenter(rapid.SampledFrom([]string{"dc1", "dc2", "dc3"}).Draw(t, "dc")),
			Rack:       Rack(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "rack")),
		}
	}
	for _, token := range tokens {
		i := rapid.IntRange(0, nodes-1).Draw(t, "owner")
		out[i].Tokens = append(out[i].Tokens, token)
	}
	return out
}

func anyFactors(t *rapid.T) map[Datacenter]int {
	return map[Datacenter]int{
		"dc1": rapid.IntRange(0, 5).Draw(t, "rf1"),
		"dc2": rapid.IntRange(0, 5).Draw(t, "rf2"),
	}
}

func TestEachDatacenterGetsItsReplicas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, factors := anyRing(t), anyFactors(t)
		r, err := NewRing(members)
		if err != nil {
			t.Fatal(err)
		}
		placed, err := r.Placement(Replication{Strategy: NetworkTopology, Factors: factors})
		if err != nil || len(placed) != len(r.Ranges()) {
			t.Fatalf("%d of %d ranges placed, error %v", len(placed), len(r.Ranges()), err)
		}
		for _, p := range placed {
			for _, dc := range []Datacenter{"dc1", "dc2", "dc3"} {
				nodes, racks := standing(members, dc, nil)
				holders, holderRacks := standing(members, dc, p.Replicas)
				if holders != min(factors[dc], nodes) {
					t.Fatalf("range %v has %d replicas in %s, want min(%d, %d)", p.Range, holders, dc, factors[dc], nodes)
				}
				if holderRacks != min(holders, racks) {
					t.Fatalf("range %v stands in %d racks of %s with %d replicas and %d racks", p.Range, holderRacks, dc, holders, racks)
				}
			}
		}
	})
}

// standing counts the distinct nodes with tokens in dc and their racks, of
// those named, or of all when none are.
func standing(members []Member, dc Datacenter, of []Name) (nodes, racks int) {
	seen := map[Rack]bool{}
	for _, m := range members {
		if m.Datacenter != dc || len(m.Tokens) == 0 || of != nil && !slices.Contains(of, m.Name) {
			continue
		}
		nodes++
		seen[m.Rack] = true
	}
	return nodes, len(seen)
}

func TestNoNodeHoldsARangeTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, err := NewRing(anyRing(t))
		if err != nil {
			t.Fatal(err)
		}
		rep := rapid.SampledFrom([]Replication{
			{Strategy: NetworkTopology, Factors: anyFactors(t)},
			{Strategy: Simple, Factor: rapid.IntRange(0, 14).Draw(t, "rf")},
			{Strategy: Everywhere},
		}).Draw(t, "replication")
		placed, err := r.Placement(rep)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range placed {
			sorted := slices.Sorted(slices.Values(p.Replicas))
			if len(slices.Compact(sorted)) != len(p.Replicas) {
				t.Fatalf("range %v has replicas %v", p.Range, p.Replicas)
			}
			if of, err := r.ReplicasOf(rep, p.Range.End); err != nil || !slices.Equal(of, p.Replicas) {
				t.Fatalf("token %d: %v, %v; its range says %v", p.Range.End, of, err, p.Replicas)
			}
		}
	})
}

func BenchmarkPlacement(b *testing.B) {
	r := ringOf(b, 1000, 3, 256)
	for _, bench := range []struct {
		name string
		rep  Replication
	}{
		{"network topology", Replication{Strategy: NetworkTopology, Factors: map[Datacenter]int{"dc1": 3}}},
		{"simple", Replication{Strategy: Simple, Factor: 3}},
		{"everywhere", Replication{Strategy: Everywhere}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := r.Placement(bench.rep); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	lonely := membersOf(1000, 1, 256)
	lonely[0].Rack, lonely[1].Rack = "r2", "r3"
	uneven, err := NewRing(lonely)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("two racks of one node", func(b *testing.B) {
		for b.Loop() {
			if _, err := uneven.Placement(Replication{Strategy: NetworkTopology, Factors: map[Datacenter]int{"dc1": 3}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestAReadySchemaAnswersTheSame asks the same of a schema and of one that was
// prepared, and of one whose members were replaced after that.
func TestAReadySchemaAnswersTheSame(t *testing.T) {
	s := Schema{Keyspaces: []Keyspace{{Name: "a", Replication: Replication{Strategy: NetworkTopology, Factors: map[Datacenter]int{"dc1": 3, "dc2": 2}}},
		{Name: "b", Replication: Replication{Strategy: Simple, Factor: 3}}, {Name: "c", Replication: Replication{Strategy: Everywhere}}}}
	for i := range 12 {
		s.Members = append(s.Members, Member{Name: Name(fmt.Sprintf("n%02d", i)), Datacenter: Datacenter(fmt.Sprintf("dc%d", i%2+1)), Rack: Rack(fmt.Sprintf("r%d", i/2%3)),
			Tokens: []int64{int64(i) * 100, int64(i)*100 + 50, int64(i)*7 + 1}})
	}
	serving := func(n Name) bool { return n != "n03" && n != "n06" && n != "n09" }
	ask := func(s Schema) string {
		all, err := Margins(s, serving)
		mine, err2 := MarginsAcrossOf(s, "n04", serving)
		return fmt.Sprint(all, err, mine, err2)
	}
	ready := s.Ready()
	if got, want := ask(ready), ask(s); got != want {
		t.Errorf("a ready one says\n%s\nand else\n%s", got, want)
	}
	other := ready
	other.Members = slices.Clone(ready.Members[:6])
	bare := other
	bare.ready = nil
	if got, want := ask(other), ask(bare); got != want || got == ask(ready) {
		t.Errorf("with other members it says\n%s\nwant\n%s", got, want)
	}
	if _, err := (Schema{}).Ready().Ring(); err == nil {
		t.Error("a schema without members has a ring")
	}
}
