// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"crypto/tls"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supervisor/internal/certs"
)

// A member goes by no name in a certificate, so whoever may only ask an agent must
// have one that it does not take: the store commands every agent.
func TestAMemberLetsNoPersonIn(t *testing.T) {
	t.Parallel()
	all, urls := trio(t, true)
	bootstrap(t, all[0])
	hosts := all[0].TLS.Files()
	asks := func(f certs.Files) error {
		set, err := f.Read()
		if err != nil {
			t.Fatal(err)
		}
		h := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: set.Roots, Certificates: []tls.Certificate{set.Pair}}}}
		defer h.CloseIdleConnections()
		resp, err := h.Get(urls[0] + "/version")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	if err := asks(hosts); err != nil {
		t.Fatalf("a host: %v", err)
	}
	dir := filepath.Dir(hosts.CA)
	for _, kind := range []certs.Kind{certs.OfOperator, certs.OfReader} {
		name := "a-" + string(kind)
		if err := certs.IssuePerson(dir, kind, name, time.Now()); err != nil {
			t.Fatal(err)
		}
		f := certs.Files{Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key"), CA: hosts.CA}
		if err := asks(f); err == nil || !strings.Contains(err.Error(), "remote error: tls") {
			t.Errorf("an %s: %v", kind, err)
		}
	}
}
