// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
)

// Describe renders a view for people who read stories: one line a node with
// its votes, the own agent's marked by a star, then what else is remarkable.
func Describe(v View) string {
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(v.Verdicts)) {
		b.WriteString(v.Verdicts[n].describe(v))
		b.WriteByte('\n')
	}
	for _, n := range slices.Sorted(maps.Keys(v.Duplicates)) {
		fmt.Fprintf(&b, "duplicate name: %s\n", n)
	}
	for _, why := range slices.Sorted(maps.Keys(v.Ignored)) {
		fmt.Fprintf(&b, "ignored: %d %s\n", v.Ignored[why], why)
	}
	return b.String()
}

func (x Verdict) describe(v View) string {
	words := []string{string(x.Node), cluster.Title(x.Answer.String())}
	if x.Cause != NoCause {
		words = append(words, cluster.Title(x.Cause.String()))
	}
	words = append(words, fmt.Sprintf("%d/%d/%d", x.For, x.Heard, x.Of))
	if x.Answer == Gone {
		words = append(words, fmt.Sprintf("racks=%d", x.Racks))
	}
	if x.Drain {
		words = append(words, "drain")
	}
	if x.Answer == Gone && x.Of < v.Bars.ObserversMin {
		words = append(words, "advice")
	}
	if x.Own != NoWord && x.Own != Good {
		words = append(words, "own="+x.Own.String())
	}
	if x.For > 0 && x.Answer != Alive {
		words = append(words, "since="+v.At.Sub(x.Since).Round(time.Millisecond).String())
	}
	if s := x.Slow; x.Cause == Slow {
		words = append(words, fmt.Sprintf("%d/%d", len(s.Says), s.Of), s.Typical.String()+"/"+s.Peers.String(), "for="+s.For.Round(time.Millisecond).String())
	}
	words = append(words, "|")
	for _, t := range x.Ballots {
		words = append(words, t.describe())
	}
	return strings.Join(words, " ")
}

func (t Ballot) describe() string {
	who := string(t.Observer)
	if t.Own {
		who += "*"
	}
	return who + "=" + t.Vote.String()
}
