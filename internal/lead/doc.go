// SPDX-License-Identifier: Apache-2.0

// Package lead is one turn of a leader: what it knows and what happened, in;
// transactions, out. Adoption, lost commits, stale pictures and the journal's
// numbers are dealt with here, purely, so that the simulator drives the real
// thing. The agent around it is only mailboxes, a clock and etcd.
//
// The property everybody relies on: nothing is decided on a picture that is
// older than the leader's own last commit in that datacenter, and every
// transaction compares everything it was decided upon.
package lead
