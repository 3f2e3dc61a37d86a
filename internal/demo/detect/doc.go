// SPDX-License-Identifier: Apache-2.0

// Package detect measures how soon a failing node is known, and kept from new
// clients, beside those who would have noticed without us: each fault is given to a
// node of one real cluster twice, first while the agents only look, then while they
// act. All of them are timed from the same moment, and nobody's time rests on
// another's word: Cassandra's detector is asked at the node's peers, HAProxy on its
// own socket, memberlist alone by members of its own, and of ours the leader's view.
//
// Every half of a pair is a line in a file that only grows, so a measurement that is
// ended goes on where it was, and one that failed is told and not forgotten.
package detect
