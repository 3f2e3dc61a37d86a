// SPDX-License-Identifier: Apache-2.0

// Package trace keeps what a judge was told, and tells it to the judge again.
//
// A Recorder holds the turns of about the last hour: the reports as they
// reached membership.Judge, roster and bars when they changed, and beside them
// what the judge said. A recording of it replays in the same turns through the
// very same function, on any machine and by any later version, so that a wrong
// verdict in the field becomes a test.
//
// Everybody relies on one property: what is read back is to the nanosecond
// what was recorded. Nothing is rounded and nothing guessed; a prediction that
// fails only costs bytes.
package trace
