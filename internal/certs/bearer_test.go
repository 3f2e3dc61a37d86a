// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supervisor/internal/certs"
)

func person(t *testing.T, dir string, kind certs.Kind, name string) tls.Certificate {
	t.Helper()
	if err := certs.IssuePerson(dir, kind, name, now); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestAPersonsCertificateSaysWhoAsks(t *testing.T) {
	dir := authority(t)
	for _, want := range []certs.Bearer{
		{Kind: certs.OfOperator, Cluster: "orders", Name: "ana"},
		{Kind: certs.OfReader, Cluster: "orders", Name: "grafana"},
		{Kind: certs.OfHost, Cluster: "orders", Region: "eu", Name: "n1"},
	} {
		var pair tls.Certificate
		if want.Kind == certs.OfHost {
			pair = issue(t, dir, want.Name)
		} else {
			pair = person(t, dir, want.Kind, want.Name)
		}
		got, err := certs.BearerOf(pair.Leaf)
		if err != nil || got != want || len(pair.Leaf.URIs) != 1 || pair.Leaf.URIs[0].String() != want.String() {
			t.Errorf("%s is read as %+v, %v", want, got, err)
		}
		_, named, err := certs.IdentityOf(pair.Leaf)
		if isHost := named && err == nil; isHost != (want.Kind == certs.OfHost) {
			t.Errorf("%s is taken for a host: %t, %v", want, named, err)
		}
	}
}

// The embedded store believes every client of its authority.
func TestAPersonsCertificateOpensNoOtherDoor(t *testing.T) {
	h := newHost(t)
	set, err := h.files.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []certs.Kind{certs.OfOperator, certs.OfReader} {
		leaf := person(t, h.ca, kind, "a-"+string(kind)).Leaf
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: set.Roots, KeyUsages: []x509.ExtKeyUsage{usage}}); err == nil {
				t.Errorf("an %s is let in with usage %d", kind, usage)
			}
		}
		if err := set.Admit([]*x509.Certificate{leaf}, now); err != nil {
			t.Errorf("an %s is not let in by an agent: %v", kind, err)
		}
	}
}

func TestWhoCannotBeToldIsNobody(t *testing.T) {
	for _, row := range []struct {
		why  string
		uris []string
		says string
	}{
		{"no name", nil, "it names nobody"},
		{"another program's", []string{"spiffe://orders/operator/ana"}, "it names nobody"},
		{"two", []string{"supervisor://orders/operator/ana", "supervisor://orders/reader/ana"}, "two names"},
		{"a kind that nobody knows", []string{"supervisor://orders/admin/ana"}, "write supervisor://CLUSTER/operator/NAME"},
		{"a host without its region", []string{"supervisor://orders/host/n1"}, "write supervisor://CLUSTER/operator/NAME"},
		{"an operator of a region", []string{"supervisor://orders/eu/operator/ana"}, "supervisor://CLUSTER/REGION/host/NAME"},
		{"no cluster", []string{"supervisor:///operator/ana"}, "holds what a name must not"},
		{"an empty name", []string{"supervisor://orders/operator/"}, "holds what a name must not"},
		{"a name that a terminal obeys", []string{"supervisor://orders/operator/ana%1B%5B2J"}, "holds what a name must not"},
		{"a name with a slash in it", []string{"supervisor://orders/operator/a%2Fb"}, "supervisor://CLUSTER/REGION/host/NAME"},
	} {
		var cert x509.Certificate
		for _, text := range row.uris {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			cert.URIs = append(cert.URIs, u)
		}
		if b, err := certs.BearerOf(&cert); err == nil || b != (certs.Bearer{}) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %+v, %v", row.why, b, err)
		}
	}
	if err := certs.IssuePerson(authority(t), certs.OfOperator, "a b", now); err == nil {
		t.Error("a name that would not be read back was signed for")
	}
}

func TestWhoIsNotBelievedIsToldWhy(t *testing.T) {
	h := newHost(t)
	set, err := h.files.Read()
	if err != nil {
		t.Fatal(err)
	}
	mine, other := person(t, h.ca, certs.OfOperator, "ana").Leaf, person(t, authority(t), certs.OfOperator, "ana").Leaf
	for _, row := range []struct {
		why   string
		shown []*x509.Certificate
		at    time.Time
		says  string
	}{
		{"nothing", nil, now, "no certificate was shown"},
		{"expired", []*x509.Certificate{mine}, now.AddDate(0, 0, certs.PersonDays+1), "it expired at "},
		{"not yet", []*x509.Certificate{mine}, now.AddDate(0, 0, -1), "it is not valid before "},
		{"another authority of the same name", []*x509.Certificate{other}, now, ""},
	} {
		if err := set.Admit(row.shown, row.at); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v", row.why, err)
		}
	}
}

// What is shown at an agent's own door is no client's, and its members' common
// name is nobody's business there.
func TestADoorsFilesAreAServers(t *testing.T) {
	h := newHost(t)
	h.owner.Door, h.owner.Embedded = true, false
	h.again(func(c *x509.Certificate) {
		c.Subject.CommonName, c.ExtKeyUsage = "n1.example.org", []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	if faults := h.files.Check(h.owner, now); len(faults) > 0 {
		t.Errorf("refused: %v", certs.Faults(faults))
	}
	h.owner.Serves = []net.IP{net.IPv4(10, 0, 3, 99)}
	h.again(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	said := certs.Faults(h.files.Check(h.owner, now))
	if said == nil || !strings.Contains(said.Error(), "10.0.3.99, at which this agent is reached") || !strings.Contains(said.Error(), "is not for servers, and this agent shows it") {
		t.Errorf("told as %v", said)
	}
	if _, err := (certs.Files{Cert: h.files.Cert, Key: h.files.Key, CA: "/nowhere"}).Read(); err == nil || !strings.Contains(err.Error(), "/nowhere is not there") {
		t.Errorf("files that are not there: %v", err)
	}
}
