// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

// keyBytes makes it AES-256.
const keyBytes = 32

// NewKey is the text of a key file with one new random key.
func NewKey() []byte {
	key := make([]byte, keyBytes)
	rand.Read(key) // never fails
	return []byte(base64.StdEncoding.EncodeToString(key) + "\n")
}

// ReadKeys reads a key file: one base64 key of 32 bytes a line. The first
// encrypts, all of them decrypt, so a key is changed host by host: new key
// second everywhere, then first everywhere, then the old one gone. The file
// must not be open to group or others. Errors never contain a key.
func ReadKeys(path string) ([][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("gossip key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("gossip key %s: mode is %04o, want 0600 or 0400", path, mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("gossip key: %w", err)
	}
	var keys [][]byte
	for i, line := range strings.Split(string(bytes.TrimSpace(text)), "\n") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		if err != nil || len(key) != keyBytes {
			return nil, fmt.Errorf("gossip key %s:%d: want base64 of %d bytes", path, i+1, keyBytes)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
