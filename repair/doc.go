// SPDX-License-Identifier: Apache-2.0

// Package repair decides which token ranges of a node must be compared, with
// which peers and in which order, when that is finished, and by when it must
// be. It runs nothing: the admin client does.
//
// A Job only grows. A segment marked done stays done, so any stored copy may
// be picked up again, also an old one: the worst it costs is work done twice.
package repair
