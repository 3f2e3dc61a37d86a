// SPDX-License-Identifier: Apache-2.0

package apitest

import (
	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/residency"
)

// Audited is the healthy cluster with a node of another region in its ring: orders may
// stand in one of the two and has replicas in both, and one agent does not tell what
// its Cassandra keeps.
func Audited() api.Snapshot {
	s := Healthy()
	p := Policy()
	p.Regions["us-east"] = []cluster.Datacenter{"dc2"}
	p.Residency = residency.Policy{Rules: []residency.Rule{{Keyspaces: []string{"orders", "audit"}, Regions: []cluster.Region{"eu-central"}}}}
	s.World.Policy = p
	ring := schema()
	ring.Members = append(ring.Members, cluster.Member{Name: "b1", HostID: "b1", Address: "10.0.4.11", Datacenter: "dc2", Rack: "a", Tokens: []int64{5000}})
	ring.Keyspaces[0].Replication.Factors = map[cluster.Datacenter]int{"dc1": 3, "dc2": 1}
	only := cluster.Replication{Strategy: cluster.NetworkTopology, Factors: map[cluster.Datacenter]int{"dc1": 3}}
	for _, ks := range []string{"audit", "scratch"} {
		ring.Keyspaces = append(ring.Keyspaces, cluster.Keyspace{Name: ks, Replication: only, Tables: []cluster.Table{{Name: "t", GCGrace: 240 * 3600e9}}})
	}
	s.World.Schema = ring
	told := func() *residency.Told { return &residency.Told{Version: p.Version, Read: residency.Parts()} }
	for _, n := range []cluster.Name{"n1", "n2"} {
		a := s.World.Agents[n]
		a.Residency = told()
		s.World.Agents[n] = a
	}
	far := told()
	far.Stored, far.Clients = map[string]int64{"orders": 128 << 30}, []string{"audit"}
	s.World.Abroad = map[cluster.Name]incident.Foreign{"b1": {Region: "us-east", Told: true, Heard: true, Agent: incident.Agent{Residency: far}}}
	s.Findings = incident.Diagnose(s.World)
	return s
}
