// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestHostKeyIsMadeOnceAndKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "of", "agent")
	first, err := HostKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{KeyFile: 0o600, PublicKeyFile: 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want mode %o", name, info, err, mode)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, PublicKeyFile), []byte("of another key\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := HostKey(dir)
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("the second call gave another key, %v", err)
	}
	public, err := os.ReadFile(filepath.Join(dir, PublicKeyFile))
	if err != nil || string(public) != PublicKey(first)+"\n" {
		t.Errorf("public half %q, %v; want %q", public, err, PublicKey(first))
	}
	if !ed25519.Verify(first.Public().(ed25519.PublicKey), []byte("m"), ed25519.Sign(again, []byte("m"))) {
		t.Error("the key does not sign")
	}
	left, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Agent and gate may start at the same moment on a new host.
func TestHostKeyOfManyAtOnceIsOne(t *testing.T) {
	dir := t.TempDir()
	keys := make([]ed25519.PrivateKey, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key, err := HostKey(dir)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	all.Wait()
	for _, key := range keys {
		if !bytes.Equal(key, keys[0]) {
			t.Fatal("two keys for one host")
		}
	}
}

func TestBadHostKeysAreNeverReplaced(t *testing.T) {
	good := t.TempDir()
	if _, err := HostKey(good); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(good, KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		why, text string
		mode      os.FileMode
		want      string
	}{
		{"a key that others could read may be known to them", string(text), 0o640, "mode 0640"},
		{"an empty file is a lost key, and the roster knows the old one", "", 0o600, "no private key"},
		{"not PEM", "hello", 0o600, "no private key"},
		{"PEM of something else", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600, "no ed25519 key"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, KeyFile)
		if err := os.WriteFile(path, []byte(row.text), row.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, row.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := HostKey(dir); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", row.why, err)
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != row.text {
			t.Errorf("%s: the file was changed", row.why)
		}
	}
}
