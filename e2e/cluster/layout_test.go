// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"supervisor/incident"
	"supervisor/internal/settings"
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
	l, err := Options{Subnet: "10.9.0.0/24", Datacenters: []Datacenter{{"a", []int{2, 1, 1}}, {"b", []int{1, 1}}}}.lay()
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
	if p := l.policy(); len(p.Modes) != 2 || len(p.Regions[Region]) != 2 {
		t.Errorf("the policy has modes %v, regions %v", p.Modes, p.Regions)
	}
}

func TestOptionsThatCannotBeMade(t *testing.T) {
	for why, o := range map[string]Options{
		"a public network":            {Subnet: "8.8.8.0/24"},
		"no network":                  {Subnet: "hosts"},
		"an address in a network":     {Subnet: "10.1.1.7/24"},
		"a network of one address":    {Subnet: "10.1.1.0/32"},
		"too few hosts":               {Datacenters: []Datacenter{{"dc1", []int{1, 1}}}},
		"too many hosts":              {Datacenters: []Datacenter{{"dc1", []int{20, 20, 20}}}},
		"a datacenter without a name": {Datacenters: []Datacenter{{"", []int{1, 1, 1}}}},
		"a datacenter named twice":    {Datacenters: []Datacenter{{"dc1", []int{3}}, {"dc1", []int{3}}}},
	} {
		if _, err := o.lay(); !errors.Is(err, errOptions) {
			t.Errorf("%s: %v", why, err)
		}
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
