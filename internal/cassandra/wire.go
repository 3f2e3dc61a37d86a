// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// The pieces of protocol version 4 that one OPTIONS frame and its answer need.
const (
	versionAsk    = 0x04
	versionAnswer = 0x84
	opOptions     = 0x05
	opSupported   = 0x06
	opError       = 0x00
	codeBusy      = 0x1001  // the error code of an overloaded coordinator
	frameHead     = 9       // version, flags, stream (2), opcode, length (4)
	frameMax      = 1 << 16 // a SUPPORTED body is about 200 bytes
)

// Prober asks one CQL port for a sign of life over one connection that it
// keeps. It is for one goroutine; only Lost may be watched by others.
//
// OPTIONS needs no credentials and touches no data: the answer proves that
// the process runs its event loop, nothing more. A kept connection is served
// on after the port was closed, so that only a new Dial tells whether clients
// still get in.
type Prober struct {
	address string
	max     time.Duration
	line    *line
	stream  uint16
}

// NewProber returns a prober for address:port; one dial and one question may
// each take as long as max.
func NewProber(address string, max time.Duration) *Prober {
	return &Prober{address: address, max: max}
}

// Dial opens the connection anew.
func (p *Prober) Dial(ctx context.Context) error {
	p.Close()
	own, cancel := context.WithTimeout(ctx, p.max)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(own, "tcp", p.address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", p.address, heard(ctx, err))
	}
	p.line = newLine(conn)
	return nil
}

// Ask sends one OPTIONS frame and waits for its SUPPORTED; without a
// connection it dials first. Its error is ErrRefused, ErrSilent, ErrNonsense or
// ErrBusy (or the context's), and after an error the connection is gone.
func (p *Prober) Ask(ctx context.Context) error {
	if p.line == nil {
		if err := p.Dial(ctx); err != nil {
			return err
		}
	}
	p.stream = (p.stream + 1) & 0x7fff // negative streams belong to the server
	own, cancel := context.WithTimeout(ctx, p.max)
	defer cancel()
	if err := p.line.ask(own, p.stream); err != nil {
		p.line.reset()
		p.Close()
		return fmt.Errorf("ask %s: %w", p.address, heard(ctx, err))
	}
	return nil
}

// Lost is closed when the kept connection ends, which a dying process causes
// at once, between two questions too. It is nil, and blocks, without one.
func (p *Prober) Lost() <-chan struct{} {
	if p.line == nil {
		return nil
	}
	return p.line.ended
}

// Close ends the connection and waits for its reader. A later Ask dials again.
func (p *Prober) Close() {
	if p.line != nil {
		p.line.close()
		p.line = nil
	}
}

// line is one connection with the goroutine that reads it, so that its end is
// seen also while nobody asks.
type line struct {
	conn   net.Conn
	frames chan frame    // capacity 1: a late answer nobody waits for is dropped
	ended  chan struct{} // closed by the reader after err is set
	err    error
}

type frame struct {
	opcode byte
	stream uint16
	body   []byte
}

func newLine(conn net.Conn) *line {
	l := &line{conn: conn, frames: make(chan frame, 1), ended: make(chan struct{})}
	go l.read()
	return l
}

func (l *line) read() {
	defer close(l.ended)
	for {
		f, err := readFrame(l.conn)
		if err != nil {
			l.err = err
			return
		}
		select {
		case <-l.frames: // a late answer to an older question
		default:
		}
		l.frames <- f
	}
}

func (l *line) ask(ctx context.Context, stream uint16) error {
	head := []byte{versionAsk, 0, byte(stream >> 8), byte(stream), opOptions, 0, 0, 0, 0}
	until, _ := ctx.Deadline()
	if err := l.conn.SetWriteDeadline(until); err != nil {
		return err
	}
	if _, err := l.conn.Write(head); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-l.frames:
			if f.stream != stream {
				continue
			}
			return f.supported()
		case <-l.ended:
			return l.last(stream)
		}
	}
}

// last is the answer that came just before the end, or else the end.
func (l *line) last(stream uint16) error {
	for {
		select {
		case f := <-l.frames:
			if f.stream == stream {
				return f.supported()
			}
		default:
			return l.err
		}
	}
}

// reset makes close cut the connection instead of parting politely: a stopped
// process would keep every half-closed one.
func (l *line) reset() {
	if tcp, ok := l.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

func (l *line) close() {
	_ = l.conn.Close()
	<-l.ended
}

// readFrame reads one frame; anything that is not one is ErrNonsense.
func readFrame(r io.Reader) (frame, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	size := binary.BigEndian.Uint32(head[5:])
	if head[0] != versionAnswer || size > frameMax {
		return frame{}, fmt.Errorf("%w: frame begins with % x", ErrNonsense, head)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return frame{}, err
	}
	return frame{opcode: head[4], stream: binary.BigEndian.Uint16(head[2:]), body: body}, nil
}

// supported tells whether the frame is the answer to OPTIONS. The body is not
// taken apart: naming the CQL version is what every server does.
func (f frame) supported() error {
	if f.opcode == opError && len(f.body) >= 4 && binary.BigEndian.Uint32(f.body) == codeBusy {
		return ErrBusy
	}
	if f.opcode != opSupported || !bytes.Contains(f.body, []byte("CQL_VERSION")) {
		return fmt.Errorf("%w: opcode %#x in answer to OPTIONS", ErrNonsense, f.opcode)
	}
	return nil
}

// Connect opens and closes a connection to address:port, which proves only
// that the kernel there accepts for a listening socket. Errors are as Ask's.
func Connect(ctx context.Context, address string, max time.Duration) error {
	own, cancel := context.WithTimeout(ctx, max)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(own, "tcp", address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, heard(ctx, err))
	}
	if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close connection to %s: %w", address, err)
	}
	return nil
}
