// SPDX-License-Identifier: Apache-2.0

// Package alarms measures how often the agents are wrong about a Cassandra that
// is well. Agents with the real memberlist, their own signed digests and the real
// judge run in a bubble of faked time, over a network that loses, delays and cuts.
// Only what a probe finds is told by that network and not by sockets.
//
// Everything here is a test, since a bubble is one and nobody but `make check`
// and `make alarms` wants it.
package alarms
