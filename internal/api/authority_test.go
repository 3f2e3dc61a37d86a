// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"supervisor/internal/certs"
)

// both adds the authorities of another file to file, which it makes too.
func both(t *testing.T, file, more string) {
	t.Helper()
	var text []byte
	for _, f := range []string{file, more} {
		b, err := os.ReadFile(f)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		text = append(text, b...)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// withoutURI signs anew what stands in f, without a name of ours.
func withoutURI(t *testing.T, dir string, f certs.Files) {
	t.Helper()
	block := func(path string) []byte {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := pem.Decode(text)
		return b.Bytes
	}
	leaf, err := x509.ParseCertificate(block(f.Cert))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(block(filepath.Join(dir, certs.CAFile)))
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(block(filepath.Join(dir, certs.CAKeyFile)))
	if err != nil {
		t.Fatal(err)
	}
	leaf.URIs = nil
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, leaf.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
