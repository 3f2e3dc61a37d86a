// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// faultsWanted and pairsWanted are how often a long run must strike each fault,
// and each pair of faults within a minute.
const (
	faultsWanted = 200
	pairsWanted  = 10
)

// coverage is how often each of some things happened, and was to happen. What
// never happened is in names and not in counts.
type coverage struct {
	names  []string
	counts map[string]int
	wanted int
}

// enough counts those that happened as often as was wanted.
func (c coverage) enough() int {
	k := 0
	for _, name := range c.names {
		if c.counts[name] >= c.wanted {
			k++
		}
	}
	return k
}

// rarest lists the names, the rarest first.
func (c coverage) rarest() []string {
	return slices.SortedStableFunc(slices.Values(c.names), func(a, b string) int { return cmp.Compare(c.counts[a], c.counts[b]) })
}

// rarestMax is how many are named of what happened too seldom.
const rarestMax = 5

// String says how many happened often enough, and names the rarest.
func (c coverage) String() string {
	happened := 0
	var few []string
	for _, name := range c.rarest() {
		if c.counts[name] > 0 {
			happened++
		}
		if len(few) < rarestMax {
			few = append(few, fmt.Sprintf("%s %d", name, c.counts[name]))
		}
	}
	return fmt.Sprintf("%d struck, %d of them %d times and more, which a long run wants of all; the rarest: %s", happened, c.enough(), c.wanted, strings.Join(few, ", "))
}

// print lists all, the rarest first.
func (c coverage) print(out io.Writer) {
	for _, name := range c.rarest() {
		fmt.Fprintf(out, "%8d  %s\n", c.counts[name], name)
	}
}
