// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"cmp"
	"encoding/base64"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// stat looks at a file that the document names.
func (d *document) stat(path, file string) (fs.FileInfo, bool) {
	if !d.absolute(path, file) {
		return nil, false
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, d.must(false, path, "there is no file %s", file)
	case err != nil:
		return nil, d.must(false, path, "%v", err)
	}
	return info, d.must(info.Mode().IsRegular(), path, "%s is no plain file", file)
}

// secretFile checks a file that holds a secret: closed are the permissions
// that it must not have.
func (d *document) secretFile(path, file string, closed fs.FileMode) (text []byte, ok bool) {
	info, ok := d.stat(path, file)
	if !ok || !d.must(info.Mode().Perm()&closed == 0, path, "%s has mode %04o, others may read it; make it 0600", file, info.Mode().Perm()) {
		return nil, false
	}
	text, err := load(file)
	if err != nil {
		return nil, d.must(false, path, "%s cannot be read by this user", file)
	}
	return text, d.must(len(text) > 0, path, "%s is empty", file)
}

// keyBytes makes it AES-256.
const keyBytes = 32

// keyFile checks the gossip keys. What stands in the file is never said.
func (d *document) keyFile(path, file string) {
	text, ok := d.secretFile(path, file, 0o077)
	if !ok {
		return
	}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		if !d.must(err == nil, path, "%s:%d is no base64; write base64 of %d random bytes a line", file, i+1, keyBytes) {
			return
		}
		if !d.must(len(key) == keyBytes, path, "%s:%d has %d bytes, want %d; write base64 of %d random bytes a line", file, i+1, len(key), keyBytes, keyBytes) {
			return
		}
	}
}

// program checks an argv.
func (d *document) program(path string, argv []string) {
	at := item(path, 0)
	info, ok := d.stat(at, argv[0])
	if ok {
		d.must(info.Mode().Perm()&0o111 != 0, at, "%s is not executable", argv[0])
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
