// SPDX-License-Identifier: Apache-2.0

package cluster

import "fmt"

// Broken is the value a violated invariant panics with. The agent's turn
// catches it, holds the incident and stops acting; it never goes on.
type Broken struct {
	Invariant string // the name used in ARCHITECTURE.md and in the checkers
	Detail    string
}

// Error makes a Broken printable where errors are.
func (b Broken) Error() string { return "invariant " + b.Invariant + " broken: " + b.Detail }

// Must panics with Broken when holds is false. It is the one place in the
// pure rooms that panics.
func Must(holds bool, invariant string, detail ...any) {
	if !holds {
		panic(Broken{Invariant: invariant, Detail: fmt.Sprint(detail...)})
	}
}
