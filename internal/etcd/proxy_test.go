// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"net"
	"sync"
	"testing"
)

// proxy stands between one client and a store and can hold its bytes back.
type proxy struct {
	target string
	l      net.Listener
	wg     sync.WaitGroup

	mu           sync.Mutex
	open         map[net.Conn]bool
	cut          chan struct{} // closed by Cut
	upHeld, down bool          // hold requests, hold answers
	closed       bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	p := &proxy{target: target, l: l, open: map[net.Conn]bool{}, cut: make(chan struct{})}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

// Mute holds answers back, or also requests. What is held back is never sent.
func (p *proxy) Mute(requestsToo bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.upHeld, p.down = requestsToo, true
}

// Cut breaks every connection and lets new ones through.
func (p *proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.cut)
	p.upHeld, p.down, p.cut = false, false, make(chan struct{})
	for c := range p.open {
		c.Close()
	}
	clear(p.open)
}

func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.l.Close()
	p.Cut()
	p.wg.Wait()
}

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.target)
		if err != nil {
			c.Close()
			continue
		}
		if !p.keep(c, s) {
			return
		}
		p.wg.Go(func() { p.pump(s, c, func() bool { return p.upHeld }) })
		p.wg.Go(func() { p.pump(c, s, func() bool { return p.down }) })
	}
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.closed {
			c.Close()
			continue
		}
		p.open[c] = true
	}
	return !p.closed
}

// pump copies until one side ends; what arrives while held waits for a cut.
func (p *proxy) pump(to, from net.Conn, held func() bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		hold, cut := held(), p.cut
		p.mu.Unlock()
		if hold {
			<-cut
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
