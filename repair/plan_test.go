// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"supervisor/cluster"
	"supervisor/residency"
)

const (
	eu cluster.Region = "eu"
	us cluster.Region = "us"
)

// regionOf says where the datacenters of these tests lie.
var regionOf = map[cluster.Datacenter]cluster.Region{"east": eu, "north": eu, "west": us}

// ringOf reads "e1 east a 10 40, w1 west a 20".
func ringOf(s string) []cluster.Member {
	var out []cluster.Member
	for line := range strings.SplitSeq(s, ",") {
		fields := strings.Fields(line)
		m := cluster.Member{Name: cluster.Name(fields[0]), Datacenter: cluster.Datacenter(fields[1]), Rack: cluster.Rack(fields[2])}
		for _, token := range fields[3:] {
			var n int64
			if _, err := fmt.Sscan(token, &n); err != nil {
				panic(err)
			}
			m.Tokens = append(m.Tokens, n)
		}
		out = append(out, m)
	}
	return out
}

const (
	three       = "e1 east a 10 40, e2 east b 20 50, e3 east c 30 60"
	four        = "e1 east a 10, e2 east a 20, e3 east a 30, e4 east a 40"
	threeAndTwo = "e1 east a 10, w1 west a 20, e2 east b 30, w2 west b 40, e3 east c 50"
)

// keyspace reads "orders east=3 west=2", "orders simple=3", "orders local".
func keyspace(s string) cluster.Keyspace {
	fields := strings.Fields(s)
	ks := cluster.Keyspace{Name: fields[0], Replication: cluster.Replication{Strategy: cluster.NetworkTopology, Factors: map[cluster.Datacenter]int{}}}
	for _, option := range fields[1:] {
		key, value, _ := strings.Cut(option, "=")
		rf := 0
		fmt.Sscan(value, &rf)
		switch key {
		case "simple":
			ks.Replication = cluster.Replication{Strategy: cluster.Simple, Factor: rf}
		case "local":
			ks.Replication = cluster.Replication{Strategy: cluster.Local}
		case "everywhere":
			ks.Replication = cluster.Replication{Strategy: cluster.Everywhere}
		case "strange":
			ks.Replication = cluster.Replication{}
		default:
			ks.Replication.Factors[cluster.Datacenter(key)] = rf
		}
	}
	return ks
}

func input(ring, node string, keyspaces ...string) PlanInput {
	in := PlanInput{
		Schema:           cluster.Schema{Members: ringOf(ring)},
		Node:             cluster.Name(node),
		Live:             func(cluster.Name) bool { return true },
		Regions:          map[cluster.Name]cluster.Region{},
		Residency:        residency.Open([]cluster.Region{eu, us}),
		RangesPerSegment: 100,
	}
	for _, s := range keyspaces {
		in.Schema.Keyspaces = append(in.Schema.Keyspaces, keyspace(s))
	}
	for _, m := range in.Schema.Members {
		in.Regions[m.Name] = regionOf[m.Datacenter]
	}
	return in
}

func (in PlanInput) without(down ...cluster.Name) PlanInput {
	in.Live = func(n cluster.Name) bool { return !slices.Contains(down, n) }
	return in
}

func (in PlanInput) with(change func(*PlanInput)) PlanInput {
	change(&in)
	return in
}

// told writes a plan one line a segment or refusal.
func told(j Job, refused []Refused) string {
	var b strings.Builder
	for _, s := range j.Segments {
		fmt.Fprintf(&b, "%s %v%v by %s\n", s.Keyspace, s.Ranges, s.Tables, strings.ReplaceAll(spelled(s.Hosts), ", ", " "))
	}
	for _, r := range refused {
		fmt.Fprintf(&b, "%s %v %s: %s\n", r.Keyspace, r.Ranges, r.Rule, r.Why)
	}
	return b.String()
}

