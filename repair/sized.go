// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"math/bits"
	"slices"

	"supervisor/cluster"
)

// splitMax bounds the pieces of one range: a size that is told wrong must not
// make a plan without end.
const splitMax = 1024

// sizing is how much data a node's ranges of one keyspace are believed to hold,
// as if it were spread evenly over them. The zero value knows nothing.
type sizing struct {
	known bool
	share float64 // bytes for each token
}

// sized weighs a keyspace by what the node has of the tables that are repaired.
func (p *planner) sized(ks cluster.Keyspace, placed []cluster.Placed) sizing {
	if p.Sizes == nil || p.SegmentBytes <= 0 {
		return sizing{}
	}
	bytes, tokens := int64(0), float64(0)
	for table, size := range p.Sizes[ks.Name] { // order: a sum
		if names := p.Tables[ks.Name]; (len(names) == 0 || slices.Contains(names, table)) && !p.Apart.nothing(ks.Name, table) {
			bytes += max(0, size)
		}
	}
	for _, r := range placed {
		tokens += float64(width(r.Range))
	}
	if tokens == 0 {
		return sizing{}
	}
	return sizing{known: true, share: float64(bytes) / tokens}
}

// width is how many tokens a range has, one that wraps around included; the
// whole ring has none.
func width(r cluster.TokenRange) uint64 { return uint64(r.End) - uint64(r.Start) }

// cut divides ranges of equal replicas into what one command compares. By their
// sizes each gets about SegmentBytes: a large range is split, and small ones are
// joined, since a command costs the same for one and for many. Without a size it
// is so many ranges each.
func (p *planner) cut(ranges []cluster.TokenRange, s sizing) [][]cluster.TokenRange {
	if !s.known {
		return slices.Collect(slices.Chunk(ranges, p.RangesPerSegment))
	}
	most := max(p.RangesPerSegment, p.RangesJoined)
	var out [][]cluster.TokenRange
	room := 0.0
	for _, r := range ranges {
		bytes := s.share * float64(width(r))
		pieces := split(r, bytes/float64(p.SegmentBytes))
		for _, piece := range pieces {
			bytes := s.share * float64(width(piece))
			if n := len(out); n == 0 || bytes > room || len(out[n-1]) >= most {
				out, room = append(out, nil), float64(p.SegmentBytes)
			}
			out[len(out)-1] = append(out[len(out)-1], piece)
			room -= bytes
		}
	}
	return out
}

// split divides a range into pieces of equal width, so many as it is times too
// large. A piece may wrap around the ring as its range does.
func split(r cluster.TokenRange, times float64) []cluster.TokenRange {
	if times <= 1 {
		return []cluster.TokenRange{r}
	}
	n := uint64(splitMax)
	if times < splitMax {
		n = uint64(times)
		if float64(n) < times {
			n++
		}
	}
	n = min(n, width(r))
	if n <= 1 {
		return []cluster.TokenRange{r}
	}
	out := make([]cluster.TokenRange, n)
	start := r.Start
	for i := range n {
		hi, lo := bits.Mul64(width(r), i+1)
		along, _ := bits.Div64(hi, lo, n)
		end := int64(uint64(r.Start) + along)
		out[i] = cluster.TokenRange{Start: start, End: end}
		start = end
	}
	return out
}
