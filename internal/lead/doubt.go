// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"fmt"

	"supervisor/internal/store"
)

// LevelNow is the level of the formats that this program reads and writes.
const LevelNow = 1

// Doubt tells why a reading of the store is not to be believed: nothing may be
// decided or obeyed on it. Empty: nothing speaks against it. etcdCluster is
// the store as its answers name it, era the highest that this agent has seen;
// back tells that it is another store than the one that is meant.
//
// A copy of the store that was restored elsewhere has another etcd cluster than
// its own era names. A lower era is an older store. A higher level is written by
// a later program, whose records and orders mean what this one does not know.
func Doubt(b store.Batch, etcdCluster string, era uint32) (why string, back bool) {
	for _, kv := range b.KVs {
		if kv.Mod == 0 {
			continue
		}
		switch kv.Key {
		case store.Era:
			var doc EraDoc
			if err := store.Strict(kv.Value, &doc); err != nil {
				return "its era cannot be read: " + err.Error(), false
			}
			if doc.EtcdClusterID != etcdCluster {
				return copied(etcdCluster, doc), true
			}
			if doc.Era < era {
				return older(doc, era), true
			}
		case store.Level:
			var level int
			if err := store.Strict(kv.Value, &level); err != nil {
				return "its level cannot be read: " + err.Error(), false
			}
			if level > LevelNow {
				return fmt.Sprintf("it is written at level %d, and this program knows level %d: run the later version here", level, LevelNow), false
			}
		}
	}
	return "", false
}
