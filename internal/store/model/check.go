// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"

	"supervisor/internal/store"
)

// opsMax is etcd's own bound of the compares, and of the writes, of one
// transaction.
const opsMax = 128

// check refuses what etcd refuses before it writes anything.
func check(t store.Txn) error {
	if n := len(t.Put) + len(t.Delete); n > opsMax || len(t.Compare) > opsMax {
		return fmt.Errorf("%d compares and %d writes, at most %d each", len(t.Compare), n, opsMax)
	}
	puts := make(map[string]bool, len(t.Put))
	for _, p := range t.Put {
		if puts[p.Key] {
			return fmt.Errorf("%s is put twice", p.Key)
		}
		puts[p.Key] = true
	}
	for _, key := range t.Delete {
		if puts[key] {
			return fmt.Errorf("%s is put and deleted", key)
		}
	}
	return nil
}
