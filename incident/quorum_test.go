// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"
	"strings"
	"testing"

	"supervisor/cluster"
	"supervisor/isolate"
	"supervisor/membership"
)

// twoDatacenters has three nodes in each of two datacenters of one region, all
// of them alive, and one keyspace with these factors.
func twoDatacenters(factors map[cluster.Datacenter]int) World {
	var hosts []cluster.Host
	var schema cluster.Schema
	w := World{Hosts: map[cluster.Name]cluster.Host{}, View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{}}}
	for i, n := range []cluster.Name{"a1", "a2", "a3", "b1", "b2", "b3"} {
		dc := cluster.Datacenter("dc1")
		if i >= 3 {
			dc = "dc2"
		}
		hosts = append(hosts, cluster.Host{Name: n, Region: "eu", Datacenter: dc, Rack: "r"})
		schema.Members = append(schema.Members, cluster.Member{Name: n, Datacenter: dc, Rack: "r", Address: string(n), Tokens: []int64{int64(i) * 100}})
		w.View.Verdicts[n] = membership.Verdict{Node: n, Answer: membership.Alive}
	}
	schema.Keyspaces = []cluster.Keyspace{{Name: "ks", Replication: cluster.Replication{Strategy: cluster.NetworkTopology, Factors: factors}}}
	w.Schema, w.Topology = &schema, membership.NewTopology(hosts)
	return w
}

func TestQuorumFault(t *testing.T) {
	both := map[cluster.Datacenter]int{"dc1": 3, "dc2": 3}
	rows := []struct {
		why     string
		factors map[cluster.Datacenter]int
		gone    string
		unknown string
		fenced  string
		want    string // in the fault; empty: none
	}{
		{"everybody serves", both, "", "", "", ""},
		{"its datacenter keeps two of three, all together five of six", both, "b1", "", "", ""},
		{"its datacenter keeps two of three, and all together three of six", both, "b1 b2", "", "", "3 of 6 replicas, need 4"},
		{"replicas where nobody is on the roster cannot be counted", map[cluster.Datacenter]int{"dc1": 3, "far": 3}, "b1 b2", "", "", ""},
		{"a second one of its datacenter", both, "a2", "", "", "1 of 3 replicas, need 2"},
		{"one of which nobody knows is nothing to rest on", both, "", "a2", "", "1 of 3 replicas, need 2"},
		{"it may serve itself, although nobody knows", both, "a2", "a1", "", "1 of 3 replicas, need 2"},
		{"it is gone: nothing is lost", both, "a1 a2", "", "", ""},
		{"it is fenced already: nothing is lost", both, "a2", "a1", "a1", ""},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			w := twoDatacenters(r.factors)
			for n, v := range w.View.Verdicts {
				switch {
				case slices.Contains(strings.Fields(r.gone), string(n)):
					v.Answer, v.Cause = membership.Gone, membership.ProcessDown
				case slices.Contains(strings.Fields(r.unknown), string(n)):
					v.Answer = membership.Unknown
				}
				w.View.Verdicts[n] = v
			}
			w.Fences = map[cluster.Name]StandingFence{cluster.Name(r.fenced): {Fence: isolate.Fence{Levels: isolate.Reads}}}
			got := newTurn(Record{Node: "a1", Datacenter: "dc1"}, w).quorumFault()
			if (got == "") != (r.want == "") || !strings.Contains(got, r.want) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestMayRead(t *testing.T) {
	rows := []struct {
		why  string
		v    membership.Verdict
		want bool
	}{
		{"nobody knows", membership.Verdict{}, true},
		{"it answers", membership.Verdict{Answer: membership.Alive}, true},
		{"its process ended", membership.Verdict{Answer: membership.Gone, Cause: membership.ProcessDown, Own: membership.Exited, Drain: true}, false},
		{"its clients alone are shut out", membership.Verdict{Answer: membership.Gone, Cause: membership.CQLDead, Drain: true}, true},
		{"its disk failed", membership.Verdict{Answer: membership.Gone, Cause: membership.DiskFailed, Own: membership.Good}, true},
		{"its disk failed and its process ended", membership.Verdict{Answer: membership.Gone, Cause: membership.DiskFailed, Own: membership.Exited, Drain: true}, false},
		{"its disk failed and only its own agent, or a copy of it, says that it ended",
			membership.Verdict{Answer: membership.Gone, Cause: membership.DiskFailed, Own: membership.Exited}, true},
	}
	for _, r := range rows {
		w := World{View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{"n1": r.v}}}
		if got := w.mayRead("n1"); got != r.want {
			t.Errorf("%s: may read %v", r.why, got)
		}
	}
}

func TestIdle(t *testing.T) {
	answered := []membership.Ballot{{Observer: "n2", Cites: []membership.Report{{Look: membership.Look{Subject: "n1", Path: membership.CQL, Outcome: membership.Good}}}}}
	rows := []struct {
		why  string
		v    membership.Verdict
		want bool
	}{
		{"nobody knows", membership.Verdict{}, false},
		{"its own agent alone knows that its process ended", membership.Verdict{Own: membership.Exited}, true},
		{"a copy of its host says that its process ended, and a peer has an answer of it", membership.Verdict{Own: membership.Exited, Ballots: answered}, false},
		{"it answers, and its last process ended", membership.Verdict{Answer: membership.Alive, Own: membership.Exited}, false},
		{"a majority does not reach it", membership.Verdict{Answer: membership.Gone, Cause: membership.HostGone, Drain: true}, true},
		{"its disk failed, and others reach it", membership.Verdict{Answer: membership.Gone, Cause: membership.DiskFailed}, false},
		{"its disk failed, and nobody reaches it", membership.Verdict{Answer: membership.Gone, Cause: membership.DiskFailed, Drain: true}, true},
		{"its disk failed and its process ended, as its own agent says, or a copy of it, and others reach it",
			membership.Verdict{Answer: membership.Gone, Cause: membership.DiskFailed, Own: membership.Exited}, false},
	}
	for _, r := range rows {
		w := World{View: membership.View{Verdicts: map[cluster.Name]membership.Verdict{"n1": r.v}}}
		if got := w.idle("n1"); got != r.want {
			t.Errorf("%s: idle %v", r.why, got)
		}
	}
}
