// SPDX-License-Identifier: Apache-2.0

package replace

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var deadline = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

func TestNeeded(t *testing.T) {
	for _, row := range []struct {
		why  string
		c    Case
		want Reason
	}{
		{"nothing is known: wait", Case{}, ""},
		{"a disk that refuses cannot be repaired", Case{DiskFailed: true}, DiskFailed},
		{"lost files are no outage: the node would spread dead rows", Case{DataLost: true}, DataLost},
		{"a moment before the deadline it may still return", Case{Deadline: deadline, At: deadline.Add(-1)}, ""},
		{"the last instant is too late", Case{Deadline: deadline, At: deadline}, DeadlinePassed},
		{"after it, all the more", Case{Deadline: deadline, At: deadline.Add(time.Hour)}, DeadlinePassed},
		{"no deadline never passes", Case{At: deadline}, ""},
		{"one failed return of two is tried again", Case{Failed: 1, ReturnsMax: 2}, ""},
		{"the second is enough", Case{Failed: 2, ReturnsMax: 2}, ReturnsFailed},
		{"so is one more, after the limit was lowered", Case{Failed: 3, ReturnsMax: 2}, ReturnsFailed},
		{"without a limit failures do not add up", Case{Failed: 9}, ""},
		{"a return that was never tried has not failed", Case{ReturnsMax: 1}, ""},
		{"of several reasons the one with least hope is told", Case{DiskFailed: true, DataLost: true, Deadline: deadline, At: deadline, Failed: 2, ReturnsMax: 2}, DiskFailed},
		{"lost data is told before the deadline", Case{DataLost: true, Deadline: deadline, At: deadline}, DataLost},
	} {
		t.Run(row.why, func(t *testing.T) {
			needed, reason := Needed(row.c)
			if needed != (row.want != "") || reason != row.want {
				t.Fatalf("got %v, %q", needed, reason)
			}
		})
	}
}

func TestEachReasonHasItsSentence(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range []Reason{DiskFailed, DataLost, DeadlinePassed, ReturnsFailed} {
		s := r.Sentence()
		if s == string(r) || seen[s] {
			t.Errorf("%s reads %q", r, s)
		}
		seen[s] = true
	}
	if got := Reason("of_tomorrow").Sentence(); got != "of_tomorrow" {
		t.Errorf("a reason of a later version reads %q", got)
	}
}

func TestWhatGetsWorseNeverTakesANeedBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Case{
			DiskFailed: rapid.Bool().Draw(t, "disk"), DataLost: rapid.Bool().Draw(t, "lost"),
			Deadline: deadline, At: deadline.Add(time.Duration(rapid.Int64Range(-5, 5).Draw(t, "late"))),
			Failed: rapid.IntRange(0, 4).Draw(t, "failed"), ReturnsMax: rapid.IntRange(0, 3).Draw(t, "max"),
		}
		before, _ := Needed(c)
		c.At, c.Failed = c.At.Add(time.Duration(rapid.Int64Range(0, 5).Draw(t, "later"))), c.Failed+rapid.IntRange(0, 2).Draw(t, "more")
		if after, _ := Needed(c); before && !after {
			t.Fatalf("%+v needs no replacement any more", c)
		}
	})
}
