// SPDX-License-Identifier: Apache-2.0

// Package api is what people, monitors and other programs see of an agent: an
// HTTP interface on a unix socket and, where it is asked for, over the network by
// mutual TLS, and its client. It decides nothing. Every
// answer is computed by a pure function from one Snapshot, so the command
// line, a monitor and a dashboard cannot tell three different stories.
//
// A GET changes nothing. What changes something is an operator's word: it is
// shown as a plan first, names that plan's hash, and is handed to the leader.
package api
