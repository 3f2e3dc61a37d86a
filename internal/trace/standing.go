// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"supervisor/cluster"
	"supervisor/membership"
)

// Standing is what a verdict says, without what it rests on. The zero Standing
// is that of a node which is not judged.
type Standing struct {
	Answer  membership.Answer  `json:"answer"`
	Cause   membership.Cause   `json:"cause"`
	Drain   bool               `json:"drain"`
	Own     membership.Outcome `json:"own"`
	For     int                `json:"for"`
	Against int                `json:"against"`
	Abstain int                `json:"abstain"`
	Of      int                `json:"of"`
	Racks   int                `json:"racks"`
}

// StandingOf is what a verdict says.
func StandingOf(x membership.Verdict) Standing {
	return Standing{Answer: x.Answer, Cause: x.Cause, Drain: x.Drain, Own: x.Own, For: x.For, Against: x.Against,
		Abstain: x.Abstain, Of: x.Of, Racks: x.Racks}
}

// Votes are those for Gone, all that count, and all who may vote, as
// membership.Describe has them, and who is heard and says nothing.
func (s Standing) Votes() string {
	votes := fmt.Sprintf("%d/%d/%d", s.For, s.For+s.Against, s.Of)
	if s.Abstain > 0 {
		votes += fmt.Sprintf(" abstain=%d", s.Abstain)
	}
	return votes
}

// String says it in one breath.
func (s Standing) String() string {
	if s == (Standing{}) {
		return "not judged"
	}
	words := cluster.Title(s.Answer.String())
	if s.Cause != membership.NoCause {
		words += " " + cluster.Title(s.Cause.String())
	}
	words += " " + s.Votes()
	if s.Answer == membership.Gone {
		words += fmt.Sprintf(" racks=%d", s.Racks)
	}
	if s.Own != membership.NoWord && s.Own != membership.Good {
		words += " own=" + s.Own.String()
	}
	if s.Drain {
		words += " drain"
	}
	return words
}

// Change is another verdict than before.
type Change struct {
	Node cluster.Name
	Standing
}

// Changes are the nodes whose verdict one turn changed, by name.
func Changes(before, after membership.View) (changes []Change) {
	if reflect.ValueOf(before.Verdicts).Pointer() == reflect.ValueOf(after.Verdicts).Pointer() {
		return nil // most turns judge nobody and keep the very map
	}
	for n, x := range after.Verdicts { // order: sorted below
		if x.At != after.At {
			continue // not judged in this turn
		}
		if now := StandingOf(x); now != StandingOf(before.Verdicts[n]) {
			changes = append(changes, Change{n, now})
		}
	}
	if !before.Topology.Same(after.Topology) {
		for n := range before.Verdicts { // order: sorted below
			if _, judged := after.Verdicts[n]; !judged {
				changes = append(changes, Change{Node: n})
			}
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Node, b.Node) })
	return changes
}
