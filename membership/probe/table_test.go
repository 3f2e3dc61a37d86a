// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// TestNoAnswerIsAsOldAsTheFirst holds the age of what a fence asks for: a host that is
// silent, and whose kernel refuses later, has not answered for all that time.
func TestNoAnswerIsAsOldAsTheFirst(t *testing.T) {
	const step = cluster.Moment(time.Second)
	for _, row := range []struct {
		why          string
		first, later membership.Outcome
		want         time.Duration
	}{
		{"the same", membership.Silent, membership.Silent, 2 * time.Second},
		{"silent, then refused by its kernel", membership.Silent, membership.Refused, 2 * time.Second},
		{"refused, then silent: its kernel told at once that nobody listens, and a process hangs from now on", membership.Refused, membership.Silent, time.Second},
		{"nonsense, then silent", membership.Wrong, membership.Silent, time.Second},
		{"it answered before", membership.Good, membership.Silent, time.Second},
		{"it answers again", membership.Silent, membership.Late, time.Second},
		{"an exit is news", membership.Wrong, membership.Exited, time.Second},
	} {
		t.Run(row.why, func(t *testing.T) {
			table, k := newTable(func(membership.Path, membership.Outcome) {}), key{"n2", membership.CQL}
			table.note(k, row.first, step, false, nil)
			table.note(k, row.later, 2*step, false, nil)
			if got := table.looks(3 * step)[0].Held; got != row.want {
				t.Errorf("it has stood for %v, want %v", got, row.want)
			}
		})
	}
}
