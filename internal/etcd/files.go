// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"go.etcd.io/etcd/client/pkg/v3/transport"
)

// Files are PEM files for mutual TLS: all three or none.
type Files struct{ Cert, Key, CA string }

func (f Files) given() bool { return f != Files{} }

func (f Files) check() error {
	given := 0
	for _, name := range []string{f.Cert, f.Key, f.CA} {
		if name != "" {
			given++
		}
	}
	if given != 0 && given != 3 {
		return fmt.Errorf("TLS: certificate, key and CA file go together, %d of 3 given", given)
	}
	return nil
}

// client reads the files; nil without error when there are none.
func (f Files) client() (*tls.Config, error) {
	if !f.given() {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("client certificate %s: %w", f.Cert, err)
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("CA file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("CA file %s: no certificate in it", f.CA)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, RootCAs: roots}, nil
}

// server is what a port of a member asks of whoever comes.
func (f Files) server() transport.TLSInfo {
	return transport.TLSInfo{CertFile: f.Cert, KeyFile: f.Key, TrustedCAFile: f.CA, ClientCertAuth: true}
}
