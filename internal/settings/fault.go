// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong in a document.
type Fault struct {
	Line, Col int    // from 1; 0 when the place is not known
	Path      string // ages.fence, pools[0].members[2]; empty for the document as a whole
	What      string // what stands there, and what would be right
}

// String says the fault on one line: 12:10  ages.fence: "15" has no unit; write 15s.
func (f Fault) String() string {
	at, path := "-", ""
	if f.Line > 0 {
		at = fmt.Sprintf("%d:%d", f.Line, f.Col)
	}
	if f.Path != "" {
		path = f.Path + ": "
	}
	return fmt.Sprintf("%-6s %s%s", at, path, f.What)
}

// faultsMax bounds what one document may answer with; the rest is counted.
const faultsMax = 100

// Faults is everything wrong in one document, in the order of its lines.
type Faults struct {
	File   string // as it was named by whoever asked
	Kept   string // what this means for what stands: "nothing was applied"
	Faults []Fault
}

// Headline is the first line that people read.
func (f Faults) Headline() string {
	word := "faults"
	if len(f.Faults) == 1 {
		word = "fault"
	}
	return fmt.Sprintf("%s has %d %s; %s", f.File, len(f.Faults), word, f.Kept)
}

// Lines has one line for each fault, at most 100 and then their number.
func (f Faults) Lines() []string {
	lines := make([]string, 0, min(len(f.Faults), faultsMax)+1)
	for i, fault := range f.Faults {
		if i == faultsMax {
			return append(lines, fmt.Sprintf("-      and %d more", len(f.Faults)-faultsMax))
		}
		lines = append(lines, fault.String())
	}
	return lines
}

// Error is the headline and under it, indented, every fault.
func (f Faults) Error() string {
	return f.Headline() + "\n  " + strings.Join(f.Lines(), "\n  ")
}

// sorted puts the faults in the order of the document; faults of one place
// keep theirs.
func sorted(faults []Fault) []Fault {
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return slices.Compact(faults)
}
