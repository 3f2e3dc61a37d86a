// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"supervisor/internal/certs"
)

// IsRemote tells an agent's address on the network from a socket.
func IsRemote(at string) bool { return strings.Contains(at, "://") }

// NewRemote makes a client of an agent over the network. The files are read now:
// they are the caller's own, and a command does not live long.
func NewRemote(at string, f certs.Files) (*Client, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Port() == "" || u.Path != "" && u.Path != "/" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("%q is no address of an agent; write a socket's path, or https://IP:PORT", at)
	}
	set, err := f.Read()
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 3 * time.Second}
	return &Client{at: "https://" + u.Host, base: "https://" + u.Host, show: set, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
		// Shown also where the agent names other authorities: it then says that it does
		// not know ours, and not that none was shown.
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: set.Roots,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &set.Pair, nil }},
		TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: headerWait, IdleConnTimeout: 10 * time.Second, DisableCompression: true,
	}}}, nil
}

// disbelieved is the error of a handshake in which one side did not believe the
// other; nil: it was none. Nothing was asked then, and nothing ordered.
func (c *Client) disbelieved(err error) error {
	var theirs *tls.CertificateVerificationError
	var alert *net.OpError
	switch {
	case errors.As(err, &theirs):
		p := problem(CertRefused, c.at, fmt.Sprintf("the certificate that %s shows is not believed: %s", c.at, unbelieved(theirs.Err)))
		p.Remedy = []string{"look at the address and at your CA file"} // another certificate of one's own mends nothing
		return p
	case c.show != nil && errors.As(err, &alert) && alert.Op == "remote error" && strings.Contains(alert.Err.Error(), "certificate"):
		return problem(CertRefused, c.at, fmt.Sprintf("the agent on %s does not take this certificate (%s)", c.at, c.show.Ails(time.Now())))
	case c.show != nil && errors.As(err, &alert) && alert.Op == "remote error" && strings.Contains(alert.Err.Error(), "internal error"):
		return problem(AgentUnreachable, c.at, fmt.Sprintf("the agent on %s answers nobody over the network: its own files of api.tls are not in order", c.at),
			"on its host supervisor status names them (CERT_REJECTED), config check too")
	}
	return nil
}

// unbelieved says why an agent's certificate is not.
func unbelieved(err error) string {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) && unknown.Cert != nil {
		return fmt.Sprintf("it is of an authority that is not in your CA file (%s)", unknown.Cert.Issuer.CommonName)
	}
	return certs.Plainly(err, time.Now()).Error()
}

func noTLS(err error) bool {
	var plain tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &plain)
}
