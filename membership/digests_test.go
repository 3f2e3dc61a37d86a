// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"cmp"
	"slices"

	"supervisor/cluster"
)

// judge is Judge for reports in any order, whoever sent them.
func judge(prev View, fresh []Report, t Topology, b Bars, now cluster.Moment) View {
	return Judge(prev, digests(fresh), t, b, now)
}

// digests parts reports by the digest that brought them, the oldest arrival
// first, so that the same reports in another order give the same view.
func digests(reports []Report) (parts [][]Report) {
	reports = slices.Clone(reports)
	slices.SortFunc(reports, func(a, b Report) int { return compareReports(&a, &b) })
	for len(reports) > 0 {
		n := 1
		for n < len(reports) && compareDigests(&reports[0], &reports[n]) == 0 {
			n++
		}
		parts, reports = append(parts, reports[:n:n]), reports[n:]
	}
	return parts
}

// compareReports puts the looks of one digest side by side, in the order in
// which they are kept.
func compareReports(a, b *Report) int {
	if c := compareDigests(a, b); c != 0 {
		return c
	}
	if c := compareLooks(a, b); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Misses, b.Misses), cmp.Compare(a.Held, b.Held))
}

// compareDigests is 0 for reports that came together.
func compareDigests(a, b *Report) int {
	if c := cmp.Compare(a.arrived(), b.arrived()); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Observer, b.Observer); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Boot, b.Boot), cmp.Compare(a.Process, b.Process), compareBools(a.Unwell, b.Unwell))
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
