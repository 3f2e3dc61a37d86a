// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/membership"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bootClock is the clock an agent hands in.
func bootClock() cluster.Moment {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err)
	}
	return cluster.Moment(ts.Nano())
}

// node plays a CQL port that answers, is silent, or dies.
type node struct {
	address string
	l       net.Listener
	mu      sync.Mutex
	mute    bool
	lag     time.Duration // before each answer
	asked   int
	dials   int
	open    []net.Conn
	all     sync.WaitGroup
}

const supportedBody = "\x00\x01\x00\x0bCQL_VERSION\x00\x01\x00\x053.4.7"

func serve(t *testing.T, address string) *node {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{address: l.Addr().String(), l: l}
	n.all.Go(n.accept)
	t.Cleanup(n.die)
	return n
}

func (n *node) accept() {
	for {
		c, err := n.l.Accept()
		if err != nil {
			return
		}
		n.mu.Lock()
		n.open = append(n.open, c)
		n.dials++
		n.mu.Unlock()
		n.all.Go(func() { n.answer(c) })
	}
}

func (n *node) answer(c net.Conn) {
	for {
		var head [9]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		n.mu.Lock()
		mute, lag := n.mute, n.lag
		n.asked++
		n.mu.Unlock()
		if lag > 0 {
			<-time.After(lag)
		}
		if !mute {
			_, _ = c.Write(append([]byte{0x84, 0, head[2], head[3], 6, 0, 0, 0, byte(len(supportedBody))}, supportedBody...))
		}
	}
}

// drop ends the open connections and goes on listening.
func (n *node) drop() {
	n.mu.Lock()
	for _, c := range n.open {
		c.Close()
	}
	n.open = nil
	n.mu.Unlock()
}

// die is what kill -9 looks like from outside.
func (n *node) die() {
	n.l.Close()
	n.drop()
	n.all.Wait()
}

func (n *node) hang(yes bool) {
	n.mu.Lock()
	n.mute = yes
	n.mu.Unlock()
}

func (n *node) counts() (asked, dials int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked, n.dials
}

// process plays the own process.
type process struct {
	mu   sync.Mutex
	boot cluster.Boot
	gone chan struct{}
	err  error
}

func (p *process) Watch(context.Context) (cluster.Boot, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.boot, p.gone, p.err
}

func (p *process) start(boot cluster.Boot) {
	p.mu.Lock()
	p.boot, p.gone, p.err = boot, make(chan struct{}), nil
	p.mu.Unlock()
}

func (p *process) exit() {
	p.mu.Lock()
	p.boot = ""
	close(p.gone)
	p.mu.Unlock()
}

// admin plays the admin interface.
type admin struct {
	mu    sync.Mutex
	state cassandra.NodeState
	err   error
	calls int
}

func (a *admin) State(context.Context) (cassandra.NodeState, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	return a.state, a.err
}

func (a *admin) say(s cassandra.NodeState, err error) {
	a.mu.Lock()
	a.state, a.err = s, err
	a.mu.Unlock()
}

// house is a running probe of n1 that looks at n2, all of them fakes.
type house struct {
	*Probe
	t        *testing.T
	own, n2  *node
	process  *process
	admin    *admin
	storage2 *node
	counted  sync.Map // countedAs -> *atomic.Int64
}

type countedAs struct {
	path    membership.Path
	outcome membership.Outcome
}

func (h *house) count(p membership.Path, o membership.Outcome) {
	n, _ := h.counted.LoadOrStore(countedAs{p, o}, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

func run(t *testing.T, change ...func(*Options)) *house {
	t.Helper()
	h := build(t, change...)
	h.begin()
	return h
}

func build(t *testing.T, change ...func(*Options)) *house {
	t.Helper()
	h := &house{t: t, own: serve(t, "127.0.8.101:0"), n2: serve(t, "127.0.8.102:0"), storage2: serve(t, "127.0.8.102:0"),
		process: &process{}, admin: &admin{}}
	h.process.start("one")
	o := Options{Own: Target{"n1", h.own.address, "127.0.8.101:7000"}, Now: bootClock, Process: h.process, Admin: h.admin,
		Peers: []Target{{"n2", h.n2.address, h.storage2.address}}, DataDir: t.TempDir(), Pace: DefaultPace(), Looked: h.count}
	for _, c := range change {
		c(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.Probe = p
	return h
}

func (h *house) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { h.Run(ctx) })
	h.t.Cleanup(func() { cancel(); done.Wait() })
}

// see waits until a path has an outcome and returns its look.
func (h *house) see(subject cluster.Name, path membership.Path, want membership.Outcome) membership.Look {
	h.t.Helper()
	for until := time.Now().Add(10 * time.Second); ; {
		l := h.look(subject, path)
		if l.Outcome == want {
			return l
		}
		if time.Now().After(until) {
			h.t.Fatalf("%s by %v is %v, want %v; troubles %v", subject, path, l.Outcome, want, h.Troubles())
		}
		select {
		case <-h.Changes():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stated waits until the admin interface has told of the process that runs.
func (h *house) stated() {
	h.t.Helper()
	for until := time.Now().Add(10 * time.Second); ; {
		if _, _, ok := h.State(); ok {
			return
		}
		if time.Now().After(until) {
			h.t.Fatal("nothing is told of the process that runs")
		}
		select {
		case <-h.Changes():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// unwatched waits until this is why the disk is not looked at.
func (h *house) unwatched(want error) {
	h.t.Helper()
	for until := time.Now().Add(10 * time.Second); !errors.Is(h.Unwatched(), want); <-time.After(time.Millisecond) {
		if time.Now().After(until) {
			h.t.Fatalf("unwatched by %v, want %v", h.Unwatched(), want)
		}
	}
}

func (h *house) look(subject cluster.Name, path membership.Path) membership.Look {
	for _, l := range h.Looks() {
		if l.Subject == subject && l.Path == path {
			return l
		}
	}
	return membership.Look{}
}
