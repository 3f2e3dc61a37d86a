// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/x509"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"supervisor/internal/certs"
)

func TestACertificateSaysWhoseItIs(t *testing.T) {
	pair := issue(t, authority(t), "n1")
	want := certs.Identity{Cluster: "orders", Region: "eu", Host: "n1"}
	if len(pair.Leaf.URIs) != 1 || pair.Leaf.URIs[0].String() != "supervisor://orders/eu/host/n1" {
		t.Errorf("it bears %v", pair.Leaf.URIs)
	}
	if got, named, err := certs.IdentityOf(pair.Leaf); err != nil || !named || got != want {
		t.Errorf("it is read as %+v, %t, %v; want %+v", got, named, err, want)
	}
}

func TestANameIsReadOrRefusedAsAWhole(t *testing.T) {
	for _, row := range []struct {
		why   string
		uris  []string
		named bool
		says  string // of the error; empty: none
	}{
		{"a site's own authority names nobody", nil, false, ""},
		{"another program's name is not ours", []string{"spiffe://site/host"}, false, ""},
		{"beside another program's name", []string{"spiffe://site/host", "supervisor://orders/eu/host/n1"}, true, ""},
		{"two names are none", []string{"supervisor://orders/eu/host/n1", "supervisor://orders/eu/host/n2"}, true, "two names"},
		{"a cluster alone is no host", []string{"supervisor://orders"}, true, "supervisor://CLUSTER/REGION/host/NAME"},
		{"an empty name is none", []string{"supervisor://orders/eu/host/"}, true, "supervisor://CLUSTER/REGION/host/NAME"},
		{"what is not a host is not taken for one", []string{"supervisor://orders/eu/user/n1"}, true, "supervisor://CLUSTER/REGION/host/NAME"},
	} {
		var cert x509.Certificate
		for _, text := range row.uris {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			cert.URIs = append(cert.URIs, u)
		}
		_, named, err := certs.IdentityOf(&cert)
		if named != row.named || (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %t, %v", row.why, named, err)
		}
	}
}

// A name that certificates cannot hold would be noticed when they are read.
func TestAClusterThatNoCertificateCanNameIsRefusedAtOnce(t *testing.T) {
	for _, name := range []string{"a..b", "a/b", "a b", ""} {
		if err := certs.Init(filepath.Join(t.TempDir(), "ca"), name, now); err == nil {
			t.Errorf("an authority of %q was made", name)
		}
	}
}
