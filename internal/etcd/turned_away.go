// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// turnedAway are the servers with which no handshake succeeds, by address, and
// why. Of a request the client library says only that its time was over.
type turnedAway struct {
	mu  sync.Mutex
	why map[string]string
}

// turnedAwayMax bounds the addresses: those of the options, and a few beside.
const turnedAwayMax = 16

func (t *turnedAway) note(conn net.Conn, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := conn.RemoteAddr().String()
	if err == nil {
		delete(t.why, at)
		return
	}
	if t.why == nil {
		t.why = map[string]string{}
	}
	if _, known := t.why[at]; known || len(t.why) < turnedAwayMax {
		t.why[at] = err.Error()
	}
}

// explain adds to the error of a request why it found nobody.
func (t *turnedAway) explain(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []string
	for at, why := range t.why { // order: sorted below
		all = append(all, at+": "+why)
	}
	if err == nil || len(all) == 0 {
		return err
	}
	slices.Sort(all)
	return fmt.Errorf("%w (%s)", err, strings.Join(all, "; "))
}

// watched is a connection after its handshake. With TLS 1.3 a server turns a
// client away only then, so what is read first tells whether it was let in.
type watched struct {
	net.Conn
	told *turnedAway
}

// Read passes on what comes.
func (w watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	var op *net.OpError
	switch {
	case n > 0:
		w.told.note(w.Conn, nil)
	case errors.As(err, &op) && op.Op == "remote error":
		w.told.note(w.Conn, fmt.Errorf("it does not take this host's certificate (%w)", op.Err))
	}
	return n, err
}

// SyscallConn lets gRPC set how long unanswered bytes may wait.
func (w watched) SyscallConn() (syscall.RawConn, error) {
	if c, ok := w.Conn.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
