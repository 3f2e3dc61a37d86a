// SPDX-License-Identifier: Apache-2.0

// Package trend tells of readings in a row whether they lead to a limit, and when
// they are there. It takes no reading and knows no Cassandra: what a reading
// means, and which rule suits it, is its caller's.
//
// A Watch is a value of a few kilobytes that never grows beyond its rule. The
// property everybody relies on: it says nothing from few readings, and what it
// says changes slowly, so that it may stand in a key of the store.
package trend
