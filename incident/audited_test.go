// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"strings"
	"testing"

	"supervisor/cluster"
	"supervisor/membership"
	"supervisor/residency"
)

// twoRegions is n1 in dc1 (eu), of our roster, and b1 in dc2 (us), of another region's;
// orders may stand in eu alone and has replicas as given.
func twoRegions(factors map[cluster.Datacenter]int) World {
	p := DefaultPolicy()
	p.Version = 7
	p.Regions = map[cluster.Region][]cluster.Datacenter{"eu": {"dc1"}, "us": {"dc2"}}
	p.Residency = residency.Policy{Rules: []residency.Rule{{Keyspaces: []string{"orders"}, Regions: []cluster.Region{"eu"}}}}
	hosts := []cluster.Host{{Name: "n1", HostID: "id-n1", Region: "eu", Datacenter: "dc1"}}
	said := Agent{Residency: &residency.Told{Version: 7, Read: residency.Parts()}}
	return World{Policy: &p, Hosts: map[cluster.Name]cluster.Host{"n1": hosts[0]}, Topology: membership.NewTopology(hosts),
		Agents: map[cluster.Name]Agent{"n1": said}, Abroad: map[cluster.Name]Foreign{"b1": {Region: "us", Told: true, Heard: true, Agent: said}},
		Schema: &cluster.Schema{Members: []cluster.Member{{Name: "b1", HostID: "id-b1", Datacenter: "dc2"}, {Name: "n1", HostID: "id-n1", Datacenter: "dc1"}},
			Keyspaces: []cluster.Keyspace{{Name: "orders", Replication: cluster.Replication{Strategy: cluster.NetworkTopology, Factors: factors}}}}}
}

func TestWhatThePolicyForbidsIsAStandingFinding(t *testing.T) {
	for _, row := range []struct {
		why    string
		change func(*World)
		code   string
		says   string
	}{
		{"nothing is wrong", func(*World) {}, "", ""},
		{"replicas in a region that is not permitted", func(w *World) { w.Schema.Keyspaces[0].Replication.Factors["dc2"] = 1 },
			residency.WideReplication, "orders has replicas in dc2 (region us), where the policy forbids it; permitted: eu"},
		{"also while its agent is silent: the schema says it", func(w *World) {
			w.Schema.Keyspaces[0].Replication.Factors["dc2"] = 1
			w.Abroad["b1"] = Foreign{}
		}, residency.WideReplication, "orders has replicas in dc2"},
		{"a datacenter that appears later", func(w *World) {
			w.Schema.Members = append(w.Schema.Members, cluster.Member{Name: "c1", Datacenter: "dc3"})
		}, residency.DatacenterUnmapped, "no region of the policy names datacenter dc3"},
		{"data that was left, by the word of an agent of another region", func(w *World) {
			w.Abroad["b1"].Agent.Residency.Stored = map[string]int64{"orders": 4096}
		}, residency.DataLeft, "data of orders stands on b1 (region us)"},
		{"the word of an agent that is not heard now is none", func(w *World) {
			w.Abroad["b1"].Agent.Residency.Stored = map[string]int64{"orders": 4096}
			w.Abroad["b1"] = Foreign{Region: "us", Agent: w.Abroad["b1"].Agent}
		}, "", ""},
		{"nobody has read the ring", func(w *World) {
			w.Schema.Keyspaces[0].Replication.Factors["dc2"] = 1
			w.Schema = nil
		}, "", ""},
		{"there is no policy to compare with", func(w *World) {
			w.Schema.Keyspaces[0].Replication.Factors["dc2"] = 1
			w.Policy = nil
		}, "", ""},
	} {
		w := twoRegions(map[cluster.Datacenter]int{"dc1": 1})
		row.change(&w)
		var got []Finding
		for _, f := range Diagnose(w) {
			if f.Code == residency.WideReplication || f.Code == residency.DataLeft || f.Code == residency.DatacenterUnmapped {
				got = append(got, f)
			}
		}
		if row.code == "" && len(got) > 0 || row.code != "" && (len(got) != 1 || got[0].Code != row.code || !strings.Contains(got[0].Sentence, row.says)) {
			t.Errorf("%s: got %+v", row.why, got)
		}
	}
}

func TestFactsOfBothRegions(t *testing.T) {
	f := ResidencyFacts(twoRegions(nil))
	if len(f.Nodes) != 2 || f.Version != 7 {
		t.Fatalf("got %+v", f)
	}
	b1, n1 := f.Nodes[0], f.Nodes[1]
	if b1.Name != "b1" || b1.Roster != "us" || !b1.Heard || b1.Told == nil || n1.Roster != "eu" || !n1.Member || n1.Told == nil {
		t.Errorf("got %+v", f.Nodes)
	}
	if unread := residency.Unread(f); len(unread) != 0 {
		t.Errorf("not read: %+v", unread)
	}
}
