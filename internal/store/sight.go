// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrWentBack tells that the store stands at a smaller revision than it had,
// or is another etcd cluster: restored, swapped, wiped or set up anew. Only
// observing goes on until it is the right one again, or one of a higher era.
var ErrWentBack = errors.New("the store went back or is another one, see docs/hosts.md")

// Sight is a store that answers, read without believing it: an agent decides by
// it whether to go over to another store than the one it knows.
type Sight struct {
	EtcdCluster string
	Rev         int64
	Era         []byte // the key meta/era; empty: it has none
}

// EtcdCluster spells the ID of an etcd cluster as meta/era and the agents keep
// it; empty: none.
func EtcdCluster(id uint64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(id, 16)
}

// EtcdClusterID reads what EtcdCluster wrote.
func EtcdClusterID(word string) (uint64, error) {
	if word == "" {
		return 0, nil
	}
	id, err := strconv.ParseUint(word, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("ID of an etcd cluster: %w", err)
	}
	return id, nil
}
