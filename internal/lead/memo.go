// SPDX-License-Identifier: Apache-2.0

package lead

import (
	"encoding/json"

	"supervisor/internal/store"
)

// Memo lets the pictures of several agents in one process decode each value
// once, under whatever keys it stands: what agents report of one proxy is mostly
// alike. What is decoded is shared, so nobody may change it in place; no decision
// does. A nil one remembers nothing.
//
// A value is known again by its bytes, never by its revision: stores may be put
// back.
type Memo struct{ known map[string]decoded }

// memoMax is how many values are known before all are forgotten.
const memoMax = 10_000

// NewMemo is one that knows nothing.
func NewMemo() *Memo { return &Memo{known: map[string]decoded{}} }

type decoded struct {
	is     any
	strict bool // what is read strictly may be had otherwise too, and not the other way round
}

// ReadOnce is store.Strict or, when it is not strict, json.Unmarshal, done once for a
// value.
func ReadOnce[T any](m *Memo, kv store.KV, strict bool) (T, error) {
	if m != nil {
		if d, ok := m.known[string(kv.Value)]; ok && (d.strict || !strict) {
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
		if len(m.known) >= memoMax {
			clear(m.known)
		}
		m.known[string(kv.Value)] = decoded{v, strict}
	}
	return v, nil
}
