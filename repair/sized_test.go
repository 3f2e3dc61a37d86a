// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"supervisor/cluster"
)

func TestSegmentsBySize(t *testing.T) {
	sized := func(bytes int64, change func(*PlanInput)) PlanInput {
		in := input(three, "e2", "orders east=3")
		in.RangesPerSegment, in.RangesJoined, in.SegmentBytes = 2, 4, 1000
		in.Sizes = map[string]map[string]int64{"orders": {"items": bytes}}
		if change != nil {
			change(&in)
		}
		return in
	}
	for _, row := range []struct {
		why  string
		in   PlanInput
		want string
	}{
		{"next to nothing is joined, up to a bound", sized(0, nil),
			"orders [60:10 10:20 20:30 30:40][] by e2 e1 e3\norders [40:50 50:60][] by e2 e1 e3\n"},
		{"a size nobody told: as many ranges as always", sized(0, func(in *PlanInput) { in.Sizes = nil }),
			"orders [60:10 10:20][] by e2 e1 e3\norders [20:30 30:40][] by e2 e1 e3\norders [40:50 50:60][] by e2 e1 e3\n"},
		{"nobody wants it by size", sized(math.MaxInt64, func(in *PlanInput) { in.SegmentBytes = 0 }),
			"orders [60:10 10:20][] by e2 e1 e3\norders [20:30 30:40][] by e2 e1 e3\norders [40:50 50:60][] by e2 e1 e3\n"},
		{"a range that is too large is split, also the one that wraps; small ones stay together", sized(1500, nil),
			"orders [60:-9223372036854775773][] by e2 e1 e3\norders [-9223372036854775773:10 10:20 20:30 30:40][] by e2 e1 e3\norders [40:50 50:60][] by e2 e1 e3\n"},
		{"another table is no weight", sized(1500, func(in *PlanInput) { in.Tables = map[string][]string{"orders": {"lines"}} }),
			"orders [60:10 10:20 20:30 30:40][lines] by e2 e1 e3\norders [40:50 50:60][lines] by e2 e1 e3\n"},
		{"another keyspace is none either", sized(0, func(in *PlanInput) { in.Sizes = map[string]map[string]int64{"carts": {"items": math.MaxInt64}} }),
			"orders [60:10 10:20 20:30 30:40][] by e2 e1 e3\norders [40:50 50:60][] by e2 e1 e3\n"},
	} {
		t.Run(row.why, func(t *testing.T) {
			job, refused, err := Plan(row.in)
			if got := told(job, refused); err != nil || got != row.want {
				t.Fatalf("got\n%swant\n%serror %v", got, row.want, err)
			}
		})
	}
}

// Whatever the sizes, the pieces are the ranges, and none is larger than it may be.
func TestPiecesAreTheRangesTheyWereCutFrom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &planner{PlanInput: PlanInput{RangesPerSegment: rapid.IntRange(1, 3).Draw(t, "ranges"), RangesJoined: rapid.IntRange(0, 9).Draw(t, "joined"),
			SegmentBytes: rapid.Int64Range(1, 1<<40).Draw(t, "target")}}
		tokens := rapid.SliceOfNDistinct(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-5, 5)), 2, 20, rapid.ID[int64]).Draw(t, "tokens")
		slices.Sort(tokens)
		var ranges []cluster.TokenRange
		all := 0.0
		for i, at := range tokens {
			ranges = append(ranges, cluster.TokenRange{Start: tokens[(i+len(tokens)-1)%len(tokens)], End: at})
			all += float64(width(ranges[i]))
		}
		s := sizing{known: true, share: float64(rapid.Int64Range(0, 1<<44).Draw(t, "bytes")) / all}
		largest := 0.0
		for _, r := range ranges {
			largest = max(largest, s.share*float64(width(r)))
		}
		// A piece has whole tokens, and there are no more pieces than that.
		most := 1.01*max(float64(p.SegmentBytes), largest/splitMax) + s.share
		var joined []cluster.TokenRange
		for _, segment := range p.cut(ranges, s) {
			bytes := 0.0
			for _, r := range segment {
				bytes += s.share * float64(width(r))
				if n := len(joined); n > 0 && !slices.Contains(tokens, r.Start) {
					if joined[n-1].End != r.Start {
						t.Fatalf("a piece begins at %d, the one before ends at %d", r.Start, joined[n-1].End)
					}
					joined[n-1].End = r.End
					continue
				}
				joined = append(joined, r)
			}
			if len(segment) == 0 || len(segment) > max(p.RangesPerSegment, p.RangesJoined) || bytes > most {
				t.Fatalf("a segment of %d ranges and %.0f bytes, want %d bytes: %v", len(segment), bytes, p.SegmentBytes, segment)
			}
		}
		if !slices.Equal(joined, ranges) {
			t.Fatalf("cut from %v, together %v", ranges, joined)
		}
	})
}

// large is a cluster of a thousand nodes with 256 tokens each and 400 tables in
// twenty keyspaces.
func large() PlanInput {
	const nodes, tokens, keyspaces, tables = 1000, 256, 20, 20
	r := rand.New(rand.NewPCG(1, 2))
	in := input(three, "n0500")
	in.Schema, in.RangesPerSegment, in.RangesJoined, in.SegmentBytes = cluster.Schema{}, 64, 256, 256<<20
	in.Sizes = map[string]map[string]int64{}
	for i := range nodes {
		m := cluster.Member{Name: cluster.Name(fmt.Sprintf("n%04d", i)), Datacenter: "east", Rack: cluster.Rack(fmt.Sprint("r", i%3))}
		for range tokens {
			m.Tokens = append(m.Tokens, int64(r.Uint64()))
		}
		in.Schema.Members = append(in.Schema.Members, m)
		in.Regions[m.Name] = eu
	}
	for k := range keyspaces {
		ks := keyspace(fmt.Sprintf("ks%02d east=3", k))
		in.Sizes[ks.Name] = map[string]int64{}
		for i := range tables {
			ks.Tables = append(ks.Tables, cluster.Table{Name: fmt.Sprintf("t%02d", i)})
			in.Sizes[ks.Name][ks.Tables[i].Name] = int64(k) << 30
		}
		in.Schema.Keyspaces = append(in.Schema.Keyspaces, ks)
	}
	return in
}

// A node of the largest cluster: 2 s and 200 MB are the most it may take.
func BenchmarkPlan(b *testing.B) {
	in := large()
	in.Schema = in.Schema.Ready()
	for _, row := range []struct {
		why   string
		known bool
	}{{"sized", true}, {"unsized", false}} {
		in := in
		if !row.known {
			in.Sizes = nil
		}
		b.Run(row.why, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				job, refused, err := Plan(in)
				if err != nil || len(refused) > 0 {
					b.Fatal(refused, err)
				}
				b.ReportMetric(float64(len(job.Segments)), "segments")
			}
		})
	}
	b.Run("ring-anew", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := Plan(large()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
