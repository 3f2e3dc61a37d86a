// SPDX-License-Identifier: Apache-2.0

// Package demo brings up a whole small cluster on one machine: three
// Cassandra nodes on loopback addresses and one HAProxy in front of them. It
// exists so that faults can be given to real processes and the result be
// measured.
//
// Everything of a demo is in one folder. What is started is written there
// before anything else (the plan) or right after (pid files with start
// times), so a demo can be ended by any later process, also when the one that
// started it was killed.
package demo
