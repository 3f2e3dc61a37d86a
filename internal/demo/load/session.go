// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

// Bounds of every request, so that a node that is gone or hung costs a worker
// at most this long.
const (
	requestMax = 2 * time.Second
	reopenWait = 500 * time.Millisecond
)

// client keeps a session open. The driver alone does not always find back to
// a single node that was away, so after reopenAfter requests in a row without
// a connection it gets a new session; requests in between fail at once.
type client struct {
	config func() *gocql.ClusterConfig

	mu      sync.Mutex
	session *gocql.Session
	lost    int // requests in a row that found no connection
	opening bool
	closed  bool
	pending sync.WaitGroup
}

// reopenAfter is about half a second of one worker's requests.
const reopenAfter = 20

// errAway says that there is no session at the moment.
var errAway = errors.New("no connection to the node")

func open(config func() *gocql.ClusterConfig) (*client, error) {
	session, err := config().CreateSession()
	if err != nil {
		return nil, err
	}
	return &client{config: config, session: session}, nil
}

// do runs one request. f must use the session only until it returns.
func (c *client) do(ctx context.Context, f func(context.Context, *gocql.Session) error) error {
	c.mu.Lock()
	session := c.session
	c.mu.Unlock()
	if session == nil {
		return errAway
	}
	ctx, cancel := context.WithTimeout(ctx, requestMax)
	defer cancel()
	err := f(ctx, session)
	c.note(session, err)
	return err
}

// note counts what tells of lost connections and starts the reopening.
func (c *client) note(session *gocql.Session, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil || !(errors.Is(err, gocql.ErrNoConnections) || errors.Is(err, gocql.ErrSessionClosed)) {
		c.lost = 0
		return
	}
	if c.lost++; c.lost < reopenAfter || c.opening || c.closed || c.session != session {
		return
	}
	c.opening, c.session = true, nil
	c.pending.Add(1)
	go c.reopen(session)
}

func (c *client) reopen(old *gocql.Session) {
	defer c.pending.Done()
	old.Close()
	for {
		session, err := c.config().CreateSession()
		c.mu.Lock()
		if err == nil || c.closed {
			c.opening, c.lost = false, 0
			if c.closed && err == nil {
				c.mu.Unlock()
				session.Close()
				return
			}
			c.session = session
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		time.Sleep(reopenWait)
	}
}

// close ends the session; it waits for a reopening that is under way, which
// is bounded by the driver's time-outs.
func (c *client) close() {
	c.mu.Lock()
	c.closed = true
	session := c.session
	c.session = nil
	c.mu.Unlock()
	if session != nil {
		session.Close()
	}
	c.pending.Wait()
}

// toAll talks to all nodes, each of them coordinator in turn. With via, every
// connection goes to that address instead, a proxy in front of the nodes.
func toAll(nodes []Node, via string) func() *gocql.ClusterConfig {
	return func() *gocql.ClusterConfig {
		var hosts []string
		for _, n := range nodes {
			hosts = append(hosts, n.CQL)
		}
		c := base(hosts)
		if via != "" {
			c.Dialer = dialer(func(string) (string, error) { return via, nil })
		}
		return c
	}
}

// toThese talks to these nodes of the cluster and to no other one.
func toThese(nodes []Node) func() *gocql.ClusterConfig {
	return func() *gocql.ClusterConfig {
		c := toAll(nodes, "")()
		var hosts []string
		for _, n := range nodes {
			host, _, _ := net.SplitHostPort(n.CQL)
			hosts = append(hosts, host)
		}
		c.HostFilter = gocql.WhiteListHostFilter(hosts...)
		return c
	}
}

// toOne talks to one node only: the node is the coordinator of every request.
// The driver's host filter does not cover its control connection, the dialer
// does.
func toOne(n Node) func() *gocql.ClusterConfig {
	return func() *gocql.ClusterConfig {
		c := toThese([]Node{n})()
		c.Dialer = dialer(func(address string) (string, error) {
			if address != n.CQL {
				return "", fmt.Errorf("%s is another node than %s", address, n.Name)
			}
			return address, nil
		})
		return c
	}
}

// base never chooses the token-aware policy: it would choose the coordinator.
func base(hosts []string) *gocql.ClusterConfig {
	c := gocql.NewCluster(hosts...)
	c.ProtoVersion = 4
	c.NumConns = 2
	c.Timeout, c.ConnectTimeout, c.WriteTimeout = requestMax, requestMax, requestMax
	c.PoolConfig.HostSelectionPolicy = gocql.RoundRobinHostPolicy()
	c.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: reopenWait}
	c.ReconnectInterval = time.Second
	c.Events.DisableSchemaEvents = true
	c.Logger = silence{}
	return c
}

// dialer maps the address that the driver wants to the one that is dialled.
type dialer func(address string) (string, error)

// DialContext is gocql.Dialer.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := d(address)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{Timeout: requestMax}).DialContext(ctx, network, to)
}

// silence is the driver's logger: what matters comes back as an error.
type silence struct{}

// Print, Printf and Println are gocql.StdLogger.
func (silence) Print(...any)          {}
func (silence) Printf(string, ...any) {}
func (silence) Println(...any)        {}
