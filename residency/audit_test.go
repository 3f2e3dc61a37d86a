// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

// scene is a cluster in two regions: n1, n2 in dc1 (eu), n3 in dc2 (us).
type scene struct {
	policy Policy
	facts  Facts
}

func newScene(rules ...string) *scene {
	s := &scene{policy: policy(rules...), facts: Facts{Version: 7,
		Regions: map[cluster.Region][]cluster.Datacenter{eu: {"dc1"}, us: {"dc2"}}, Keyspaces: []cluster.Keyspace{}}}
	s.node("n1", "dc1", eu)
	s.node("n2", "dc1", eu)
	s.node("n3", "dc2", us)
	return s
}

func (s *scene) node(name cluster.Name, dc cluster.Datacenter, roster cluster.Region) {
	s.facts.Nodes = append(s.facts.Nodes, Node{Name: name, HostID: "id-" + cluster.HostID(name), Datacenter: dc, Member: true, Roster: roster, Heard: true,
		Told: &Told{Version: 7, Read: Parts()}})
}

// keyspace reads "orders dc1:2 dc2:1" and "orders simple:2".
func (s *scene) keyspace(text string) *scene {
	words := strings.Fields(text)
	ks := cluster.Keyspace{Name: words[0], Replication: cluster.Replication{Strategy: cluster.NetworkTopology, Factors: map[cluster.Datacenter]int{}},
		Tables: []cluster.Table{{Name: "events"}}}
	for _, w := range words[1:] {
		dc, n, _ := strings.Cut(w, ":")
		rf := int(n[0] - '0')
		switch dc {
		case "simple":
			ks.Replication = cluster.Replication{Strategy: cluster.Simple, Factor: rf}
		case "strange":
			ks.Replication = cluster.Replication{}
		case "local":
			ks.Replication = cluster.Replication{Strategy: cluster.Local}
		default:
			ks.Replication.Factors[cluster.Datacenter(dc)] = rf
		}
	}
	s.facts.Keyspaces = append(s.facts.Keyspaces, ks)
	return s
}

func (s *scene) told(name cluster.Name, change func(*Told)) *scene {
	for i := range s.facts.Nodes {
		if s.facts.Nodes[i].Name == name {
			change(s.facts.Nodes[i].Told)
		}
	}
	return s
}

// with changes the scene in a way that has no word.
func (s *scene) with(change func(*Facts)) *scene {
	change(&s.facts)
	return s
}

