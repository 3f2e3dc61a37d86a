// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// connectionsMax bounds the connections of a door; one more is closed at once.
	connectionsMax = 64
	// hostMax bounds those of one address over the network: nobody has yet been told
	// by a certificate, and one host must not take the places of all.
	hostMax = 16
)

// listenUnix makes the socket with its final rights before anybody can see
// it: it is bound under another name and renamed. A socket that nobody
// answers on is what a killed agent left; one that answers is another agent's.
func listenUnix(path string, mode os.FileMode, gid int) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("listen on %s: another agent answers there", path)
	} else if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	fresh := fmt.Sprintf("%s.%d", path, os.Getpid())
	_ = os.Remove(fresh)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false)
	err = errors.Join(chown(fresh, gid), os.Chmod(fresh, mode))
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = ln.Close()
		_ = os.Remove(fresh)
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return &limiter{Listener: ln, slots: make(chan struct{}, connectionsMax), path: path}, nil
}

func chown(path string, gid int) error {
	if gid < 0 || gid == os.Getegid() {
		return nil
	}
	return os.Chown(path, -1, gid)
}

// limiter closes connections beyond the bound, so that those who hold many
// open cost a bounded number of goroutines.
type limiter struct {
	net.Listener
	slots chan struct{}
	hosts *tally // nil: all come from this host
	path  string // of the socket; empty: none
	once  sync.Once
}

// Accept waits for a connection that fits in.
func (l *limiter) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if free, fits := l.place(c); fits {
			return &limited{Conn: c, free: free}, nil
		}
		_ = c.Close()
	}
}

func (l *limiter) place(c net.Conn) (free func(), fits bool) {
	host := ""
	if l.hosts != nil {
		if at, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
			host = at.Addr().String()
		}
		if !l.hosts.add(host) {
			return nil, false
		}
	}
	select {
	case l.slots <- struct{}{}:
		return func() { <-l.slots; l.hosts.drop(host) }, true
	default:
		l.hosts.drop(host)
		return nil, false
	}
}

// tally counts the connections of each address.
type tally struct {
	mu sync.Mutex
	of map[string]int
}

func (t *tally) add(host string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[host] >= hostMax {
		return false
	}
	t.of[host]++
	return true
}

func (t *tally) drop(host string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[host]--; t.of[host] == 0 {
		delete(t.of, host)
	}
}

// Close stops listening and takes the socket away.
func (l *limiter) Close() error {
	err := l.Listener.Close()
	if l.path != "" {
		l.once.Do(func() { _ = os.Remove(l.path) })
	}
	return err
}

type limited struct {
	net.Conn
	once sync.Once
	free func()
}

// Close gives the connection's place to the next one, once.
func (c *limited) Close() error {
	c.once.Do(c.free)
	return c.Conn.Close()
}
