// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// Consistency is how many replicas answer a read of the session. Only the two
// that mean something here exist.
type Consistency uint8

// The consistencies.
const (
	One    Consistency = iota // one replica: what the node itself would tell a client
	Quorum                    // a majority of all replicas, over all datacenters
)

// Credentials log in to the cluster. The zero value logs in as nobody, which
// a cluster without authentication wants.
type Credentials struct {
	User     string
	Password string
}

// ReadCredentials reads a file of lines "username = NAME" and
// "password = SECRET", as cqlsh keeps them; sections and comments are passed
// over. A file that others than its owner and group can read is refused.
func ReadCredentials(path string) (Credentials, error) {
	f, err := os.Open(path)
	if err != nil {
		return Credentials{}, fmt.Errorf("read credentials: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return Credentials{}, fmt.Errorf("read credentials: %w", err)
	} else if info.Mode().Perm()&0o007 != 0 {
		return Credentials{}, fmt.Errorf("read credentials %s: everybody may open it (mode %o); make it 600", path, info.Mode().Perm())
	}
	var c Credentials
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if !ok {
			continue
		}
		switch strings.TrimSpace(name) {
		case "username":
			c.User = strings.TrimSpace(value)
		case "password":
			c.Password = strings.TrimSpace(value)
		}
	}
	if err := lines.Err(); err != nil {
		return Credentials{}, fmt.Errorf("read credentials %s: %w", path, err)
	}
	if c.User == "" || c.Password == "" {
		return Credentials{}, fmt.Errorf("read credentials %s: it needs a line username = … and a line password = …", path)
	}
	return c, nil
}

// SessionOptions bound a session.
type SessionOptions struct {
	Timeout     time.Duration // of one dial and of one query
	Credentials Credentials
	Consistency Consistency
	dial        func(ctx context.Context, network, address string) (net.Conn, error) // tests only
}

// Session speaks CQL with exactly one node: it asks no other one, whatever
// the ring says, so that what it reads is what this node answers.
type Session struct {
	address string
	o       SessionOptions
	s       *gocql.Session
}

// closeMax bounds Close: the driver waits for its own reconnecting.
const closeMax = 2 * time.Second

// OpenSession opens a session to the node at address:port. The driver cannot
// be interrupted while it connects: when ctx ends first, what it still opens
// is closed behind the caller's back, within a few time-outs.
func OpenSession(ctx context.Context, address string, o SessionOptions) (*Session, error) {
	if o.Timeout <= 0 {
		return nil, fmt.Errorf("open session to %s: the time-out must be positive", address)
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("open session to %s: %w", address, err)
	}
	type opened struct {
		s   *gocql.Session
		err error
	}
	done := make(chan opened, 1)
	go func() {
		s, err := config(address, o).CreateSession()
		done <- opened{s, err}
	}()
	select {
	case got := <-done:
		if got.err != nil {
			return nil, fmt.Errorf("open session to %s: %w", address, heard(ctx, got.err))
		}
		return &Session{address: address, o: o, s: got.s}, nil
	case <-ctx.Done():
		go func() {
			if got := <-done; got.s != nil {
				got.s.Close()
			}
		}()
		return nil, fmt.Errorf("open session to %s: %w", address, heard(ctx, ctx.Err()))
	}
}

// config keeps the driver on one node. Its host filter does not cover the
// control connection, the dialer does. The token-aware policy is never used:
// it panics on a keyspace without replicas among the filtered hosts.
func config(address string, o SessionOptions) *gocql.ClusterConfig {
	c := gocql.NewCluster(address)
	c.ProtoVersion = 4
	c.NumConns = 1
	c.Timeout, c.ConnectTimeout, c.WriteTimeout = o.Timeout, o.Timeout, o.Timeout
	c.HostFilter = onlyHost(address)
	c.PoolConfig.HostSelectionPolicy = gocql.RoundRobinHostPolicy()
	c.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: time.Second}
	c.ReconnectInterval = 2 * time.Second
	c.Events.DisableNodeStatusEvents = true
	c.Events.DisableTopologyEvents = true
	c.Events.DisableSchemaEvents = true
	c.MaxWaitSchemaAgreement = o.Timeout
	c.PageSize = 500
	c.Logger = silence{} // what matters comes back as an error
	c.Dialer = onlyDialer{address: address, dial: o.dial}
	c.Consistency = gocql.One
	if o.Consistency == Quorum {
		c.Consistency = gocql.Quorum
	}
	if o.Credentials.User != "" {
		c.Authenticator = gocql.PasswordAuthenticator{Username: o.Credentials.User, Password: o.Credentials.Password}
	}
	return c
}

// onlyHost lets the pool have one host.
func onlyHost(address string) gocql.HostFilter {
	host, _, _ := net.SplitHostPort(address)
	return gocql.HostFilterFunc(func(h *gocql.HostInfo) bool { return h.ConnectAddress().String() == host })
}

// onlyDialer reaches one address and refuses every other.
type onlyDialer struct {
	address string
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

var errOtherNode = errors.New("this session stays on its own node")

// DialContext is gocql.Dialer.
func (d onlyDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if address != d.address {
		return nil, errOtherNode
	}
	if d.dial != nil {
		return d.dial(ctx, network, address)
	}
	var plain net.Dialer
	return plain.DialContext(ctx, network, address)
}

// silence is the driver's logger.
type silence struct{}

// Print, Printf and Println are gocql.StdLogger.
func (silence) Print(...any)          {}
func (silence) Printf(string, ...any) {}
func (silence) Println(...any)        {}

// Close ends the session; it returns within two seconds also when the driver
// is caught in reconnecting, which then ends behind the caller's back.
func (s *Session) Close() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.s.Close()
	}()
	late := time.NewTimer(closeMax)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}

// each runs a query and calls row for every row of its answer.
func (s *Session) each(ctx context.Context, query string, row func(scan func(...any) error) error, args ...any) error {
	rows := s.s.Query(query, args...).WithContext(ctx).Iter().Scanner()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			_ = rows.Err() // releases the iterator
			return fmt.Errorf("ask %s: %w", s.address, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ask %s: %w", s.address, kindOf(ctx, err))
	}
	return nil
}

// kindOf gives a driver's error its kind.
func kindOf(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, gocql.ErrTimeoutNoResponse):
		return fmt.Errorf("%w (%w)", ErrSilent, err)
	case errors.Is(err, gocql.ErrNoConnections), errors.Is(err, gocql.ErrConnectionClosed), errors.Is(err, gocql.ErrSessionClosed):
		return fmt.Errorf("%w (%w)", ErrRefused, err)
	}
	return heard(ctx, err)
}
