// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"supervisor/internal/certs"
)

// secured lets a client shake hands with what stands in the keeper's files at
// that moment, without TLS when there is no keeper. Who is turned away, on either
// side, is told to t.
func secured(k *certs.Keeper, t *turnedAway) []grpc.DialOption {
	if k == nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithTransportCredentials(handshakes{k, t})}
}

// usable tells why no handshake can succeed; a command then need not wait.
func usable(k *certs.Keeper) error {
	if k == nil {
		return nil
	}
	if _, err := k.Current(); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	return nil
}

// handshakes are a client's. gRPC's own keep the configuration they began with.
type handshakes struct {
	keeper *certs.Keeper
	told   *turnedAway
}

// ClientHandshake is called for every new connection.
func (h handshakes) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	set, err := h.keeper.Current()
	if err != nil {
		err = unfit{fmt.Errorf("certificates: %w", err)}
		h.told.note(conn, err)
		return nil, nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: set.Roots, VerifyConnection: h.accept,
		// Shown also where the server names other authorities: it then says that it
		// does not know ours, and not that none was shown.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &set.Pair, nil }}
	secure, info, err := credentials.NewTLS(cfg).ClientHandshake(ctx, authority, conn)
	if err != nil {
		h.told.note(conn, err)
		return nil, nil, err
	}
	return watched{secure, h.told}, info, nil
}

// accept is asked when authority and address are known to be right. A server
// that names its cluster must name ours; in a store of the agents' own, the
// region too. One that names none is an etcd of the site's own.
func (h handshakes) accept(c tls.ConnectionState) error {
	own := h.keeper.Owner()
	id, named, err := certs.IdentityOf(c.PeerCertificates[0])
	switch {
	case err != nil:
		return unfit{fmt.Errorf("the server's certificate: %w", err)}
	case named && id.Cluster != own.Cluster:
		return unfit{fmt.Errorf("the server shows a certificate of cluster %q (%s), this agent is of %q; look at the addresses of the store and at the files there", id.Cluster, id, own.Cluster)}
	case named && own.Embedded && id.Region != own.Region:
		return unfit{fmt.Errorf("the server shows a certificate of region %q (%s), this agent is of %q; look at the addresses of the store and at the files there", id.Region, id, own.Region)}
	}
	return nil
}

// ServerHandshake is no part of a client.
func (h handshakes) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("these are a client's handshakes")
}

// Info says what they are.
func (h handshakes) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls", SecurityVersion: "1.2"}
}

// Clone copies them; they hold nothing of one connection.
func (h handshakes) Clone() credentials.TransportCredentials { return h }

// OverrideServerName is refused: a server is known by the address it is reached at.
func (h handshakes) OverrideServerName(string) error {
	return errors.New("a server is known by its address")
}

// server is what a port of a member asks of whoever comes. etcd reads
// certificate and key anew for every connection, and the authorities only here.
func server(f certs.Files) transport.TLSInfo {
	return transport.TLSInfo{CertFile: f.Cert, KeyFile: f.Key, TrustedCAFile: f.CA, ClientCertAuth: true}
}
