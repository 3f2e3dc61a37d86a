// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestACertificateIsMadeForAHostOfARegion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	for _, row := range []struct {
		why, line string
		exit      int
		says      string
	}{
		{"a cluster's name is checked", "init --cluster a/b", exitUsage, `the name "a/b"`},
		{"an authority", "init --cluster orders", 0, "Keep the key off the hosts"},
		{"the region is asked for", "issue n1 --address 10.0.3.11", exitUsage, "--region"},
		{"its name is checked", "issue n1 --address 10.0.3.11 --region e/u", exitUsage, `the name "e/u"`},
		{"a host", "issue n1 --address 10.0.3.11 --region eu", 0, "n1.key: valid"},
		{"an operator", "issue --operator ana", 0, "ana.key: valid 90 days"},
		{"a reader", "issue --reader grafana", 0, "grafana.key: valid 90 days"},
		{"an operator's name is checked", "issue --operator a/b", exitUsage, `the name "a/b"`},
		{"an operator has no region", "issue --operator eva --region eu", exitUsage, "one certificate is made at once"},
		{"nobody is both", "issue --operator eva --reader eva", exitUsage, "one certificate is made at once"},
		{"no person takes a host's files", "issue --operator n1", exitRefused, "Nothing was written"},
		{"never over another", "issue n1 --address 10.0.3.11 --region eu", exitRefused, "Nothing was written"},
	} {
		exit, out, errs := typed(append([]string{"certs"}, append(strings.Fields(row.line), "--dir", dir)...)...)
		if exit != row.exit || !strings.Contains(out+errs, row.says) {
			t.Errorf("%s: exit %d %q %q; want %d with %q", row.why, exit, out, errs, row.exit, row.says)
		}
	}
}
