// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"supervisor/incident"
)

// Hash is the SHA-256, in hex, of what a policy says: of its canonical JSON
// without version, hash, author and reason. Canonical means that keys are
// sorted and that what is empty is left out, so that a policy has one hash
// before it is stored and after it is read back.
func Hash(p incident.Policy) string {
	p.Version, p.Hash, p.By, p.Why = 0, "", "", ""
	text, err := json.Marshal(p)
	if err != nil {
		return "" // a storm share that is not a number; no reader lets it in
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber() // durations are nanoseconds, above what a float keeps
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil {
		return ""
	}
	for _, own := range []string{"version", "hash", "by", "why"} {
		delete(tree, own)
	}
	canonical, err := json.Marshal(full(tree)) // sorts keys
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// full leaves out what is empty, inside out. Entries of lists stay: their
// position means something.
func full(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, each := range v {
			if each = full(each); empty(each) {
				delete(v, key)
			} else {
				v[key] = each
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = full(v[i])
		}
		return v
	}
	return v
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}
