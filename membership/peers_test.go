// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"testing"

	"supervisor/cluster"
)

// A cluster is dark for an agent only when each peer it watches had the time to be
// silent: then none of several answers, and not none of none.
func TestPeersThatAnswerAreCounted(t *testing.T) {
	cql := func(n cluster.Name, o Outcome, misses int) Look {
		return Look{Subject: n, Path: CQL, Outcome: o, Misses: misses}
	}
	const bar = 3
	watched := []cluster.Name{"n1", "n2", "n3"} // n1 asks
	rows := []struct {
		why              string
		looks            []Look
		answering, peers int
	}{
		{"it has just begun and looked at nobody", nil, 0, 0},
		{"it has looked at one of them only", []Look{cql("n2", Silent, bar)}, 0, 0},
		{"one of them was silent a moment too short", []Look{cql("n2", Silent, bar), cql("n3", Silent, bar-1)}, 0, 0},
		{"all were silent for as long as is wanted", []Look{cql("n2", Silent, bar), cql("n3", Silent, bar)}, 0, 2},
		{"a refusal needs no time", []Look{cql("n2", Refused, 1), cql("n3", Silent, bar)}, 0, 2},
		{"one answers, and of the other nobody need be sure", []Look{cql("n2", Good, 1)}, 1, 2},
		{"a late answer is one", []Look{cql("n2", Silent, bar), cql("n3", Late, 1)}, 1, 2},
		{"its own node is no peer", []Look{cql("n1", Good, 9), cql("n2", Silent, bar), cql("n3", Silent, bar)}, 0, 2},
		{"other ways to look say nothing about clients", []Look{{Subject: "n2", Path: Storage, Outcome: Good}, cql("n2", Silent, bar), cql("n3", Silent, bar)}, 0, 2},
		{"one that it watches no more answers all the same", []Look{cql("n9", Good, 1), cql("n2", Silent, bar), cql("n3", Silent, bar)}, 1, 2},
	}
	for _, r := range rows {
		if answering, peers := PeersAnswering("n1", r.looks, watched, bar); answering != r.answering || peers != r.peers {
			t.Errorf("%s: %d of %d, want %d of %d", r.why, answering, peers, r.answering, r.peers)
		}
	}
	if answering, peers := PeersAnswering("n1", nil, nil, bar); answering != 0 || peers != 0 {
		t.Errorf("without a roster there is nobody to ask: %d of %d", answering, peers)
	}
}
