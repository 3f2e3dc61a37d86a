// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supervisor/internal/certs"
)

var now = time.Now()

func authority(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := certs.Init(dir, "orders", now); err != nil {
		t.Fatal(err)
	}
	return dir
}

func issue(t *testing.T, dir, name string) tls.Certificate {
	t.Helper()
	if err := certs.Issue(dir, certs.Host{Name: name, Region: "eu", Addresses: []net.IP{net.IPv4(10, 0, 3, 11)}}, now); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestACertificateServesAsServerAndAsClient(t *testing.T) {
	dir := authority(t)
	pair := issue(t, dir, "n1")
	pem, err := os.ReadFile(filepath.Join(dir, certs.CAFile))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		for _, name := range []string{"n1", "10.0.3.11"} {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
				t.Errorf("%s, usage %d: %v", name, usage, err)
			}
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "10.0.3.12"}); err == nil {
		t.Error("it holds for another host's address")
	}
	if pair.Leaf.Subject.CommonName != "n1" || pair.Leaf.IsCA {
		t.Errorf("it is for %q, authority: %t", pair.Leaf.Subject.CommonName, pair.Leaf.IsCA)
	}
}

func TestKeysAreForTheirOwnerOnly(t *testing.T) {
	dir := authority(t)
	issue(t, dir, "n1")
	for _, name := range []string{certs.CAKeyFile, "n1.key"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestNothingIsWrittenOver(t *testing.T) {
	dir := authority(t)
	issue(t, dir, "n1")
	before, err := os.ReadFile(filepath.Join(dir, "n1.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := certs.Init(dir, "orders", now); !errors.Is(err, certs.ErrExists) {
		t.Errorf("a second authority: %v", err)
	}
	if err := certs.Issue(dir, certs.Host{Name: "n1", Region: "eu"}, now); !errors.Is(err, certs.ErrExists) {
		t.Errorf("a second certificate: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "n1.pem")); err != nil {
		t.Fatal(err)
	}
	if err := certs.Issue(dir, certs.Host{Name: "n1", Region: "eu"}, now); !errors.Is(err, certs.ErrExists) {
		t.Errorf("a key whose certificate is gone was written over: %v", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "n1.key")); err != nil || string(after) != string(before) {
		t.Errorf("the key changed: %v", err)
	}
}

func TestWithoutAnAuthorityTheCommandIsNamed(t *testing.T) {
	err := certs.Issue(t.TempDir(), certs.Host{Name: "n1", Region: "eu"}, now)
	if err == nil || !strings.Contains(err.Error(), "supervisor certs init") {
		t.Errorf("got %v", err)
	}
}

func TestAHostsCertificateEndsWithItsAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	if err := certs.Init(dir, "orders", now.AddDate(-certs.CAYears, 1, 0)); err != nil {
		t.Fatal(err)
	}
	if pair := issue(t, dir, "n1"); pair.Leaf.NotAfter.After(now.AddDate(0, 1, 1)) {
		t.Errorf("it ends %s, after the authority", pair.Leaf.NotAfter)
	}
}
