// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNewRingRefusesHalfARing(t *testing.T) {
	good := Member{Name: "n1", Datacenter: "dc1", Rack: "r1", Tokens: []int64{1, 2}}
	with := func(change func(*Member)) Member {
		m := Member{Name: "n2", Datacenter: "dc1", Rack: "r2", Tokens: []int64{7}}
		change(&m)
		return m
	}
	for _, row := range []struct {
		why     string
		members []Member
		wants   []string
	}{
		{"nobody was read: nothing may be concluded", nil, []string{"no member owns a token"}},
		{"members without tokens are no ring", []Member{with(func(m *Member) { m.Tokens = nil })}, []string{"no member owns a token"}},
		{"two owners of one token: one of them is a ghost", []Member{good, with(func(m *Member) { m.Tokens = []int64{2} })}, []string{"token 2 is owned by n1 and by n2"}},
		{"a token named twice by its owner is as doubtful", []Member{with(func(m *Member) { m.Tokens = []int64{3, 3} })}, []string{"token 3 is owned by n2 and by n2"}},
		{"a name stands for one node", []Member{good, with(func(m *Member) { m.Name = "n1" })}, []string{"member n1 appears twice"}},
		{"a node without a name cannot be asked for", []Member{good, with(func(m *Member) { m.Name = "" })}, []string{"member 1 has no name"}},
		{"a node without a place would shift replicas", []Member{good, with(func(m *Member) { m.Rack = "" })}, []string{`n2 has datacenter "dc1" and rack ""`}},
		{"all faults come at once", []Member{good, with(func(m *Member) { m.Datacenter, m.Tokens = "", []int64{1} })}, []string{`datacenter ""`, "token 1"}},
	} {
		t.Run(row.why, func(t *testing.T) {
			_, err := NewRing(row.members)
			if err == nil {
				t.Fatal("the ring was accepted")
			}
			for _, want := range row.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestRingKeepsNothingOfItsCaller(t *testing.T) {
	given := membersOf(3, 3, 2)
	r, err := NewRing(given)
	if err != nil {
		t.Fatal(err)
	}
	before := r.Ranges()
	given[0].Tokens[0] = 42
	r.Members()[1].Tokens[0] = 43
	if !slices.Equal(r.Ranges(), before) || r.Members()[0].Tokens[0] == 42 || r.Members()[1].Tokens[0] == 43 {
		t.Fatal("a change of the caller's slice reached the ring")
	}
}

func TestRangeContains(t *testing.T) {
	for _, row := range []struct {
		why   string
		piece TokenRange
		token int64
		want  bool
	}{
		{"the start belongs to the range before", TokenRange{1, 5}, 1, false},
		{"the end belongs to it", TokenRange{1, 5}, 5, true},
		{"around the ring: behind the start", TokenRange{5, 1}, math.MaxInt64, true},
		{"around the ring: up to the end", TokenRange{5, 1}, 1, true},
		{"around the ring: the start is still outside", TokenRange{5, 1}, 5, false},
		{"around the ring: what lies between is outside", TokenRange{5, 1}, 3, false},
		{"equal ends are the whole ring, the end too", TokenRange{5, 5}, 5, true},
		{"equal ends are the whole ring, all else too", TokenRange{5, 5}, -5, true},
		{"an end at the smallest token takes what is behind the start", TokenRange{5, math.MinInt64}, math.MaxInt64, true},
	} {
		t.Run(row.why, func(t *testing.T) {
			if got := row.piece.Contains(row.token); got != row.want {
				t.Fatalf("%v contains %d: %v", row.piece, row.token, got)
			}
		})
	}
}

func TestRangeIsWrittenAsRepairReadsIt(t *testing.T) {
	if got := (TokenRange{7, -9223372036854775808}).String(); got != "7:-9223372036854775808" {
		t.Fatalf("got %s", got)
	}
}

func TestRangesAreTheWholeRingOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, err := NewRing(anyRing(t))
		if err != nil {
			t.Fatal(err)
		}
		ranges := r.Ranges()
		if !slices.IsSortedFunc(ranges, func(a, b TokenRange) int { return int(min(1, max(-1, float64(a.End)-float64(b.End)))) }) {
			t.Fatalf("ranges are not sorted by their end: %v", ranges)
		}
		token := rapid.OneOf(rapid.Int64(), rapid.SampledFrom(ends(ranges))).Draw(t, "token")
		holders := 0
		for i, piece := range ranges {
			if piece.Contains(token) {
				holders++
				if r.indexOf(token) != i {
					t.Fatalf("token %d lies in %v, the ring says range %d", token, piece, r.indexOf(token))
				}
			}
		}
		if holders != 1 {
			t.Fatalf("token %d lies in %d ranges of %v", token, holders, ranges)
		}
	})
}

func ends(ranges []TokenRange) []int64 {
	var out []int64
	for _, piece := range ranges {
		out = append(out, piece.End)
	}
	return out
}

func TestNamedKeyspaces(t *testing.T) {
	for _, row := range []struct {
		why, keyspace                  string
		never, own, exempt, acceptable bool
	}{
		{"a node's own book-keeping stays on the node", "system", true, false, false, false},
		{"the schema is spread by gossip", "system_schema", true, false, false, false},
		{"virtual tables have no data", "system_views", true, false, false, false},
		{"who may log in counts, unless a policy accepts the risk", "system_auth", false, true, false, true},
		{"the history of repairs bars nothing", "system_distributed", false, true, true, false},
		{"traces bar nothing", "system_traces", false, true, true, false},
		{"data of the user is never exempt", "orders", false, false, false, false},
		{"a name that only looks like Cassandra's is the user's", "system_of_orders", false, false, false, false},
	} {
		t.Run(row.why, func(t *testing.T) {
			if got := NeverReplicated(row.keyspace); got != row.never {
				t.Errorf("NeverReplicated(%s) is %v", row.keyspace, got)
			}
			if got := OfCassandra(row.keyspace); got != row.own {
				t.Errorf("OfCassandra(%s) is %v", row.keyspace, got)
			}
			if got := Exempt(row.keyspace); got != row.exempt {
				t.Errorf("Exempt(%s) is %v", row.keyspace, got)
			}
			if got := Acceptable(row.keyspace); got != row.acceptable {
				t.Errorf("Acceptable(%s) is %v", row.keyspace, got)
			}
		})
	}
}
