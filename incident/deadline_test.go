// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"slices"
	"strings"
	"testing"
)

// Of a node past its deadline nothing goes to others, also when somebody joined it
// to the ring and it could be compared with.
func TestNobodyIsRepairedWithANodePastItsDeadline(t *testing.T) {
	s := newStage(t)
	for _, line := range []string{
		"ring nodes=4", "gcgrace for=10m", "node n3 answer=gone cause=process_down own=no_word", "begin n3", "wait for=11m", "stand", "node n3 own=exited",
		"node n3 own=good process=p9 answer=gone cause=cql_dead", "own n3 mode=NORMAL process=p9 gen=9 severity=50 native=off", "peers n3 sight=up gen=9 severity=50",
		"node n4 answer=gone cause=process_down own=exited", "begin n4", "stand", "order n4 done process=p2 gen=7", "node n4 own=good process=p2",
		"peers n4 sight=down gen=7 severity=50",
	} {
		s.do(strings.Fields(line))
		s.settle()
	}
	if r := s.records["n3"]; r.Phase != Held || r.HeldRule != RuleGCGrace {
		t.Fatalf("n3 is %s by %q", r.Phase, r.HeldRule)
	}
	job := s.records["n4"].Return.Job
	if job == nil || len(job.Segments) == 0 {
		t.Fatal("no repair of n4 was planned")
	}
	for _, seg := range job.Segments {
		if slices.Contains(seg.Hosts, "n3") {
			t.Errorf("n4 is repaired with %v", seg.Hosts)
		}
	}
}
