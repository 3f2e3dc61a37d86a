// SPDX-License-Identifier: Apache-2.0

// Package kills ends the leader's agent at every moment that an incident on
// real Cassandra passes, one incident for each. The list of moments is not
// written down anywhere: an incident is first played without a death, its
// record is watched in the store, and each moment that it stands at is a point.
//
// What is here without the build tag real watches, counts and draws; the story
// itself is a test, since nobody but `make kills` and the tests want it.
package kills
