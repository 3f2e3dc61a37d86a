// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"fmt"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// BenchmarkJudge is one digest of a quiet region, judged alone, and judged and
// recorded.
func BenchmarkJudge(b *testing.B) {
	for _, nodes := range []int{10, 100, 1000} {
		r := newRegion(nodes)
		var digests [][]membership.Report
		var moments []cluster.Moment
		for range max(6, 600/nodes) {
			r.second(func(reports []membership.Report, now cluster.Moment) {
				digests, moments = append(digests, reports), append(moments, now)
			})
		}
		for _, recorded := range []bool{false, true} {
			b.Run(fmt.Sprintf("nodes=%d/recorded=%v", nodes, recorded), func(b *testing.B) {
				b.ReportAllocs()
				j := newJudge()
				i, shift := 0, cluster.Moment(0)
				turn := func() {
					if i == len(digests) { // the same again, later
						i, shift = 0, shift+r.now-regionBegan
					}
					fresh, now := [][]membership.Report{later(digests[i], shift)}, moments[i]+shift
					i++
					if recorded {
						j.turn(fresh, r.topology, now)
						return
					}
					before := j.view
					j.view = membership.Judge(before, fresh, r.topology, j.rules.Bars, now)
					_ = Changes(before, j.view) // the agent's log asks for them anyway
				}
				for range digests {
					turn()
				}
				for b.Loop() {
					turn()
				}
			})
		}
	}
}

// BenchmarkRecorder is what of that is the recorder's: one digest, and its part
// of the memory that a block begins with.
func BenchmarkRecorder(b *testing.B) {
	for _, nodes := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			r := newRegion(nodes)
			var views []membership.View
			var turns []Turn
			j := newJudge()
			for range max(6, 600/nodes) {
				r.second(func(reports []membership.Report, now cluster.Moment) {
					before := j.view
					fresh := [][]membership.Report{reports}
					j.view = membership.Judge(before, fresh, r.topology, j.rules.Bars, now)
					views = append(views, before)
					turns = append(turns, Turn{Now: now, Fresh: fresh, Topology: r.topology, Rules: j.rules, Changes: Changes(before, j.view)})
				})
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i = (i + 1) % len(turns) {
				j.rec.Turn(views[i], turns[i])
			}
		})
	}
}

func later(d []membership.Report, by cluster.Moment) []membership.Report {
	out := make([]membership.Report, len(d))
	for i := range d {
		out[i] = d[i]
		out[i].At += by
		out[i].Held += time.Duration(by)
	}
	return out
}
