// SPDX-License-Identifier: Apache-2.0

package sim

import "slices"

// Shrink looks for a shorter schedule that breaks the same invariant, by
// leaving out ever smaller parts of it, in at most tries runs. It returns the
// shortest one found and how it ended.
func Shrink(o Options, broke Report, tries int) ([]Stroke, Report) {
	best := slices.DeleteFunc(slices.Clone(broke.Strokes), func(s Stroke) bool { return s.At > broke.Played })
	last := broke
	breaks := func(strokes []Stroke) bool {
		o.Strokes, o.Trace = strokes, nil
		if len(strokes) == 0 {
			o.Strokes = []Stroke{}
		}
		r, err := Run(o)
		if err != nil || r.Invariant != broke.Invariant {
			return false
		}
		last = r
		return true
	}
	for part := max(1, len(best)/2); ; part /= 2 {
		for i := 0; i < len(best) && tries > 0; {
			shorter := slices.Delete(slices.Clone(best), i, min(i+part, len(best)))
			tries--
			if breaks(shorter) {
				best = shorter
			} else {
				i += part
			}
		}
		if part <= 1 || tries <= 0 {
			return best, last
		}
	}
}