func TestAudit(t *testing.T) {
	only := func() *scene {
		return newScene("orders -> eu-central", "* -> eu-central us-east").keyspace("orders dc1:2")
	}
	for _, row := range []struct {
		why  string
		s    *scene
		want []string // "severity code where|stands"
	}{
		{"everything is where it may be", only(), nil},
		{"a keyspace that is replicated against the policy", newScene("orders -> eu-central").keyspace("orders dc1:2 dc2:1").told("n3", func(o *Told) { o.Stored = map[string]int64{"orders": 1 << 30} }),
			[]string{"forbidden RESIDENCY_WIDE_REPLICATION orders -> dc2, RF 1|at most 1 GiB on 1 of 1 node"}},
		{"nobody could say how much stands there", newScene("orders -> eu-central").keyspace("orders dc2:1").with(func(f *Facts) { f.Nodes[2].Told = nil }),
			[]string{"forbidden RESIDENCY_WIDE_REPLICATION orders -> dc2, RF 1|how much is not known, 1 node"}},
		{"SimpleStrategy knows no border", newScene("orders -> eu-central").keyspace("orders simple:2"),
			[]string{"forbidden RESIDENCY_WIDE_REPLICATION orders -> dc2, RF 2"}},
		{"a strategy that is not known may", newScene("orders -> eu-central").keyspace("orders strange:0"),
			[]string{"risk RESIDENCY_WIDE_REPLICATION orders -> dc2, by a strategy that is not known"}},
		{"a datacenter that is gone and still named would be given replicas again", newScene("orders -> eu-central").keyspace("orders dc1:2 dc9:3"),
			[]string{"risk RESIDENCY_WIDE_REPLICATION orders -> dc9, RF 3|no node of it is in the ring"}},
		{"a factor of 0 is no replica", only().keyspace("audit dc1:1 dc2:0"), nil},
		{"Cassandra's own data goes by the rule that speaks of it", newScene("* -> eu-central").keyspace("system_auth dc1:2 dc2:1"),
			[]string{"forbidden RESIDENCY_WIDE_REPLICATION system_auth -> dc2, RF 1"}},
		{"and anywhere where none does", newScene("orders -> eu-central").keyspace("system_auth dc1:2 dc2:1"), nil},
		{"what never leaves its node is not asked about", newScene().keyspace("system local:0").keyspace("scratch local:0"), nil},
		{"a keyspace that no rule names is one finding, not one for each datacenter", newScene("orders -> eu-central").keyspace("scratch dc1:2 dc2:1"),
			[]string{"risk RESIDENCY_KEYSPACE_UNNAMED scratch|replicas in dc1, dc2"}},
		{"data that an earlier replication left", only().told("n3", func(o *Told) { o.Stored = map[string]int64{"orders": 128 << 20} }),
			[]string{"forbidden RESIDENCY_DATA_LEFT orders on n3|at most 128 MiB, and no replica belongs there"}},
		{"data of a keyspace where it may be is no finding", only().told("n1", func(o *Told) { o.Stored = map[string]int64{"orders": 1 << 20} }), nil},
		{"a datacenter that appeared and that no region names", only().with(func(f *Facts) { f.Nodes = append(f.Nodes, Node{Name: "n4", Datacenter: "dc3", Member: true}) }),
			[]string{"risk RESIDENCY_DATACENTER_UNMAPPED dc3|1 node in the ring, no keyspace"}},
		{"with replicas it is forbidden", newScene("orders -> eu-central").keyspace("orders dc1:2 dc3:1").with(func(f *Facts) { f.Nodes = append(f.Nodes, Node{Name: "n4", Datacenter: "dc3", Member: true}) }),
			[]string{"forbidden RESIDENCY_DATACENTER_UNMAPPED dc3|1 node in the ring, replicas of orders"}},
		{"the roster says another region than the policy", newScene("* -> eu-central us-east").with(func(f *Facts) { f.Nodes[2].Roster = "ap" }),
			[]string{"risk RESIDENCY_REGION_DISPUTED dc2|region us-east by the policy, ap by the roster (n3)"}},
		{"and data stands there that may not be in that one", only().keyspace("audit dc2:1").with(func(f *Facts) { f.Nodes[2].Roster = "ap" }),
			[]string{"forbidden RESIDENCY_REGION_DISPUTED dc2|region us-east by the policy, ap by the roster (n3); audit may not stand in ap"}},
		{"clients of a restricted keyspace at a coordinator elsewhere", only().told("n3", func(o *Told) { o.Clients = []string{"orders"} }),
			[]string{"risk RESIDENCY_FOREIGN_HINTS orders on n3|clients are connected with it"}},
		{"all that is seen of it is one finding", only().told("n3", func(o *Told) {
			o.Clients, o.Written, o.HintsFor = []string{"orders"}, []string{"orders"}, []cluster.HostID{"id-n1"}
		}), []string{"risk RESIDENCY_FOREIGN_HINTS orders on n3|hints wait there for n1, which has replicas, it has coordinated writes since it started, clients are connected with it"}},
		{"hints for a node without replicas of it are not of it", only().told("n3", func(o *Told) { o.HintsFor = []cluster.HostID{"id-n3"} }), nil},
		{"hints in the region itself may wait", only().told("n2", func(o *Told) { o.HintsFor, o.Written = []cluster.HostID{"id-n1"}, []string{"orders"} }), nil},
		{"hints for one that left the ring", only().told("n3", func(o *Told) { o.HintsFor = []cluster.HostID{"gone"} }),
			[]string{"risk RESIDENCY_FOREIGN_HINTS orders on n3|hints wait there for gone"}},
		{"snapshots stay where replicas were", only().told("n3", func(o *Told) { o.Snapshots = []string{"orders"} }),
			[]string{"forbidden RESIDENCY_SYSTEM_COPY snapshots of orders on n3"}},
		{"traces hold values", only().told("n3", func(o *Told) { o.Traces = true }).told("n1", func(o *Told) { o.Traces = true }),
			[]string{"risk RESIDENCY_SYSTEM_COPY system_traces on n3|traced queries with their values; orders may not stand there"}},
		{"and batches rows", only().told("n3", func(o *Told) { o.Batches = true }),
			[]string{"risk RESIDENCY_SYSTEM_COPY system.batches on n3"}},
		{"with an open policy neither matters", newScene("* -> eu-central us-east").keyspace("orders dc1:1 dc2:1").told("n3", func(o *Told) { o.Traces, o.Batches = true, true }), nil},
		{"changes that somebody takes away", only().told("n1", func(o *Told) { o.CDC = []string{"orders.events"} }).told("n2", func(o *Told) { o.CDC = []string{"orders.events"} }),
			[]string{"risk RESIDENCY_CDC_SINK orders.events|changes are kept in cdc_raw on n1, n2"}},
		{"the word of an older policy is none", only().told("n3", func(o *Told) { o.Version, o.Stored = 6, map[string]int64{"orders": 1} }), nil},
		{"a part that was not read is none", only().told("n3", func(o *Told) {
			o.Read, o.Snapshots, o.Clients = []Part{PartClients}, []string{"orders"}, []string{"orders"}
		}),
			[]string{"risk RESIDENCY_FOREIGN_HINTS orders on n3|clients are connected with it"}},
		{"the gravest comes first", newScene("orders -> eu-central").keyspace("orders dc1:2 dc2:1").keyspace("a dc1:1"),
			[]string{"forbidden RESIDENCY_WIDE_REPLICATION", "risk RESIDENCY_KEYSPACE_UNNAMED a"}},
	} {
		t.Run(row.why, func(t *testing.T) {
			got := Audit(row.s.policy, row.s.facts)
			if len(got) != len(row.want) {
				t.Fatalf("got %+v, want %q", got, row.want)
			}
			for i, f := range got {
				text := fmt.Sprintf("%s %s %s|%s", f.Severity, f.Code, f.Where, f.Stands)
				if head, tail, _ := strings.Cut(row.want[i], "|"); !strings.HasPrefix(text, head) || !strings.Contains(text, "|"+tail) {
					t.Errorf("got  %s\nwant %s", text, row.want[i])
				}
				if f.WayOut == "" || f.MayStand == nil {
					t.Errorf("no way out, or null on the wire: %+v", f)
				}
			}
		})
	}
}

