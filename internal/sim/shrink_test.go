// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"
)

// What is left of a schedule breaks the same by itself, and without any of its
// faults it does not.
func TestAScheduleIsShrunkUntilNothingCanBeLeftOut(t *testing.T) {
	o := Bug{Name: lateKill, Story: hung()}.options(1)
	for i := range 50 {
		o.Strokes = append(o.Strokes, Stroke{At: time.Duration(i+20) * time.Second, Fault: "policy-change", Node: 1, Salt: int64(i)})
	}
	broke := play(t, o)
	if broke.Violation == "" {
		t.Fatal("nothing breaks")
	}
	tries, told := 0, 0
	best, last, done := Shrink(o, broke, func(left int) bool { tries, told = tries+1, left; return true })
	if !done || len(best) != 1 || best[0].Fault != "hang" || last.Invariant != broke.Invariant {
		t.Errorf("done %v, left %v, broke %q, was %q", done, best, last.Violation, broke.Violation)
	}
	if told != len(best) {
		t.Errorf("%d faults are left, and the last that was told of it is %d", len(best), told)
	}
	t.Logf("%d tries", tries)
	short, last, done := Shrink(o, broke, func(int) bool { return false })
	if done || len(short) > len(o.Strokes) || last.Violation != broke.Violation {
		t.Errorf("without any time: done %v, left %d of %d, broke %q", done, len(short), len(o.Strokes), last.Violation)
	}
}
