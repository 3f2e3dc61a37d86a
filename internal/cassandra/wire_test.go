// SPDX-License-Identifier: Apache-2.0

package cassandra

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

const supportedBody = "\x00\x01\x00\x0bCQL_VERSION\x00\x01\x00\x053.4.7"

// answering plays a node's OPTIONS answer: count answers, then the end.
func answering(opcode byte, count int, end func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		for range count {
			var head [9]byte
			if _, err := io.ReadFull(c, head[:]); err != nil {
				return
			}
			_, _ = c.Write(append([]byte{0x84, 0, head[2], head[3], opcode, 0, 0, 0, byte(len(supportedBody))}, supportedBody...))
		}
		end(c)
	}
}

func TestProberTellsWhatItHeard(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	wait := func(net.Conn) { <-hold }
	drop := func(c net.Conn) { c.Close() }
	rows := []struct {
		why   string
		serve func(net.Conn)
		asks  int
		want  error
	}{
		{"it answers, on one connection, again and again", answering(opSupported, 10, drop), 9, nil},
		{"it accepts and says nothing", wait, 1, ErrSilent},
		{"it answered once and then no more", answering(opSupported, 1, wait), 2, ErrSilent},
		{"it closes without a word", drop, 1, ErrRefused},
		{"it answers with an error frame", answering(0x00, 1, wait), 1, ErrNonsense},
		{"it speaks another protocol", func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example ESMTP\r\n"); wait(c) }, 1, ErrNonsense},
		{"it announces a frame larger than any", func(c net.Conn) { _, _ = c.Write([]byte{0x84, 0, 0, 1, 6, 0x7f, 0, 0, 0}); wait(c) }, 1, ErrNonsense},
	}
	for _, row := range rows {
		t.Run(row.why, func(t *testing.T) {
			p := NewProber(listen(t, row.serve), 100*time.Millisecond)
			defer p.Close()
			var err error
			for range row.asks {
				err = p.Ask(context.Background())
			}
			if !errors.Is(err, row.want) || row.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, row.want)
			}
			if row.want != nil && p.Lost() != nil {
				t.Error("after an error the connection must be gone")
			}
		})
	}
}

func TestProberNoticesTheEndBetweenTwoQuestions(t *testing.T) {
	die := make(chan struct{})
	p := NewProber(listen(t, answering(opSupported, 1, func(c net.Conn) { <-die; c.Close() })), time.Second)
	defer p.Close()
	if err := p.Ask(context.Background()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Lost():
		t.Fatal("lost before it was")
	default:
	}
	close(die)
	select {
	case <-p.Lost():
	case <-time.After(5 * time.Second):
		t.Fatal("the end of the connection was not noticed")
	}
	if err := p.Ask(context.Background()); !errors.Is(err, ErrRefused) {
		t.Fatalf("got %v", err)
	}
}

func TestALateAnswerIsNotTakenForTheNextOne(t *testing.T) {
	served := make(chan net.Conn, 2)
	p := NewProber(listen(t, func(c net.Conn) { served <- c }), 200*time.Millisecond)
	defer p.Close()
	if err := p.Dial(context.Background()); err != nil {
		t.Fatal(err)
	}
	c := <-served
	if _, err := c.Write(append([]byte{0x84, 0, 0x12, 0x34, opSupported, 0, 0, 0, byte(len(supportedBody))}, supportedBody...)); err != nil {
		t.Fatal(err)
	}
	if err := p.Ask(context.Background()); !errors.Is(err, ErrSilent) {
		t.Fatalf("got %v: an answer to another question proves nothing about this one", err)
	}
}

func TestConnect(t *testing.T) {
	address := listen(t, func(net.Conn) {})
	if err := Connect(context.Background(), address, time.Second); err != nil {
		t.Errorf("a listening port: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.8.100:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Connect(context.Background(), l.Addr().String(), time.Second); !errors.Is(err, ErrRefused) {
		t.Errorf("a closed port: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Connect(ctx, address, time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has gone: %v", err)
	}
}
