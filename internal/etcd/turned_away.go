// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// turnedAway are the servers with which no handshake succeeds, by address, and
// why. Of a request the client library says only that its time was over, and
// nothing at all while another server answers.
type turnedAway struct {
	mu  sync.Mutex
	why map[string]turned
}

type turned struct {
	why string
	at  time.Time
}

const (
	// turnedAwayMax bounds the addresses: those of the options, and a few beside.
	turnedAwayMax = 16
	// turnedAwayFor is how long a word stands: the library tries again each second
	// (see reconnect), and what was heard before that is of a server that has gone.
	turnedAwayFor = 30 * time.Second
)

func (t *turnedAway) note(conn net.Conn, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := conn.RemoteAddr().String()
	if err == nil {
		delete(t.why, at)
		return
	}
	if !refusal(err) {
		return
	}
	if t.why == nil {
		t.why = map[string]turned{}
	}
	if _, known := t.why[at]; known || len(t.why) < turnedAwayMax {
		t.why[at] = turned{words(err), time.Now()}
	}
}

// unfit is what this program itself says of the certificates.
type unfit struct{ error }

// refusal tells whether one side did not believe the other. A server that stands
// still, or goes away in the middle, does not refuse.
func refusal(err error) bool {
	var verify *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var alert *net.OpError
	var own unfit
	return errors.As(err, &verify) || errors.As(err, &plain) || errors.As(err, &own) || errors.As(err, &alert) && alert.Op == "remote error"
}

// words say it without the moment of the try, so that a finding stays the same.
func words(err error) string {
	var bad x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var elsewhere x509.HostnameError
	switch {
	case errors.As(err, &bad) && bad.Reason == x509.Expired && time.Now().Before(bad.Cert.NotBefore):
		return "its certificate is not valid before " + stamp(bad.Cert.NotBefore)
	case errors.As(err, &bad) && bad.Reason == x509.Expired:
		return "its certificate expired at " + stamp(bad.Cert.NotAfter)
	case errors.As(err, &unknown) && unknown.Cert != nil:
		return fmt.Sprintf("its certificate is of an unknown authority (%s)", unknown.Cert.Issuer.CommonName)
	case errors.As(err, &elsewhere):
		return "its certificate is another's: " + elsewhere.Error()
	}
	return err.Error()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// list is sorted by address.
func (t *turnedAway) list(at time.Time) (all []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for server, w := range t.why { // order: sorted below
		if at.Sub(w.at) < turnedAwayFor {
			all = append(all, server+": "+w.why)
		}
	}
	slices.Sort(all)
	return all
}

// explain adds to the error of a request why it found nobody.
func (t *turnedAway) explain(err error) error {
	all := t.list(time.Now())
	if err == nil || len(all) == 0 {
		return err
	}
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
		w.told.note(w.Conn, unfit{fmt.Errorf("it does not take this host's certificate (%w)", op.Err)})
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
