// SPDX-License-Identifier: Apache-2.0

package residency

import (
	"fmt"
	"slices"
	"strings"

	"supervisor/cluster"
)

// Fault is one mistake in a written policy.
type Fault struct {
	Path string `json:"path"` // where: rules[1].keyspaces[0]
	What string `json:"what"` // what stands there
	Want string `json:"want"` // what would be right
}

// String says the fault on one line.
func (f Fault) String() string { return f.Path + ": " + f.What + "; want " + f.Want }

// Validate returns all faults at once, in the order of the document. known are
// the regions that exist. A policy without rules is no fault: it refuses all.
func (p Policy) Validate(known []cluster.Region) []Fault {
	var out []Fault
	for i, r := range p.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		out = append(out, entryFaults(at+".keyspaces", r.Keyspaces)...)
		out = append(out, p.clashes(i)...)
		out = append(out, regionFaults(at+".regions", r.Regions, known)...)
	}
	return out
}

func entryFaults(at string, entries []string) []Fault {
	if len(entries) == 0 {
		return []Fault{{at, "the list is empty", "names of keyspaces, patterns with *, or * for all others"}}
	}
	var out []Fault
	for j, entry := range entries {
		if !isEntry(entry) || kindOf(entry) == exact && !isName(entry) {
			out = append(out, Fault{fmt.Sprintf("%s[%d]", at, j), fmt.Sprintf("%q is no name of a keyspace", entry),
				fmt.Sprintf("at most %d letters, digits, underscores, and * in a pattern", nameMax)})
		}
	}
	return out
}

// clashes compares the entries of rule i with all earlier ones of equal
// strength: the same entry twice, or two that fit a common name and permit
// different regions.
func (p Policy) clashes(i int) []Fault {
	var out []Fault
	for j, entry := range p.Rules[i].Keyspaces {
		at := fmt.Sprintf("rules[%d].keyspaces[%d]", i, j)
		for e := range p.earlier(i, j) {
			switch other := p.Rules[e.rule].Keyspaces[e.entry]; {
			case other == entry:
				out = append(out, Fault{at, fmt.Sprintf("%q stands in %v already", entry, e), "each entry once"})
			case kindOf(other) == kindOf(entry) && overlap(other, entry) && !sameRegions(p.Rules[e.rule].Regions, p.Rules[i].Regions):
				out = append(out, Fault{at, fmt.Sprintf("%q and %q in %v fit a common name and permit different regions", entry, other, e),
					"equal regions, or patterns that exclude each other, or the names spelled out"})
			}
		}
	}
	return out
}

// place is one entry of a policy, printed as its path.
type place struct{ rule, entry int }

func (p place) String() string { return fmt.Sprintf("rules[%d].keyspaces[%d]", p.rule, p.entry) }

// earlier yields the places before entry j of rule i.
func (p Policy) earlier(i, j int) func(yield func(place) bool) {
	return func(yield func(place) bool) {
		for rule := 0; rule <= i; rule++ {
			for entry := range p.Rules[rule].Keyspaces {
				if rule == i && entry >= j || !yield(place{rule, entry}) {
					return
				}
			}
		}
	}
}

func regionFaults(at string, regions, known []cluster.Region) []Fault {
	want := "one of: " + spelled(known)
	if len(known) == 0 {
		want = "a region of the roster, which has none yet"
	}
	if len(regions) == 0 {
		return []Fault{{at, "the list is empty", want}}
	}
	var out []Fault
	for j, region := range regions {
		place := fmt.Sprintf("%s[%d]", at, j)
		switch {
		case region == "" || !slices.Contains(known, region):
			out = append(out, Fault{place, fmt.Sprintf("region %q is not known", region), want})
		case slices.Contains(regions[:j], region):
			out = append(out, Fault{place, fmt.Sprintf("region %q is listed twice", region), "each region once"})
		}
	}
	return out
}

func spelled(regions []cluster.Region) string {
	words := make([]string, 0, len(regions))
	for _, r := range sorted(regions) {
		words = append(words, string(r))
	}
	return strings.Join(words, ", ")
}
