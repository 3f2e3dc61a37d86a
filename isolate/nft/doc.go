// SPDX-License-Identifier: Apache-2.0

// Package nft closes ports of this host for others: clients of Cassandra are
// refused with a reset, and fenced members of the ring are cut off both ways.
// It decides nothing. A State says what is wanted; Compile turns it into the one
// table that is ours, and the kernel takes that table as a whole or not at all.
//
// Rules need a capability that the agent does not have. A Guard runs as root in
// a unit of its own, keeps the wanted state on its disk before it applies it,
// and takes it from a socket on which the kernel names who asks; the Client is
// the agent's end of that.
//
// A guard may hold a lease as well: a rule that closes when nobody has renewed it
// for a while. It is for the host that stands still, guard, systemd and all, and it
// is the one thing here that changes without anybody doing anything; so whatever
// ends a guard has to take it away.
//
// What is read back is compared with what the state compiles to, rule by rule.
// A table of our name without our mark is somebody else's and is never touched.
package nft