func TestPlan(t *testing.T) {
	onlyEU := residency.Policy{Rules: []residency.Rule{{Keyspaces: []string{"*"}, Regions: []cluster.Region{eu}}}}
	for _, row := range []struct {
		why  string
		in   PlanInput
		want string
	}{
		{"all replicas are equal: one segment, the node coordinates",
			input(three, "e2", "orders east=3"),
			"orders [60:10 10:20 20:30 30:40 40:50 50:60][] by e2 e1 e3\n"},
		{"only ranges that the node holds, one group for each replica set",
			input(four, "e3", "orders east=2").without(),
			"orders [10:20][] by e3 e2\norders [20:30][] by e3 e4\n"},
		{"a dead replica is left out while a quorum remains",
			input(three, "e2", "orders east=3").without("e1"),
			"orders [60:10 10:20 20:30 30:40 40:50 50:60][] by e2 e3\n"},
		{"below a quorum an acknowledged write may stand on none of the hosts",
			input(four, "e1", "orders east=4").without("e2", "e3"),
			"orders [40:10 10:20 20:30 30:40] repair-quorum: 2 of its replicas in east can be compared (e1, e4), want 3\n"},
		{"of two replicas both are needed",
			input(four, "e1", "orders east=2").without("e2"),
			"orders [30:40][] by e1 e4\norders [40:10] repair-quorum: none of its 1 other replicas can be compared with\n"},
		{"the node counts though its peers take it for dead",
			input(three, "e2", "orders east=3").without("e1", "e2"),
			"orders [60:10 10:20 20:30 30:40 40:50 50:60][] by e2 e3\n"},
		{"who lacks writes itself is compared with, and does not count",
			input(four, "e1", "orders east=4").without("e2").with(func(in *PlanInput) { in.Lacks = func(n cluster.Name) bool { return n == "e3" } }),
			"orders [40:10 10:20 20:30 30:40] repair-quorum: 2 of its replicas in east can be compared (e1, e4), want 3; lacking writes themselves: e3\n"},
		{"a quorum without it is enough",
			input(three, "e1", "orders east=3").with(func(in *PlanInput) { in.Lacks = func(n cluster.Name) bool { return n == "e3" } }),
			"orders [60:10 10:20 20:30 30:40 40:50 50:60][] by e1 e2 e3\n"},
		{"nobody else could supply what it lacks: the third is away",
			input(three, "e1", "orders east=3").without("e2").with(func(in *PlanInput) { in.Lacks = func(n cluster.Name) bool { return n == "e3" } }),
			"orders [60:10 10:20 20:30 30:40 40:50 50:60] repair-quorum: none of its 2 other replicas can be compared with; lacking writes themselves: e3\n"},
		{"when all take part there is nobody else who could have it",
			input(three, "e1", "orders east=3").with(func(in *PlanInput) { in.Lacks = func(cluster.Name) bool { return true } }),
			"orders [60:10 10:20 20:30 30:40 40:50 50:60][] by e1 e2 e3\n"},
		{"one copy: nothing to compare",
			input(three, "e2", "orders east=1", "system_auth simple=1"), ""},
		{"what never leaves its node is not repaired, even when asked for",
			input(three, "e2", "system local", "system_schema local", "mine local", "system_views simple=3").with(func(in *PlanInput) { in.Keyspaces = []string{"system", "mine"} }), ""},
		{"Cassandra's own replicated keyspaces are, all in the order of names",
			input(four, "e1", "system_traces simple=2", "orders east=2", "system_auth east=4").with(func(in *PlanInput) { in.RangesPerSegment = 2 }),
			"orders [40:10][] by e1 e2\norders [30:40][] by e1 e4\nsystem_auth [40:10 10:20][] by e1 e2 e3 e4\nsystem_auth [20:30 30:40][] by e1 e2 e3 e4\nsystem_traces [40:10][] by e1 e2\nsystem_traces [30:40][] by e1 e4\n"},
		{"only the keyspaces and tables that are asked for",
			input(three, "e1", "carts east=3", "orders east=3").with(func(in *PlanInput) {
				in.Keyspaces, in.Tables = []string{"orders"}, map[string][]string{"orders": {"items", "lines"}}
			}),
			"orders [60:10 10:20 20:30 30:40 40:50 50:60][items lines] by e1 e2 e3\n"},
		{"both datacenters take part, each with its quorum",
			input(threeAndTwo, "e1", "orders east=3 west=2").without("e3"),
			"orders [50:10 10:20 20:30 30:40 40:50][] by e1 e2 w1 w2\n"},
		{"clients at QUORUM need a majority over all datacenters",
			input(threeAndTwo, "e1", "orders east=3 west=2").without("e3", "w1", "w2"),
			"orders [50:10 10:20 20:30 30:40 40:50] repair-quorum: 2 of its replicas can be compared (e1, e2), want 3\n"},
		{"clients of one datacenter do not",
			input(threeAndTwo, "e1", "orders east=3 west=2").without("e3", "w1", "w2").with(func(in *PlanInput) { in.Local = []string{"orders"} }),
			"orders [50:10 10:20 20:30 30:40 40:50][] by e1 e2\n"},
		{"a majority elsewhere is no quorum at home",
			input(threeAndTwo, "w1", "orders east=3 west=2").without("w2"),
			"orders [50:10 10:20 20:30 30:40 40:50] repair-quorum: 1 of its replicas in west can be compared (w1, e1, e2, e3), want 2\n"},
		{"a simple strategy counts over the ring",
			input(threeAndTwo, "e1", "orders simple=5").without("e2", "w1", "w2"),
			"orders [50:10 10:20 20:30 30:40 40:50] repair-quorum: 2 of its replicas can be compared (e1, e3), want 3\n"},
		{"and goes on to, whatever was declared: its replicas know no datacenter",
			input(threeAndTwo, "e1", "orders simple=5").without("e2", "w1", "w2").with(func(in *PlanInput) { in.Local = []string{"orders"} }),
			"orders [50:10 10:20 20:30 30:40 40:50] repair-quorum: 2 of its replicas can be compared (e1, e3), want 3\n"},
		{"a node in a forbidden region repairs nothing of the keyspace",
			input(threeAndTwo, "w1", "orders east=3 west=2").with(func(in *PlanInput) { in.Residency = onlyEU }),
			"orders [50:10 10:20 20:30 30:40 40:50] no-border-crossing: data of keyspace \"orders\" may not stand in region \"us\": the rule for \"*\" does not list the region\n"},
		{"a replica in a forbidden region is no peer",
			input(threeAndTwo, "e1", "orders east=3 west=2").with(func(in *PlanInput) { in.Residency = onlyEU }),
			"orders [50:10 10:20 20:30 30:40 40:50][] by e1 e2 e3\n"},
		{"when only the border stands before a quorum, the border is the reason",
			input(threeAndTwo, "e1", "orders east=1 west=2").with(func(in *PlanInput) { in.Residency = onlyEU }),
			"orders [50:10] no-border-crossing: none of its 2 other replicas can be compared with; not permitted: w1, w2\n"},
		{"a keyspace that no rule names waits for a rule, Cassandra's own does not",
			input(three, "e1", "orders east=3", "system_auth east=3").with(func(in *PlanInput) { in.Residency = residency.Policy{} }),
			"system_auth [60:10 10:20 20:30 30:40 40:50 50:60][] by e1 e2 e3\norders [60:10 10:20 20:30 30:40 40:50 50:60] no-border-crossing: data of keyspace \"orders\" may not stand in region \"eu\": no rule of the policy names the keyspace\n"},
		{"a peer whose region nobody knows is no peer",
			input(three, "e1", "orders east=3").with(func(in *PlanInput) { delete(in.Regions, "e3") }),
			"orders [60:10 10:20 20:30 30:40 40:50 50:60][] by e1 e2\n"},
		{"replicas that cannot be computed are no quorum",
			input(four, "e1", "orders strange"),
			"orders [40:10 10:20 20:30 30:40] repair-quorum: its replicas are not known: place replicas by strategy 0: not one we know\n"},
		{"three replicas asked for and one node: no quorum, not nothing to do",
			input("e1 east a 10", "e1", "orders east=3"),
			"orders [10:10] repair-quorum: none of its 0 other replicas can be compared with\n"},
		{"everywhere on a single node has nothing to compare",
			input("e1 east a 10", "e1", "orders everywhere"), ""},
	} {
		t.Run(row.why, func(t *testing.T) {
			job, refused, err := Plan(row.in)
			if got := told(job, refused); err != nil || got != row.want {
				t.Fatalf("got\n%swant\n%serror %v", got, row.want, err)
			}
		})
	}
}

