// SPDX-License-Identifier: Apache-2.0

package alarms

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	latency = 500 * time.Microsecond
	// heldMax is how many packets wait for a process that does not run: about what
	// the kernel's default buffer of a socket holds.
	heldMax = 256
	portNo  = 7946
)

// span is when an agent gets no CPU: [from, to).
type span struct{ from, to time.Time }

// link is one direction between two hosts.
type link struct {
	cut   bool
	loss  float64
	tries uint64 // packets so far, for their luck
}

// host is one on the network.
type host struct {
	addr   string
	down   bool   // it lost its power
	port   *port  // of the agent that runs there; nil: none does
	stalls []span // of its agent, in order
	held   []*memberlist.Packet
	waking bool // somebody delivers what is held when the agent runs again
}

// awake is at, or when the agent gets CPU again.
func (h *host) awake(at time.Time) time.Time {
	for _, s := range h.stalls {
		if s.from.After(at) {
			break
		}
		if at.Before(s.to) {
			at = s.to
		}
	}
	return at
}

// stalledSoon is the first stall that begins within d after at.
func (h *host) stalledSoon(at time.Time, d time.Duration) (span, bool) {
	for _, s := range h.stalls {
		if !s.from.Before(at) && s.from.Sub(at) < d {
			return s, true
		}
	}
	return span{}, false
}

// network carries packets between hosts. Its mutex is never held while somebody
// waits.
type network struct {
	seed uint64

	mu    sync.Mutex
	hosts []*host
	at    map[string]int // hosts by address
	links []link         // from*len(hosts)+to
	bytes uint64         // of all packets and streams that were sent
	dials int            // streams that were opened
}

func newNetwork(seed uint64, size int) *network {
	n := &network{seed: seed, at: map[string]int{}, links: make([]link, size*size)}
	for i := range size {
		h := &host{addr: net.JoinHostPort(fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250), strconv.Itoa(portNo))}
		n.hosts = append(n.hosts, h)
		n.at[h.addr] = i
	}
	return n
}

func (n *network) link(from, to int) *link { return &n.links[from*len(n.hosts)+to] }

// passes decides about one packet. The mutex is held.
func (n *network) passes(from, to int) bool {
	l := n.link(from, to)
	if n.hosts[from].down || n.hosts[to].down || l.cut {
		return false
	}
	if l.loss == 0 || from == to {
		return true
	}
	l.tries++
	return luck(n.seed, uint64(from), uint64(to), l.tries) >= l.loss
}

// open tells whether packets can pass at all, of which at most so many are lost.
// The mutex is held.
func (n *network) open(from, to int, loss float64) bool {
	l := n.link(from, to)
	return !n.hosts[from].down && !n.hosts[to].down && !l.cut && l.loss <= loss
}

// arrive gives a packet to the agent on a host, when that runs.
func (n *network) arrive(to int, p *memberlist.Packet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, now := n.hosts[to], time.Now()
	if h.down || h.port == nil {
		return
	}
	wake := h.awake(now)
	switch {
	case !h.waking && !wake.After(now):
		h.port.take(p)
	case len(h.held) < heldMax:
		h.held = append(h.held, p)
		if !h.waking {
			h.waking = true
			time.AfterFunc(wake.Sub(now), func() { n.wake(to) })
		}
	}
}

// wake delivers what was held, in the order in which it came.
func (n *network) wake(to int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, now := n.hosts[to], time.Now()
	if again := h.awake(now); again.After(now) {
		time.AfterFunc(again.Sub(now), func() { n.wake(to) })
		return
	}
	for _, p := range h.held {
		if h.port != nil {
			h.port.take(p)
		}
	}
	h.held, h.waking = nil, false
}

// port is memberlist's transport on one host, of one start of its agent.
type port struct {
	n       *network
	host    int
	packets chan *memberlist.Packet
	streams chan net.Conn
}

// listen is a new start of the agent on a host.
func (n *network) listen(host int) *port {
	p := &port{n: n, host: host, packets: make(chan *memberlist.Packet, 4*heldMax), streams: make(chan net.Conn, heldMax)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[host].port = p
	return p
}

// unplug is what a killed process leaves: nobody listens, nothing goes out.
func (p *port) unplug() {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if p.n.hosts[p.host].port == p {
		p.n.hosts[p.host].port = nil
	}
}

func (p *port) take(packet *memberlist.Packet) {
	packet.Timestamp = time.Now()
	select {
	case p.packets <- packet:
	default:
	}
}

// FinalAdvertiseAddr is what the options say.
func (p *port) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	return net.ParseIP(ip), port, nil
}

// WriteTo sends a packet.
func (p *port) WriteTo(b []byte, addr string) (time.Time, error) {
	return p.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// WriteToAddress sends a packet. A lost one is no error, as on UDP.
func (p *port) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	now := time.Now()
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	from := p.n.hosts[p.host]
	to, known := p.n.at[a.Addr]
	if !known || from.port != p {
		return now, nil
	}
	p.n.bytes += uint64(len(b))
	if !p.n.passes(p.host, to) {
		return now, nil
	}
	packet := &memberlist.Packet{Buf: slices.Clone(b), From: address(from.addr)}
	time.AfterFunc(from.awake(now).Add(latency).Sub(now), func() { p.n.arrive(to, packet) })
	return now, nil
}

// PacketCh is where packets come in.
func (p *port) PacketCh() <-chan *memberlist.Packet { return p.packets }

// StreamCh is where streams come in.
func (p *port) StreamCh() <-chan net.Conn { return p.streams }

// Shutdown ends nothing: no goroutine of ours waits.
func (p *port) Shutdown() error { p.unplug(); return nil }

// DialTimeout opens a stream.
func (p *port) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return p.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

var errTimeout, errRefused = errors.New("i/o timeout"), errors.New("connection refused")

// DialAddressTimeout opens a stream: where a packet of the handshake is lost
// there is none, since the next try comes after a second and they wait for two.
func (p *port) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	p.n.mu.Lock()
	to, known := p.n.at[a.Addr]
	through := known && p.n.hosts[p.host].port == p && p.n.passes(p.host, to) && p.n.passes(to, p.host)
	var there *port
	var wait time.Duration
	if through {
		now := time.Now()
		if p.n.hosts[to].port != nil {
			p.n.dials++
		}
		there, wait = p.n.hosts[to].port, p.n.hosts[to].awake(now).Add(latency).Sub(now)
	}
	p.n.mu.Unlock()
	switch {
	case !through:
		time.Sleep(timeout)
		return nil, &net.OpError{Op: "dial", Net: "fake", Err: errTimeout}
	case there == nil:
		time.Sleep(2 * latency)
		return nil, &net.OpError{Op: "dial", Net: "fake", Err: errRefused}
	}
	near, far := net.Pipe()
	time.AfterFunc(wait, func() {
		select {
		case there.streams <- stream{far, p.n, address(p.n.hosts[p.host].addr)}:
		default:
			far.Close()
		}
	})
	return stream{near, p.n, address(a.Addr)}, nil
}

// stream counts what it carries.
type stream struct {
	net.Conn
	n    *network
	peer address
}

// Write counts.
func (s stream) Write(b []byte) (int, error) {
	s.n.mu.Lock()
	s.n.bytes += uint64(len(b))
	s.n.mu.Unlock()
	return s.Conn.Write(b)
}

// RemoteAddr is the other host's.
func (s stream) RemoteAddr() net.Addr { return s.peer }

// address is a host's on the network.
type address string

// Network is the name of it.
func (a address) Network() string { return "fake" }

// String is what memberlist compares.
func (a address) String() string { return string(a) }
