// SPDX-License-Identifier: Apache-2.0

package replace

import "time"

// Reason is why a node needs a replacement, as the wire spells it.
type Reason string

// The reasons, the one that leaves least hope first.
const (
	DiskFailed     Reason = "disk_failed"
	DataLost       Reason = "data_lost"
	DeadlinePassed Reason = "deadline_passed"
	ReturnsFailed  Reason = "returns_failed"
)

// Case is what is known of the node. What nobody knows stays zero and speaks
// for no replacement: a node that might come back is waited for.
type Case struct {
	DiskFailed bool // the disk refuses reads or writes
	// DataLost: files of the data directory are missing, corrupt, or older
	// than they were. A repair would not only fill the holes; it would spread
	// rows that were deleted since.
	DataLost bool
	// Deadline is when the node's repair must have ended, zero for never. At
	// is the latest that the time can be: clocks differ, and doubt forbids.
	Deadline   time.Time
	At         time.Time
	Failed     int // returns that ended without the node back
	ReturnsMax int // that many failed returns are enough; 0 never is
}

// rows are all reasons there are. The first that holds is the answer.
var rows = []struct {
	reason   Reason
	sentence string
	holds    func(Case) bool
}{
	{DiskFailed, "its disk failed: what it still reads may be wrong", func(c Case) bool { return c.DiskFailed }},
	{DataLost, "data it held is missing, corrupt or older than it was: a repair would bring deleted rows back", func(c Case) bool { return c.DataLost }},
	{DeadlinePassed, "it missed deletes whose tombstones the others may have dropped: a repair would bring deleted rows back", func(c Case) bool { return c.late() }},
	{ReturnsFailed, "its returns failed as often as is allowed", func(c Case) bool { return c.ReturnsMax > 0 && c.Failed >= c.ReturnsMax }},
}

// late counts the last instant as passed: the repair must have ended before.
func (c Case) late() bool { return !c.Deadline.IsZero() && !c.At.Before(c.Deadline) }

// Needed says whether the node needs a replacement, and the first reason.
func Needed(c Case) (bool, Reason) {
	for _, r := range rows {
		if r.holds(c) {
			return true, r.reason
		}
	}
	return false, ""
}

// Sentence says the reason as people read it, after "a replacement is needed:".
func (r Reason) Sentence() string {
	for _, row := range rows {
		if row.reason == r {
			return row.sentence
		}
	}
	return string(r)
}
