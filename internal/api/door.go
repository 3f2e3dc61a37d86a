// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"supervisor/internal/certs"
)

// Remote is the door over the network. Who comes in by it is told by a
// certificate, and has no more than the role of that.
type Remote struct {
	Address string        // IP:port
	Certs   *certs.Keeper // what is shown there, and the authorities that are believed
}

// listenEvery is how often an address that cannot be listened on is tried: it may
// come up later than the agent.
const listenEvery = 2 * time.Second

// serveRemote answers over the network until ctx ends. What is wrong there ends
// no agent: the gate asks by the socket.
func (s *Server) serveRemote(ctx context.Context) {
	for told := false; ctx.Err() == nil; {
		ln, err := net.Listen("tcp", s.o.Remote.Address)
		if err == nil {
			told = false
			err = s.serveOn(ctx, s.newHTTP(s.admit(s.byCertificate), nil), s.o.Remote.secured(ln))
		}
		if err != nil && !told {
			told = true
			s.o.Log.Error("nobody is answered over the network, it is tried again", zap.String("address", s.o.Remote.Address), zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenEvery):
		}
	}
}

// secured bounds the connections before a handshake: it runs in the connection's
// own goroutine, within headerTimeout.
func (d *Remote) secured(ln net.Listener) net.Listener {
	bounded := &limiter{Listener: ln, slots: make(chan struct{}, connectionsMax), hosts: &tally{of: map[string]int{}}}
	return tls.NewListener(bounded, &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: d.handshake})
}

// handshake goes by what stands in the files now. Usages are compared by Admit:
// those of persons are none that TLS itself would take.
func (d *Remote) handshake(*tls.ClientHelloInfo) (*tls.Config, error) {
	set, err := d.Certs.Current()
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{set.Pair}, ClientAuth: tls.RequireAnyClientCert, ClientCAs: set.Roots,
		VerifyConnection: func(c tls.ConnectionState) error { return set.Admit(c.PeerCertificates, time.Now()) }}, nil
}

// bearer is whom a connection's certificate names. It is asked anew for every
// request: a connection may outlive the certificate, or the trust in it.
func (d *Remote) bearer(c *tls.ConnectionState) (certs.Bearer, error) {
	refused := func(why error) (certs.Bearer, error) {
		return certs.Bearer{}, problem(CertRefused, "", fmt.Sprintf("the agent does not take this certificate: %v", why))
	}
	if c == nil {
		return refused(fmt.Errorf("none was shown"))
	}
	set, err := d.Certs.Current()
	if err != nil {
		return refused(fmt.Errorf("its own files are not in order: %w", err))
	}
	if err := set.Admit(c.PeerCertificates, time.Now()); err != nil {
		return refused(err)
	}
	b, err := certs.BearerOf(c.PeerCertificates[0])
	switch own := d.Certs.Owner().Cluster; {
	case err != nil:
		return refused(err)
	case b.Cluster != own:
		return refused(fmt.Errorf("it is of cluster %q (%s), the agent is of %q", b.Cluster, b, own))
	}
	return b, nil
}

// caller is who asks.
type caller struct {
	name string
	role Role
	// short says why the role is not enough where it is not.
	short string
	// gone tells a stream that its reader is not believed any more; nil: it stays.
	gone func() bool
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// admit lets everybody to what he may do. who tells who asks.
func (s *Server) admit(who func(r *http.Request, route string) (caller, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, route := s.routes.Handler(r)
		c, err := who(r, route)
		if err == nil && !May(c.role, route) {
			err = problem(NotPermitted, c.name, "you may look, not act: "+c.short)
		}
		if err != nil {
			complain(w, asProblem(err))
			return
		}
		s.routes.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}

// byKernel tells who asks on the socket. Whoever reaches it may look; only for
// more the groups of the user are looked up.
func (s *Server) byKernel(r *http.Request, route string) (caller, error) {
	p, known := peerOf(r.Context())
	switch {
	case May(Reader, route):
		return caller{name: p.Name, role: Reader}, nil
	case !known:
		return caller{role: Reader, short: "nobody knows who you are"}, nil
	case !s.mayAct(p):
		return caller{name: p.Name, role: Reader, short: fmt.Sprintf("user %s is not in the socket's group", p.Name)}, nil
	}
	return caller{name: p.Name, role: Local}, nil
}

// byCertificate tells who asks over the network.
func (s *Server) byCertificate(r *http.Request, route string) (caller, error) {
	b, err := s.o.Remote.bearer(r.TLS)
	if err != nil {
		return caller{}, err
	}
	short := fmt.Sprintf("the certificate is of %s %s, and an operator's is wanted", b.Kind, b.Name)
	if rights[route] == here {
		short = "this is asked on the host itself only, on its socket"
	}
	return caller{name: b.Name, role: roleOf(b.Kind), short: short,
		gone: func() bool { _, err := s.o.Remote.bearer(r.TLS); return err != nil }}, nil
}
