// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/settings"
	"supervisor/loadbalancer"
)

func TestALayoutThatIsNotSaid(t *testing.T) {
	l, err := Options{}.lay()
	if err != nil || len(l.hosts) != 3 || l.mode != incident.Observe {
		t.Fatalf("%+v, %v", l, err)
	}
	if h := l.hosts[2]; h.name != "n3" || h.rack != "r3" || h.datacenter != "dc1" || h.address != netip.MustParseAddr("10.213.77.13") || len(h.tokens) != tokensEach {
		t.Errorf("the third host: %+v", h)
	}
	if got, want := l.replication(), "{'class': 'NetworkTopologyStrategy', 'dc1': 3}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDatacentersAndRacks(t *testing.T) {
	l, err := Options{Subnet: "10.9.0.0/24", Datacenters: []Datacenter{{Name: "a", Racks: []int{2, 1, 1}}, {Name: "b", Racks: []int{1, 1}, Region: "us"}}}.lay()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range l.hosts {
		got = append(got, string(h.name)+" "+string(h.datacenter)+"/"+string(h.rack))
	}
	if want := "n1 a/r1, n2 a/r1, n3 a/r2, n4 a/r3, n5 b/r1, n6 b/r2"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if got, want := l.replication(), "{'class': 'NetworkTopologyStrategy', 'a': 3, 'b': 2}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if p := l.policy(Region); len(p.Modes) != 2 || len(p.Regions[Region]) != 1 || len(p.Regions["us"]) != 1 {
		t.Errorf("the policy has modes %v, regions %v", p.Modes, p.Regions)
	}
}

