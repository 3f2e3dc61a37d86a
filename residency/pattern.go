// SPDX-License-Identifier: Apache-2.0

package residency

import "strings"

// kind orders entries by strength: an exact name first, * alone last.
type kind int

const (
	exact kind = iota
	pattern
	catchAll
)

func kindOf(entry string) kind {
	switch {
	case entry == "*":
		return catchAll
	case strings.Contains(entry, "*"):
		return pattern
	}
	return exact
}

// nameMax is Cassandra's limit for the name of a keyspace.
const nameMax = 48

// isName says whether Cassandra could have a keyspace of that name.
func isName(s string) bool {
	return s != "" && len(s) <= nameMax && strings.Trim(s, nameCharacters) == ""
}

// isEntry says whether a rule may name keyspaces so.
func isEntry(s string) bool {
	return s != "" && len(s) <= 2*nameMax && strings.Trim(s, nameCharacters+"*") == ""
}

const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// fits says whether the entry of a rule stands for the keyspace. Case counts,
// as it does in Cassandra.
func fits(entry, keyspace string) bool { return isName(keyspace) && overlap(entry, keyspace) }

// apart says of most entries that no name fits both: what they spell before their
// first stars, or behind their last ones, differs.
func apart(a, b string) bool {
	for i := 0; i < len(a) && i < len(b) && a[i] != '*' && b[i] != '*'; i++ {
		if a[i] != b[i] {
			return true
		}
	}
	for i, j := len(a)-1, len(b)-1; i >= 0 && j >= 0 && a[i] != '*' && b[j] != '*'; i, j = i-1, j-1 {
		if a[i] != b[j] {
			return true
		}
	}
	return false
}

// overlap says whether some name fits both entries. overlaps[j] answers it for
// what is left of a after i characters and of b after j; it is filled from the
// ends, so the cost is the product of both lengths.
func overlap(a, b string) bool {
	if apart(a, b) {
		return false
	}
	var below []bool
	for i := len(a); i >= 0; i-- {
		row := make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				row[j] = true
			case i < len(a) && a[i] == '*':
				row[j] = below[j] || j < len(b) && row[j+1]
			case j < len(b) && b[j] == '*':
				row[j] = row[j+1] || i < len(a) && below[j]
			default:
				row[j] = i < len(a) && j < len(b) && a[i] == b[j] && below[j+1]
			}
		}
		below = row
	}
	return below[0]
}
