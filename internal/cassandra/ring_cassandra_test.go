// SPDX-License-Identifier: Apache-2.0

//go:build cassandra

package cassandra

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"supervisor/cluster"
)

// The replica sets that decisions rest on must be those that Cassandra itself
// uses: a thousand keys in each way of placing replicas that this ring allows.
func TestRealReplicaSetsAreCassandras(t *testing.T) {
	nodes := realNodes(t)
	session, admin := sessionOf(t, nodes[0], Quorum), adminOf(t, nodes[0])
	dc := nodes[0].Datacenter
	for _, k := range []struct{ name, replication string }{
		{"placed_nts_1", fmt.Sprintf("{'class': 'NetworkTopologyStrategy', '%s': 1}", dc)},
		{"placed_nts_2", fmt.Sprintf("{'class': 'NetworkTopologyStrategy', '%s': 2}", dc)},
		{"placed_simple_1", "{'class': 'SimpleStrategy', 'replication_factor': 1}"},
	} {
		t.Run(k.name, func(t *testing.T) {
			keyspace(t, session, k.name, k.replication)
			comparePlacement(t, session, admin, k.name)
		})
	}
}

// keyspace makes a keyspace with one table and drops it with the test.
func keyspace(t *testing.T, s *Session, name, replication string) {
	t.Helper()
	do(t, s, fmt.Sprintf("CREATE KEYSPACE IF NOT EXISTS %s WITH replication = %s", name, replication))
	do(t, s, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.t (id text PRIMARY KEY)", name))
	t.Cleanup(func() { do(t, s, "DROP KEYSPACE "+name) })
}

func comparePlacement(t *testing.T, s *Session, admin *Admin, name string) {
	const keys = 1000
	schema, err := s.Schema(within(t, time.Minute), nil)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := cluster.NewRing(schema.Members)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(schema.Keyspaces, func(k cluster.Keyspace) bool { return k.Name == name })
	if i < 0 {
		t.Fatalf("the schema does not show %s", name)
	}
	asked := make([]string, keys)
	for n := range asked {
		asked[n] = fmt.Sprintf("key-%d", n)
	}
	answers, err := admin.NaturalEndpointsOf(within(t, time.Minute), name, "t", asked)
	if err != nil || len(answers) != keys {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	for n, key := range asked {
		ours, err := ring.ReplicasOf(schema.Keyspaces[i].Replication, cluster.Murmur3Token([]byte(key)))
		if err != nil {
			t.Fatal(err)
		}
		var theirs []cluster.Name
		for _, a := range answers[n] {
			host, _, err := net.SplitHostPort(a)
			if err != nil {
				t.Fatal(err)
			}
			theirs = append(theirs, cluster.Name(host))
		}
		if !slices.Equal(ours, theirs) {
			t.Fatalf("%s: replicas %v, Cassandra says %v", key, ours, theirs)
		}
	}
}

// The demo's hint window is 5 s, and its Paxos the default variant.
func TestRealSettings(t *testing.T) {
	got, err := adminOf(t, realNodes(t)[0]).Settings(within(t, time.Minute))
	if want := (Settings{HintWindow: 5 * time.Second}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}
