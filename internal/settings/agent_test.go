// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"reflect"
	"testing"

	"go.yaml.in/yaml/v3"

	"supervisor/cluster"
)

// Programs write agents' files too; what they write by these types is read
// back as it was meant.
func TestWrittenAgentFileReadsBackTheSame(t *testing.T) {
	dir := site(t)
	a := DefaultAgent()
	a.Cluster, a.Region, a.ControlAgents = "demo", "region1", []cluster.Name{"n1"}
	a.Host = Identity{Name: "n1", Datacenter: "dc1", Rack: "r1", Labels: map[string]string{"power": "a"}}
	a.Gossip = Gossip{Bind: "127.0.0.1:7946", KeyFile: dir + "/gossip.key", Seeds: []string{"127.0.0.2:7946"}, Networks: []string{"127.0.0.0/8"}}
	a.Store = Store{Endpoints: []string{"http://127.0.0.1:2379"}}
	a.Cassandra.CQL, a.Cassandra.Storage, a.Cassandra.Jolokia = "127.0.0.1:9042", "127.0.0.1:7000", "http://127.0.0.1:8778/jolokia/"
	a.Cassandra.DataDir = "/data"
	a.Cassandra.Command.Start, a.Cassandra.Command.Stop = []string{dir + "/start.sh"}, []string{dir + "/start.sh", "stop"}
	a.Cassandra.Command.PIDFile, a.Gate.OptionsFile = "/run/c.pid", "/run/gate.options"
	for _, row := range []struct {
		why      string
		embedded *Embedded
	}{
		{"without a member of the store, no block stands for it", nil},
		{"with one, its own", &Embedded{Dir: "/store", Members: map[cluster.Name]Member{"n1": {Client: "127.0.0.1:2379", Peer: "127.0.0.1:2380"}}}},
	} {
		a.Store.Embedded = row.embedded
		text, err := yaml.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseAgent("agent.yaml", text)
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%s: %v\n%+v\nwant\n%+v", row.why, err, got, a)
		}
	}
	a.Cassandra.Unit, a.Cassandra.Command, a.Gate.OptionsFile = "cassandra.service", Command{}, ""
	text, err := yaml.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseAgent("agent.yaml", text); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("one that systemd starts: %v\n%+v\nwant\n%+v", err, got, a)
	}
	if !a.IsControl() {
		t.Error("n1 is a control agent")
	}
}
