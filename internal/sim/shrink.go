// SPDX-License-Identifier: Apache-2.0

package sim

import "slices"

// Shrink looks for a shorter schedule that breaks the same invariant, by leaving
// out ever smaller parts of it, and then single faults until none can be left out,
// as long as goOn says so, which is told before each try how many faults are left.
// It returns the shortest one found and how it ended; done is false when goOn
// ended it. When none was found that breaks by itself, the report is the given one.
func Shrink(o Options, broke Report, goOn func(left int) bool) (best []Stroke, last Report, done bool) {
	best = slices.DeleteFunc(slices.Clone(broke.Strokes), func(s Stroke) bool { return s.At > broke.Played })
	last, o.Trace = broke, nil
	if most := longer * broke.Steps; o.StepsMax == 0 || o.StepsMax > most {
		o.StepsMax = most
	}
	for part := max(1, len(best)/2); ; part = max(1, part/2) {
		before := len(best)
		for i := 0; i < len(best); {
			if !goOn(len(best)) {
				return best, last, false
			}
			shorter := slices.Delete(slices.Clone(best), i, min(i+part, len(best)))
			if r, breaks := o.breaks(shorter, broke.Invariant); breaks {
				best, last = shorter, r
			} else {
				i += part
			}
		}
		if part == 1 && len(best) == before {
			return best, last, true
		}
	}
}

// longer is how much longer than the first one a shorter schedule is played
// until it breaks anything: most break nothing, and would be played to their end.
const longer = 2

// breaks tells whether a schedule breaks that invariant.
func (o Options) breaks(strokes []Stroke, invariant string) (Report, bool) {
	o.Strokes = strokes
	r, err := Run(o)
	return r, err == nil && r.Invariant == invariant
}
