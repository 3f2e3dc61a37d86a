// SPDX-License-Identifier: Apache-2.0

// Package archtest holds the house to its own rules: who may know whom, what
// a pure room must not contain, and how a file looks. It reads source and runs
// nothing of it.
//
// Every rule is refusal by default. A package that no row of the table names,
// or a library that nobody let into a pure room, is a breach until somebody
// writes the row, so that the map cannot fall behind the house. Archives in
// testdata plant one breach of each kind and show that it is found.
package archtest