func TestPlanRefusesInputItCannotRead(t *testing.T) {
	for _, row := range []struct {
		why  string
		in   PlanInput
		want string
	}{
		{"a stranger", input(three, "n9", "orders east=3"), "it is not a member of the ring"},
		{"a keyspace nobody has", input(three, "e1", "orders east=3").with(func(in *PlanInput) { in.Keyspaces = []string{"order"} }), "keyspace order is not in the schema"},
		{"segments of nothing", input(three, "e1", "orders east=3").with(func(in *PlanInput) { in.RangesPerSegment = 0 }), "0 ranges per segment"},
		{"a ring with two owners of a token", input(three+", e4 east a 10", "e1", "orders east=3"), "token 10 is owned by"},
	} {
		t.Run(row.why, func(t *testing.T) {
			job, refused, err := Plan(row.in)
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "plan repair of "+string(row.in.Node)) {
				t.Fatalf("error %v, want %q in it", err, row.want)
			}
			if len(job.Segments)+len(refused) > 0 {
				t.Fatalf("it planned all the same:\n%s", told(job, refused))
			}
		})
	}
}

// anyInput draws a ring over three datacenters with some nodes dead, some in
// regions nobody knows, under a policy that permits one or both regions.
func anyInput(t *rapid.T) PlanInput {
	tokens := rapid.SliceOfNDistinct(rapid.Int64Range(-1000, 1000), 2, 24, rapid.ID[int64]).Draw(t, "tokens")
	nodes := rapid.IntRange(1, 8).Draw(t, "nodes")
	in := input(three, "")
	in.Schema.Members = nil
	var dead []cluster.Name
	for i := range nodes {
		dc := cluster.Datacenter(rapid.SampledFrom([]string{"east", "west", "north"}).Draw(t, "dc"))
		m := cluster.Member{Name: cluster.Name(fmt.Sprintf("n%d", i)), Datacenter: dc, Rack: cluster.Rack(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "rack"))}
		for k := i; k < len(tokens); k += nodes {
			m.Tokens = append(m.Tokens, tokens[k])
		}
		in.Schema.Members = append(in.Schema.Members, m)
		in.Regions[m.Name] = regionOf[dc]
		if rapid.IntRange(0, 3).Draw(t, "dead") == 0 {
			dead = append(dead, m.Name)
		}
		if rapid.IntRange(0, 9).Draw(t, "lost") == 0 {
			delete(in.Regions, m.Name)
		}
	}
	in.Node = rapid.SampledFrom(in.Schema.Members).Draw(t, "node").Name
	in.RangesPerSegment = rapid.IntRange(1, 5).Draw(t, "per segment")
	rf := func(name string) int { return rapid.IntRange(0, 4).Draw(t, name) }
	for _, s := range []string{
		fmt.Sprintf("orders east=%d west=%d north=%d", rf("east"), rf("west"), rf("north")),
		fmt.Sprintf("system_auth simple=%d", rf("simple")), "config everywhere", "system local",
	} {
		in.Schema.Keyspaces = append(in.Schema.Keyspaces, keyspace(s))
	}
	in.Residency = residency.Open(rapid.SampledFrom([][]cluster.Region{{eu}, {eu, us}}).Draw(t, "permitted"))
	if rapid.Bool().Draw(t, "local") {
		in.Local = []string{"orders"}
	}
	return in.without(dead...)
}

func TestEveryRangeIsPlannedOrRefusedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		job, refused, err := Plan(in)
		if err != nil {
			t.Fatal(err)
		}
		ring, err := cluster.NewRing(in.Schema.Members)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, s := range job.Segments {
			for _, r := range s.Ranges {
				got[s.Keyspace+" "+r.String()]++
			}
		}
		for _, s := range refused {
			for _, r := range s.Ranges {
				got[s.Keyspace+" "+r.String()]++
			}
		}
		want := map[string]int{}
		for _, ks := range in.Schema.Keyspaces {
			placed, err := ring.Placement(ks.Replication)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range placed {
				if slices.Contains(p.Replicas, in.Node) && ring.Total(ks.Replication) > 1 {
					want[ks.Name+" "+p.Range.String()] = 1
				}
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("planned and refused %v, want %v\n%s", got, want, told(job, refused))
		}
	})
}

func TestHostsAreLivePermittedReplicasAndAQuorum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		job, _, err := Plan(in)
		if err != nil {
			t.Fatal(err)
		}
		ring, err := cluster.NewRing(in.Schema.Members)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range job.Segments {
			k := slices.IndexFunc(in.Schema.Keyspaces, func(ks cluster.Keyspace) bool { return ks.Name == s.Keyspace })
			rep := in.Schema.Keyspaces[k].Replication
			need := cluster.Quorum(ring.Total(rep))
			if slices.Contains(in.Local, s.Keyspace) {
				need = 2
			}
			if s.Hosts[0] != in.Node || len(s.Hosts) < need || len(s.Hosts) < 2 || len(s.Ranges) > in.RangesPerSegment {
				t.Fatalf("segment %+v, quorum %d, %d ranges at most", s, need, in.RangesPerSegment)
			}
			for i, n := range s.Hosts {
				if i > 0 && !in.Live(n) || in.Residency.Admit([]string{s.Keyspace}, in.Regions[n]) != nil {
					t.Fatalf("%s is host of %+v", n, s)
				}
				for _, r := range s.Ranges {
					of, err := ring.ReplicasOf(rep, r.End)
					if err != nil || !slices.Contains(of, n) {
						t.Fatalf("%s is asked for %v, whose replicas are %v, %v", n, r, of, err)
					}
				}
			}
		}
	})
}

func TestPlanDoesNotDependOnTheOrderOfItsInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		first, firstRefused, err := Plan(in)
		if err != nil {
			t.Fatal(err)
		}
		in.Schema.Members, in.Schema.Keyspaces = slices.Clone(in.Schema.Members), slices.Clone(in.Schema.Keyspaces)
		seed := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		seed.Shuffle(len(in.Schema.Members), func(i, j int) {
			in.Schema.Members[i], in.Schema.Members[j] = in.Schema.Members[j], in.Schema.Members[i]
		})
		slices.Reverse(in.Schema.Keyspaces)
		second, secondRefused, err := Plan(in)
		if err != nil || told(first, firstRefused) != told(second, secondRefused) {
			t.Fatalf("first\n%ssecond\n%serror %v", told(first, firstRefused), told(second, secondRefused), err)
		}
	})
}
