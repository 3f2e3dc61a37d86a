// SPDX-License-Identifier: Apache-2.0

// Package isolate decides how a node is kept from doing harm: which levels of
// a fence stand, what the gate answers when Cassandra wants to start, and when
// the world agrees with what was wanted. Adapters below it do the touching.
//
// A fence is wanted state: agents converge on it and report the revision at
// which they stand. Lifting one is writing a weaker one, never an act of its
// own.
package isolate
