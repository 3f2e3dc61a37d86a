// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"fmt"
	"slices"

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

// Belief is whether an agent believes the store; the zero value does.
type Belief struct {
	Doubt string // why not; empty: it does
	Back  bool   // because it is another store than the one that is meant
}

// Read is the belief after a piece of the store was read. While there is doubt
// nothing is taken in: what was known before stands, as when the store is lost.
// Only a whole reading ends it; relist asks for one, for the store may be in order
// now.
func (b Belief) Read(piece store.Batch, known Known) (now Belief, relist bool) {
	why, back := Doubt(piece, known.EtcdCluster, known.Era)
	switch {
	case why != "":
		return Belief{Doubt: why, Back: back}, false
	case piece.Whole:
		return Belief{}, false
	}
	return b, b.Doubt != "" && toldEra(piece)
}

func toldEra(b store.Batch) bool {
	return slices.ContainsFunc(b.KVs, func(kv store.KV) bool { return kv.Key == store.Era || kv.Key == store.Level })
}