// A region with a store of its own is led there, and read from the other one.
func TestAStoreInEachRegion(t *testing.T) {
	l, err := Options{HAProxy: true, Mode: incident.Auto, Datacenters: []Datacenter{
		{Name: "dc1", Racks: []int{1, 1, 1}}, {Name: "dc2", Racks: []int{1, 1, 1, 1}, Region: "us", Store: true}, {Name: "dc3", Racks: []int{1}, Region: "asia"}}}.lay()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[cluster.Name]struct {
		region, other cluster.Region
		members       string
		reads         string
	}{
		"n1": {Region, "us", "[n1 n2 n3]", "[https://10.213.77.14:2379 https://10.213.77.15:2379 https://10.213.77.16:2379]"},
		"n7": {"us", Region, "[n4 n5 n6]", "[https://10.213.77.11:2379 https://10.213.77.12:2379 https://10.213.77.13:2379]"},
		"n8": {Region, "us", "[n1 n2 n3]", "[https://10.213.77.14:2379 https://10.213.77.15:2379 https://10.213.77.16:2379]"},
	} {
		p := l.hosts[slices.IndexFunc(l.hosts, func(p place) bool { return p.name == name })]
		b, err := l.agent(p)
		var c settings.Agent
		if err == nil {
			err = yaml.Unmarshal(b, &c)
		}
		members := slices.Sorted(maps.Keys(c.Store.Embedded.Members))
		if err != nil || c.Region != want.region || fmt.Sprint(c.ControlAgents) != want.members || fmt.Sprint(members) != want.members ||
			len(c.Regions) != 1 || fmt.Sprint(c.Regions[want.other].Endpoints) != want.reads || c.Regions[want.other].TLS == nil {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
	for home, want := range map[cluster.Region]struct {
		hosts, modes, pools int
	}{Region: {4, 2, 1}, "us": {4, 1, 0}} {
		b, err := l.roster(home, nil)
		p := l.policy(home)
		if err != nil || strings.Count(string(b), "name: n") != want.hosts || len(p.Modes) != want.modes || len(p.Regions) != 3 || len(p.Pools) != want.pools {
			t.Errorf("%s: %v, %s, policy %v %v %v", home, err, b, p.Modes, p.Regions, p.Pools)
		}
	}
	if few, err := (Options{Datacenters: []Datacenter{{Name: "dc1", Racks: []int{3}}, {Name: "dc2", Racks: []int{2}, Region: "us", Store: true}}}).lay(); err != nil || len(few.judges("us")) != 1 {
		t.Errorf("a region of two hosts: %v, %v", few.judges("us"), err)
	}
}

func TestOptionsThatCannotBeMade(t *testing.T) {
	for why, o := range map[string]Options{
		"a public network":            {Subnet: "8.8.8.0/24"},
		"no network":                  {Subnet: "hosts"},
		"an address in a network":     {Subnet: "10.1.1.7/24"},
		"a network of one address":    {Subnet: "10.1.1.0/32"},
		"too few hosts":               {Datacenters: []Datacenter{{Name: "dc1", Racks: []int{1, 1}}}},
		"too many hosts":              {Datacenters: []Datacenter{{Name: "dc1", Racks: []int{20, 20, 20}}}},
		"a datacenter without a name": {Datacenters: []Datacenter{{Name: "", Racks: []int{1, 1, 1}}}},
		"a disk that is too small":    {Disk: 1 << 20},
		"fewer spares than none":      {Spares: -1},
		"hints for half a second":     {HintWindow: time.Second / 2},
		"a second store in a region":  {Datacenters: []Datacenter{{Name: "dc1", Racks: []int{3}}, {Name: "dc2", Racks: []int{1}, Store: true}}},
		"a store and a site's etcd":   {Etcd: true, Datacenters: []Datacenter{{Name: "dc1", Racks: []int{3}}, {Name: "dc2", Racks: []int{1}, Region: "us", Store: true}}},
		"too few hosts for a store":   {Datacenters: []Datacenter{{Name: "dc1", Racks: []int{2}}, {Name: "dc2", Racks: []int{3}, Region: "us", Store: true}}},
		"a datacenter named twice":    {Datacenters: []Datacenter{{Name: "dc1", Racks: []int{3}}, {Name: "dc1", Racks: []int{3}}}},
	} {
		if _, err := o.lay(); !errors.Is(err, errOptions) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestHostsBesideTheNodes(t *testing.T) {
	l, err := Options{Etcd: true, HAProxy: true, Spares: 4, HintWindow: time.Hour}.lay()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range l.all() {
		got = append(got, string(p.role)+" "+string(p.name)+" "+string(p.rack)+" "+p.address.String())
	}
	want := []string{"node n1 r1 10.213.77.11", "node n2 r2 10.213.77.12", "node n3 r3 10.213.77.13",
		"spare s1 r1 10.213.77.51", "spare s2 r2 10.213.77.52", "spare s3 r3 10.213.77.53", "spare s4 r1 10.213.77.54",
		"etcd e1  10.213.77.101", "etcd e2  10.213.77.102", "etcd e3  10.213.77.103", "proxy p1  10.213.77.111"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	p := l.policy(Region)
	if faults := loadbalancer.Faults(p.Pools, []cluster.Name{"n1", "n2", "n3"}); len(p.Pools) != 1 || faults != nil {
		t.Errorf("the pools %+v: %v", p.Pools, faults)
	}
	file := l.etcdFile(l.etcd[1])
	for _, want := range []string{`ETCD_NAME="e2"`, `ETCD_INITIAL_CLUSTER="e1=https://10.213.77.101:2380,e2=`, `ETCD_CLIENT_CERT_AUTH="true"`} {
		if !strings.Contains(file, want) {
			t.Errorf("the member's file lacks %s: %s", want, file)
		}
	}
	b, err := l.agent(l.hosts[0])
	if text := string(b); err != nil || strings.Contains(text, "embedded") || !strings.Contains(text, "https://10.213.77.103:2379") {
		t.Errorf("the agent's store: %s, %v", b, err)
	}
}

func TestThePolicyIsChangedBeforeItIsApplied(t *testing.T) {
	l, err := Options{Policy: func(p *incident.Policy) { p.Budgets.StartsMax = 9 }}.lay()
	if err != nil || l.policy(Region).Budgets.StartsMax != 9 {
		t.Errorf("%v, %+v", err, l.policy(Region).Budgets)
	}
}

func TestCassandrasFile(t *testing.T) {
	l, err := Options{Spares: 1, HintWindow: 3 * time.Hour}.lay()
	if err != nil {
		t.Fatal(err)
	}
	node, spare := l.cassandraFiles(l.hosts[0])["cassandra.yaml"], l.cassandraFiles(l.spares[0])["cassandra.yaml"]
	for _, want := range []string{"num_tokens: 4\n", "initial_token: \"", "auto_bootstrap: false\n", "max_hint_window: 10800s\n"} {
		if !strings.Contains(node, want) {
			t.Errorf("a node's file lacks %q: %s", want, node)
		}
	}
	if !strings.Contains(spare, "num_tokens: 4\n") || strings.Contains(spare, "initial_token") || strings.Contains(spare, "auto_bootstrap") {
		t.Errorf("a spare's file: %s", spare)
	}
	for name, text := range map[string]string{"node": node, "spare": spare} {
		var any map[string]any
		if err := yaml.Unmarshal([]byte(text), &any); err != nil {
			t.Errorf("the file of a %s: %v", name, err)
		}
	}
}

func TestFences(t *testing.T) {
	journal := []Entry{{Code: "judged"}, {Code: "decided_drain"}, {Code: "waits_fence"}, {Code: "decided_fence"}, {Code: "did_kill"}, {Code: "closed_answered"}}
	if got := Fences(journal); len(got) != 2 || got[0].Code != "decided_fence" || got[1].Code != "did_kill" {
		t.Errorf("%+v", got)
	}
}

// What a host is given is what a site writes: the program takes it.
func TestTheAgentsFileIsValid(t *testing.T) {
	l, err := Options{}.lay()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range l.hosts {
		b, err := l.agent(p)
		if err != nil {
			t.Fatal(err)
		}
		var c settings.Agent
		if err := yaml.Unmarshal(b, &c); err != nil || c.Host.Name != p.name || c.Store.TLS == nil {
			t.Errorf("%v: %s", err, b)
		}
	}
	script := l.start(l.hosts[0])
	for _, want := range []string{"host=127.0.0.1", "${JVM_EXTRA_OPTS-} '-cp'", "CassandraDaemon' >>", "echo $! >" + pidFile} {
		if !strings.Contains(script, want) {
			t.Errorf("the start of Cassandra lacks %q: %s", want, script)
		}
	}
	if strings.Contains(script, "host=10.213.77.11") {
		t.Error("the admin interface listens beyond loopback")
	}
}
