// SPDX-License-Identifier: Apache-2.0

// Package haproxy shows a wanted pool to one HAProxy, over the runtime API on
// its stats socket, and reads back where it stands. It decides nothing.
//
// Apply that succeeds is the proxy's claim; Read is the look. The runtime API
// is plain text and asks for no password: the socket needs level admin, and
// whoever reaches it may empty the pool.
//
// What HAProxy 2.6 does, measured, and what this package relies on:
//   - drain keeps the health check running. A server that is DOWN and drained
//     still says DOWN in "show stat", so the drain is read from the admin
//     bits of "show servers state" and never from the status word.
//   - maint stops the check; its result is then unknown.
//   - a weight in percent is of the weight in the configuration, in whole
//     units rounded down: 10 % of 1 is 0, which is no clients at all.
//   - a restart forgets all of it, unless the site keeps a state file. The
//     next Read shows that.
package haproxy
