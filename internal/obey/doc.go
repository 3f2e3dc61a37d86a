// SPDX-License-Identifier: Apache-2.0

// Package obey is one turn of an executor: an order, the marks on this
// agent's disk and what it knows of itself, in; what to do, out. It claims
// before it acts and never acts on a token lower than one it has obeyed.
//
// The property everybody relies on: the mark is on disk before the act, so a
// crash at any point leaves either no mark (nothing was done) or a mark that
// names the very effect (this boot resumes it, a later one says that nobody knows).
package obey