func TestAuditOfSomeCodes(t *testing.T) {
	s := newScene("orders -> eu-central").keyspace("orders dc1:2 dc2:1").keyspace("scratch dc1:1")
	if got := Audit(s.policy, s.facts, KeyspaceUnnamed); len(got) != 1 || got[0].Where != "scratch" {
		t.Errorf("got %+v", got)
	}
}

func TestUnread(t *testing.T) {
	for _, row := range []struct {
		why    string
		change func(*Node)
		parts  int
		says   string
	}{
		{"all is known", func(*Node) {}, 0, ""},
		{"nobody hears its agent", func(n *Node) { n.Heard, n.Told = false, nil }, len(Parts()), "not heard"},
		{"it says nothing, perhaps because it is of an older version", func(n *Node) { n.Told = nil }, len(Parts()), "has not asked"},
		{"it went by another policy", func(n *Node) { n.Told.Version = 6 }, len(Parts()), "by the policy that stands"},
		{"one part was not told", func(n *Node) { n.Told.Read = Parts()[1:] }, 1, "did not tell"},
	} {
		s := newScene("orders -> eu-central")
		row.change(&s.facts.Nodes[2])
		got := Unread(s.facts)
		if row.parts == 0 {
			if len(got) != 0 {
				t.Errorf("%s: got %+v", row.why, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Node != "n3" || len(got[0].Parts) != row.parts || !strings.Contains(got[0].Why, row.says) {
			t.Errorf("%s: got %+v", row.why, got)
		}
	}
}

func TestAsked(t *testing.T) {
	s := newScene("orders -> eu-central", "carts -> us-east", "* -> eu-central us-east").keyspace("orders dc1:1").keyspace("carts dc2:1").keyspace("open dc1:1").keyspace("system local:0").keyspace("empty dc1:1")
	s.facts.Keyspaces[4].Tables = nil
	s.policy.Rules = slices.Insert(s.policy.Rules, 0, rule("empty -> eu-central"))
	for _, row := range []struct {
		why        string
		dc         cluster.Datacenter
		roster     cluster.Region
		here, some string
	}{
		{"what may not stand here, and what not everywhere", "dc1", eu, "carts", "carts orders"},
		{"the other way round", "dc2", us, "orders", "carts orders"},
		{"where policy and roster differ, both count", "dc1", us, "carts orders", "carts orders"},
		{"a place that nobody knows permits nothing", "dc3", "", "carts open orders", "carts open orders"},
	} {
		got := Asked(s.policy, s.facts, row.dc, row.roster)
		if here, some := strings.Join(got.Here, " "), strings.Join(got.Restricted, " "); here != row.here || some != row.some || got.Version != 7 {
			t.Errorf("%s: here %q, restricted %q", row.why, here, some)
		}
	}
}

// Where a keyspace has replicas and may not, an audit says so, whatever else holds.
func TestNoForbiddenReplicaIsPassedOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newScene()
		s.policy = anyPolicy(t)
		name := rapid.SampledFrom([]string{"a", "ab", "b", "ccc", "system_auth"}).Draw(t, "keyspace")
		dc := rapid.SampledFrom([]cluster.Datacenter{"dc1", "dc2", "dc3"}).Draw(t, "datacenter")
		if dc == "dc3" {
			s.node("n4", dc, "")
		}
		s.keyspace(fmt.Sprintf("%s %s:1", name, dc))
		may := s.policy.Admit([]string{name}, s.facts.regionOf(dc)) == nil
		got := Audit(s.policy, s.facts)
		found := slices.ContainsFunc(got, func(f AuditFinding) bool {
			return f.Keyspace == name || f.Code == DatacenterUnmapped && f.Datacenter == dc
		})
		if found == may {
			t.Fatalf("%v, %s in %s: permitted %v, found %+v", s.policy, name, dc, may, got)
		}
	})
}

func TestRoundUp(t *testing.T) {
	for in, want := range map[int64]int64{1: 1, 3: 4, 1 << 20: 1 << 20, 1<<20 + 1: 1 << 21, 1<<62 + 1: 1 << 62} {
		if got := RoundUp(in); got != want {
			t.Errorf("RoundUp(%d) is %d", in, got)
		}
	}
}
