// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"bytes"
	"encoding/json"

	"supervisor/internal/store"
)

// Memo lets the pictures of several agents in one process decode each value
// once. What is decoded is shared, so nobody may change it in place; no decision
// does. A nil one remembers nothing.
//
// A value is known again by its bytes, never by its revision: stores may be put
// back.
type Memo struct{ known map[string]decoded }

// NewMemo is one that knows nothing.
func NewMemo() *Memo { return &Memo{known: map[string]decoded{}} }

type decoded struct {
	value []byte
	is    any
}

// ReadOnce is store.Strict or, when it is not strict, json.Unmarshal, done once for a
// value. Each key is always read as the same T and equally strictly.
func ReadOnce[T any](m *Memo, kv store.KV, strict bool) (T, error) {
	if m != nil {
		if d, ok := m.known[kv.Key]; ok && bytes.Equal(d.value, kv.Value) {
			if v, ok := d.is.(T); ok {
				return v, nil
			}
		}
	}
	var v T
	read := json.Unmarshal
	if strict {
		read = store.Strict
	}
	if err := read(kv.Value, &v); err != nil {
		return v, err
	}
	if m != nil {
		m.known[kv.Key] = decoded{kv.Value, v}
	}
	return v, nil
}
