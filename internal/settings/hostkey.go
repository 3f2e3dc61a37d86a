// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The files of a host's key in its state directory.
const (
	KeyFile       = "host.key" // PEM, PKCS #8, mode 0600; never leaves the host
	PublicKeyFile = "host.pub" // base64, for the roster
)

// HostKey returns the key with which this host signs its digests. The first
// call makes it, on the disk before it is used, and with it the directory and
// the public half. A key that others may read, or that cannot be understood,
// is an error and is never replaced: the roster knows the host by it.
func HostKey(stateDir string) (ed25519.PrivateKey, error) {
	path := filepath.Join(stateDir, KeyFile)
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(stateDir, path); err != nil {
			return nil, fmt.Errorf("make host key: %w", err)
		}
		key, err = readKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	if err := publish(stateDir, PublicKey(key)); err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	return key, nil
}

// PublicKey is the half that stands in the roster: base64.
func PublicKey(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %04o, others may read it; make it 0600, or a new key if somebody did", path, mode)
	}
	text, err := load(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s holds no private key in PEM", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s holds no ed25519 key", path)
	}
	return key, nil
}

func makeKey(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return place(dir, path, 0o600, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// publish writes the public half again when it is missing or another one.
func publish(dir, public string) error {
	path := filepath.Join(dir, PublicKeyFile)
	if text, err := os.ReadFile(path); err == nil && string(text) == public+"\n" {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return place(dir, path, 0o644, []byte(public+"\n"))
}

// place puts a file at path, whole, synced, and only where there is none: of
// two that start at once, one writes and both read what it wrote.
func place(dir, path string, mode fs.FileMode, text []byte) error {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
