// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supervisor/internal/certs"
)

// host is n1 of orders in eu, and its files.
type host struct {
	t     *testing.T
	ca    string // directory of the authority
	files certs.Files
	owner certs.Owner
	at    time.Time
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, ca: authority(t), at: now, owner: certs.Owner{Embedded: true, Serves: []net.IP{net.IPv4(10, 0, 3, 11)},
		Identity: certs.Identity{Cluster: "orders", Region: "eu", Host: "n1"}}}
	issue(t, h.ca, "n1")
	h.files = certs.Files{Cert: filepath.Join(h.ca, "n1.pem"), Key: filepath.Join(h.ca, "n1.key"), CA: filepath.Join(h.ca, certs.CAFile)}
	return h
}

func (h *host) write(path, text string) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) read(path string) string {
	h.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

func (h *host) first(path string) []byte {
	b, _ := pem.Decode([]byte(h.read(path)))
	return b.Bytes
}

// again signs the host's certificate as change wants it.
func (h *host) again(change func(*x509.Certificate)) {
	h.t.Helper()
	ca, err := x509.ParseCertificate(h.first(h.files.CA))
	if err != nil {
		h.t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(h.first(filepath.Join(h.ca, certs.CAKeyFile)))
	if err != nil {
		h.t.Fatal(err)
	}
	own, err := x509.ParsePKCS8PrivateKey(h.first(h.files.Key))
	if err != nil {
		h.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "n1"}, DNSNames: []string{"n1"},
		IPAddresses: []net.IP{net.IPv4(10, 0, 3, 11)}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 30),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	change(c)
	der, err := x509.CreateCertificate(rand.Reader, c, ca, own.(*ecdsa.PrivateKey).Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(h.files.Cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

// Each is said once, with the file and what to do.
func TestBadFilesAreToldByWhatIsWrong(t *testing.T) {
	for _, row := range []struct {
		why    string
		spoil  func(h *host)
		file   string // cert, key or ca; empty: nothing is wrong
		says   string
		passes bool
	}{
		{"as they were issued", func(*host) {}, "", "", false},
		{"the last moment still counts", func(h *host) { h.at = now.AddDate(0, 0, certs.HostDays).Truncate(time.Second) }, "", "", false},
		{"expired", func(h *host) { h.at = now.AddDate(0, 0, certs.HostDays).Add(time.Second) }, "cert", "expired at 20", true},
		{"not valid yet", func(h *host) { h.at = now.Add(-2 * time.Hour) }, "cert", "is not valid before 20", true},
		{"of another authority", func(h *host) { h.files.CA = filepath.Join(authority(h.t), certs.CAFile) }, "cert",
			"is of an authority (supervisor authority of orders) that is not in ", true},
		{"an authority that has ended", func(h *host) {
			h.again(func(c *x509.Certificate) { c.NotAfter = now.AddDate(20, 0, 0) })
			h.at = now.AddDate(certs.CAYears, 0, 1)
		}, "ca", "which expired at 20", true},
		{"another cluster's", func(h *host) { h.owner.Cluster = "stock" }, "cert", `is of cluster "orders" (supervisor://orders/eu/host/n1), this agent is of "stock"`, false},
		{"another region's", func(h *host) { h.owner.Region = "us" }, "cert", `is of region "eu" (supervisor://orders/eu/host/n1), this agent is of "us"`, false},
		{"another host's", func(h *host) { h.owner.Host = "n2" }, "cert", `is of host "n1" (supervisor://orders/eu/host/n1), this agent is "n2"`, false},
		{"a key that belongs to another certificate", func(h *host) { issue(h.t, h.ca, "n2"); h.files.Key = filepath.Join(h.ca, "n2.key") }, "key",
			"holds no key that belongs to the certificate in ", false},
		{"a key that others may read", func(h *host) {
			if err := os.Chmod(h.files.Key, 0o640); err != nil {
				h.t.Fatal(err)
			}
		}, "key", "has mode 0640, others may read the key; make it 0600", false},
		{"not for clients", func(h *host) {
			h.again(func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] })
		}, "cert", "is not for clients; issue one with client authentication", false},
		{"not for servers, on a host with a member", func(h *host) {
			h.again(func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] })
		}, "cert", "is not for servers", false},
		{"not for servers, elsewhere", func(h *host) {
			h.owner.Serves = nil
			h.again(func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] })
		}, "", "", false},
		{"without any usage it is for all", func(h *host) { h.again(func(c *x509.Certificate) { c.ExtKeyUsage = nil }) }, "", "", false},
		{"an address of the member is missing", func(h *host) { h.owner.Serves = append(h.owner.Serves, net.IPv4(10, 0, 4, 11)) }, "cert",
			"does not hold 10.0.4.11", false},
		{"no URI, as a site's own authority has it", func(h *host) { h.again(func(*x509.Certificate) {}) }, "", "", false},
		{"no URI, and another host's name", func(h *host) {
			h.again(func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = "n2", nil })
		}, "cert", `is of "n2", this agent is "n1"`, false},
		{"members know each other by common name", func(h *host) {
			h.again(func(c *x509.Certificate) { c.Subject.CommonName = "n1.example.com" })
		}, "cert", `has the common name "n1.example.com"`, false},
		{"an etcd of the site's own knows its clients as it likes", func(h *host) {
			h.again(func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = "agents", nil })
			h.owner.Embedded, h.owner.Serves, h.files.CA = false, nil, filepath.Join(authority(h.t), certs.CAFile)
		}, "", "", false},
		{"not there", func(h *host) { h.files.CA = "/nowhere/ca.pem" }, "ca", "is not there; put it there, or name another", false},
		{"a directory", func(h *host) { h.files.CA = h.ca }, "ca", "cannot be read (is a directory)", false},
		{"empty", func(h *host) { h.write(h.files.Cert, "\n") }, "cert", "is empty", false},
		{"an empty key", func(h *host) { h.write(h.files.Key, "") }, "key", "is empty", false},
		{"no PEM", func(h *host) { h.write(h.files.Cert, "certificate") }, "cert", "is no PEM", false},
		{"a key in the certificate's place", func(h *host) { h.write(h.files.Cert, h.read(h.files.Key)) }, "cert", "holds private key and no certificate", false},
		{"a certificate in the key's place", func(h *host) { h.write(h.files.Key, h.read(h.files.Cert)) }, "key", "holds certificate and no private key in the clear", false},
		{"half-written", func(h *host) { h.write(h.files.Cert, h.read(h.files.Cert)[:300]) }, "cert", "ends in the middle of a PEM block", false},
		{"a bundle of which the end is missing", func(h *host) {
			text := h.read(h.files.CA)
			h.write(h.files.CA, text+text[:300])
		}, "ca", "ends in the middle of a PEM block", false},
		{"what is no certificate inside", func(h *host) {
			h.write(h.files.CA, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
		}, "ca", "holds a certificate that cannot be read", false},
		{"a bundle whose files were joined without a line break, and one behind them", func(h *host) {
			text := h.read(h.files.CA)
			h.write(h.files.CA, strings.TrimSpace(text)+text+text)
		}, "ca", "holds an end and a beginning of two PEM blocks in one line; put a line break between", false},
		{"a bundle with a damaged one before it", func(h *host) {
			text := h.read(h.files.CA)
			h.write(h.files.CA, strings.Replace(text, "\n", "\n!", 1)+text)
		}, "ca", "holds a PEM block that cannot be read", false},
		{"a bundle of two authorities", func(h *host) {
			h.write(h.files.CA, h.read(filepath.Join(authority(h.t), certs.CAFile))+h.read(h.files.CA))
		}, "", "", false},
	} {
		t.Run(row.why, func(t *testing.T) {
			h := newHost(t)
			row.spoil(h)
			faults := h.files.Check(h.owner, h.at)
			if row.file == "" {
				if len(faults) > 0 {
					t.Errorf("it is said that %v", certs.Faults(faults))
				}
				return
			}
			file := map[string]string{"cert": h.files.Cert, "key": h.files.Key, "ca": h.files.CA}[row.file]
			if len(faults) != 1 || faults[0].File != file || !strings.Contains(faults[0].Error(), row.says) || faults[0].Passes != row.passes || faults[0].Do == "" {
				t.Errorf("got %+v\nwant one of %s with %q, passes %t", faults, file, row.says, row.passes)
			}
		})
	}
}
