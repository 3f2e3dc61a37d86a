// SPDX-License-Identifier: Apache-2.0

// Package settings reads the documents that people write: the agent's file on
// its host, the policy, and the roster of hosts. It applies nothing.
//
// A document is taken whole or not at all. Every fault in it is reported at
// once, with line, column and what would be right; what is not known is
// refused, and so is what YAML would let pass in silence: a key given twice, a
// blank value, an alias, a second document, a duration without a unit.
package settings
