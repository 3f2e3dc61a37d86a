// SPDX-License-Identifier: Apache-2.0

package store

import "errors"

// ErrNotWritten is in the error of a transaction that certainly is not written
// and never will be. Any other error leaves both open.
var ErrNotWritten = errors.New("not written")

// KV is one key as the store holds it.
type KV struct {
	Key    string
	Value  []byte
	Mod    int64 // revision of its last change; 0 in a Batch means deleted
	Create int64 // revision of its creation
}

// On says what of a key a Compare looks at.
type On uint8

// The two things a transaction compares.
const (
	Mod    On = iota // modification revision; 0: the key is absent
	Create           // creation revision; 0: the key is absent
)

// Compare must hold for a transaction to be written.
type Compare struct {
	Key string
	On  On
	Rev int64
}

// Put is one key written by a transaction.
type Put struct {
	Key   string
	Value []byte
	// Leased binds the key to the writer's own lease: it goes with its writer.
	Leased bool
}

// Txn is written whole or not at all. All its keys get the same revision,
// which is the token of the intents in it.
type Txn struct {
	Compare []Compare
	Put     []Put
	Delete  []string
}

// Empty tells whether the transaction would change nothing.
func (t Txn) Empty() bool { return len(t.Put) == 0 && len(t.Delete) == 0 }

// Result is a store's answer to a transaction. An error beside it that is not
// ErrNotWritten means that nobody knows: the transaction may be written, or be
// written later.
type Result struct {
	OK  bool  // the compares held and the transaction is written
	Rev int64 // its revision when OK, the store's revision otherwise
}

// Batch is a piece of a watch: all changes of one or more whole revisions.
type Batch struct {
	Rev int64 // the revision the batch reaches
	KVs []KV  // Mod 0: deleted
	// Whole tells that KVs is everything under the prefix at Rev; keys that are
	// not in it do not exist.
	Whole bool
}

// Term is a won election: the leader key and its creation revision, compared
// in every transaction of that leader.
type Term struct {
	Key string
	Rev int64
}
