// SPDX-License-Identifier: Apache-2.0

// Package incident decides what is done about a node that fails: which
// findings hold, whether an incident opens, and what its next step is.
//
// Next is the only door through which a Record changes. It has no clock, no
// network and no log; the same arguments give the same answer, so that the
// simulator can drive the real thing and an heir can go on from any record.
package incident
