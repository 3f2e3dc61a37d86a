// SPDX-License-Identifier: Apache-2.0

// Package sim drives the real judge, leader, executor, gate and fence through
// faults in a world of small models: Cassandra processes that hold or lose
// writes, a store, agents, proxies. One goroutine, one heap of (moment,
// sequence, action), one source of chance: a seed is a trace.
//
// After every step the named invariants are held against what is true in the
// world, never against what the supervisor believes.
package sim
