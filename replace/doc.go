// SPDX-License-Identifier: Apache-2.0

// Package replace decides when a node must not come back with the data it has
// and another one must take its place. It starts nothing: who could take the
// place, and what proves that it did, are other questions.
package replace
