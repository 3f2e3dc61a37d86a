// SPDX-License-Identifier: Apache-2.0

// Package agent is the loop around the decisions: mailboxes, a clock, the
// store and adapters. One goroutine, the desk, owns everything that is known;
// the others carry words to it and errands from it, over bounded channels.
//
// The property everybody relies on: the agent decides nothing. What it does
// was read from the store, claimed there, and is marked on its own disk before
// it is done. When it stops, nothing in the data plane changes.
package agent
