// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"slices"
	"strings"
)

// Words spells the values of an enum, first value first. The wire word is
// lower_snake; people see it as CamelCase. One table serves JSON, metrics
// labels, documents and tables, so they cannot drift apart.
type Words []string

// Word returns the lower_snake word of value v.
func (w Words) Word(v uint8) string {
	if int(v) < len(w) {
		return w[v]
	}
	return fmt.Sprintf("unknown_%d", v)
}

// Value returns the enum value that word spells. The error lists the words
// that exist.
func (w Words) Value(word string) (uint8, error) {
	if i := slices.Index(w, word); i >= 0 {
		return uint8(i), nil
	}
	return 0, fmt.Errorf("unknown word %q; known: %s", word, strings.Join(w, ", "))
}

// Title turns a wire word into the form people read: process_down becomes
// ProcessDown. Known abbreviations keep their capitals.
func Title(word string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(word, "_") {
		switch part {
		case "":
		case "cql":
			b.WriteString("CQL")
		default:
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}
