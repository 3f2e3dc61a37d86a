// SPDX-License-Identifier: Apache-2.0

//go:build netns

package nft

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests make network namespaces of their own, and nothing of them is seen
// or left outside.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		for _, program := range []string{"ip", "nft", "setpriv", supervisor} {
			if _, err := exec.LookPath(program); err != nil || os.Geteuid() != 0 {
				fmt.Fprintln(os.Stderr, "this test makes network namespaces; run it as root, with iproute2, nftables and util-linux installed, and the program built")
				return 1
			}
		}
		return m.Run()
	}())
}

// host is a network namespace with a thread of its own.
type host struct {
	t    *testing.T
	work chan func()
	ns   string // a path to the namespace
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, work: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		err := unix.Unshare(unix.CLONE_NEWNET)
		h.ns = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- err
		for f := range h.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { close(h.work) })
	h.run("ip", "link", "set", "lo", "up")
	return h
}

// in runs f in the namespace. Sockets that f opens stay there.
func (h *host) in(f func()) {
	done := make(chan struct{})
	h.work <- func() { defer close(done); f() }
	<-done
}

func (h *host) try(argv ...string) (said string, err error) {
	h.in(func() {
		var out []byte
		out, err = exec.Command(argv[0], argv[1:]...).CombinedOutput()
		said = string(out)
	})
	return said, err
}

func (h *host) run(argv ...string) string {
	h.t.Helper()
	said, err := h.try(argv...)
	if err != nil {
		h.t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, said)
	}
	return said
}

// The node and its neighbour, joined by one cable, with two addresses of the
// neighbour's so that one can be allowed.
const (
	nodeIP, nodeIP6      = "10.11.0.1", "fd00:11::1"
	otherIP, otherIP6    = "10.11.0.2", "fd00:11::2"
	friendIP             = "10.11.0.3"
	cqlPort, storagePort = 9042, 7000
	closedPort           = 9
	quick                = 700 * time.Millisecond
	answerMax            = 5 * time.Second
	neighbour, nodeDev   = "far", "near"
	foreign              = "table inet site { chain c { type filter hook input priority filter; policy accept; tcp dport 1 drop; }; }"
)

var ports = Ports{Clients: []uint16{cqlPort}, Ring: []uint16{storagePort, 7001}}

func pair(t *testing.T) (node, other *host) {
	t.Helper()
	node, other = newHost(t), newHost(t)
	node.run("ip", "link", "add", nodeDev, "type", "veth", "peer", "name", neighbour)
	node.run("ip", "link", "set", neighbour, "netns", other.ns)
	for _, a := range []string{nodeIP + "/24", nodeIP6 + "/64"} {
		node.run("ip", "addr", "add", a, "dev", nodeDev, "nodad")
	}
	for _, a := range []string{otherIP + "/24", friendIP + "/24", otherIP6 + "/64"} {
		other.run("ip", "addr", "add", a, "dev", neighbour, "nodad")
	}
	node.run("ip", "link", "set", nodeDev, "up")
	other.run("ip", "link", "set", neighbour, "up")
	// A cable takes a moment until it passes the first packet.
	for _, ends := range [][2]string{{otherIP, nodeIP}, {friendIP, nodeIP}, {otherIP6, nodeIP6}} {
		if _, err := other.dial(ends[0], ends[1], closedPort, answerMax); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("from %s to %s, where nobody listens: %v", ends[0], ends[1], err)
		}
	}
	node.run("nft", foreign)
	return node, other
}

// listen answers every line with itself, on all addresses of a host.
func (h *host) listen(port int) {
	h.t.Helper()
	var l net.Listener
	var err error
	h.in(func() { l, err = net.Listen("tcp", fmt.Sprintf(":%d", port)) })
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.t.Cleanup(func() { _ = c.Close() })
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
}

func (h *host) dial(from, to string, port int, limit time.Duration) (c net.Conn, err error) {
	h.in(func() {
		d := net.Dialer{Timeout: limit, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		if from == "" {
			d.LocalAddr = nil
		}
		c, err = d.DialContext(context.Background(), "tcp", net.JoinHostPort(to, fmt.Sprint(port)))
	})
	return c, err
}

// connected is a connection over which a word has come back.
func (h *host) connected(from, to string, port int) net.Conn {
	h.t.Helper()
	c, err := h.dial(from, to, port, answerMax)
	if err != nil {
		h.t.Fatalf("connect from %s to %s port %d: %v", from, to, port, err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	if err := echoed(c, answerMax); err != nil {
		h.t.Fatalf("a word from %s to %s port %d: %v", from, to, port, err)
	}
	return c
}

func echoed(c net.Conn, limit time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("word\n")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

// answers tells in a word what a new connection meets, on a busy machine too.
func (h *host) answers(from, to string, port int) string { return h.within(answerMax, from, to, port) }

// answersSoon is for those that are expected to meet silence.
func (h *host) answersSoon(from, to string, port int) string { return h.within(quick, from, to, port) }

func (h *host) within(limit time.Duration, from, to string, port int) string {
	c, err := h.dial(from, to, port, limit)
	if err == nil {
		defer c.Close()
		err = echoed(c, limit)
	}
	return met(err)
}

func met(err error) string {
	timeout := net.Error(nil)
	switch {
	case err == nil:
		return "answers"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "silent"
	}
	return err.Error()
}

func (h *host) apply(s State) (found []string) {
	h.t.Helper()
	return h.applyOn(s, ports)
}

func (h *host) applyOn(s State, ports Ports) (found []string) {
	h.t.Helper()
	s, err := Canonical(s, ports)
	if err != nil {
		h.t.Fatal(err)
	}
	h.in(func() { found, err = Kernel{}.Apply(s, Lease{}, Ended) })
	if err != nil {
		h.t.Fatalf("apply %s: %v\n%s", s, err, h.run("nft", "list", "ruleset"))
	}
	return found
}

func (h *host) standing() Standing {
	h.t.Helper()
	var st Standing
	var err error
	h.in(func() { st, err = Kernel{}.Standing() })
	if err != nil {
		h.t.Fatal(err)
	}
	return st
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func TestClientsAreReset(t *testing.T) {
	node, other := pair(t)
	node.listen(cqlPort)
	node.listen(storagePort)
	connected, connected6 := other.connected(otherIP, nodeIP, cqlPort), other.connected("", nodeIP6, cqlPort)
	friend, own := other.connected(friendIP, nodeIP, cqlPort), node.connected("", nodeIP, cqlPort)
	before := node.run("nft", "list", "table", "inet", "site")

	node.apply(State{Clients: &Clients{Ports: []uint16{cqlPort}, Allowed: []netip.Prefix{netip.MustParsePrefix(friendIP + "/32")}}})
	want(t, "a driver that was connected", met(echoed(connected, answerMax)), "reset")
	want(t, "and one over IPv6", met(echoed(connected6, answerMax)), "reset")
	want(t, "a new one", other.answers(otherIP, nodeIP, cqlPort), "refused")
	want(t, "a new one over IPv6", other.answers("", nodeIP6, cqlPort), "refused")
	want(t, "the agent's own probe that stands", met(echoed(own, answerMax)), "answers")
	want(t, "its new one, by the host's own address", node.answers("", nodeIP, cqlPort), "answers")
	want(t, "its new one, by loopback", node.answers("", "127.0.0.1", cqlPort), "answers")
	want(t, "its new one, by loopback's IPv6", node.answers("", "::1", cqlPort), "answers")
	want(t, "an allowed one that stands", met(echoed(friend, answerMax)), "answers")
	want(t, "a new one that is allowed", other.answers(friendIP, nodeIP, cqlPort), "answers")
	want(t, "another port", other.answers(otherIP, nodeIP, storagePort), "answers")
	want(t, "the site's table", node.run("nft", "list", "table", "inet", "site"), before)

	node.apply(State{})
	want(t, "lifted", other.answers(otherIP, nodeIP, cqlPort), "answers")
	if said, err := node.try("nft", "list", "table", "inet", TableName); err == nil {
		t.Errorf("lifted, and there is still a table: %s", said)
	}
	want(t, "the site's table, lifted", node.run("nft", "list", "table", "inet", "site"), before)
}

// A process that wakes up behind its fence answers what it had read before.
func TestALateAnswerReachesNobody(t *testing.T) {
	node, other := pair(t)
	lateAnswer(t, node, other, func() { node.apply(State{Clients: &Clients{Ports: []uint16{cqlPort}}}) })
}

// lateAnswer answers a question that was read before the port was shut. The answer
// reaches nobody, and its own end of the connection is over.
func lateAnswer(t *testing.T, node, other *host, shut func()) {
	t.Helper()
	var l net.Listener
	var err error
	node.in(func() { l, err = net.Listen("tcp", fmt.Sprintf(":%d", cqlPort)) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := other.dial(otherIP, nodeIP, cqlPort, answerMax)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := client.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	shut()
	if _, err := server.Write([]byte("an old row")); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(quick)
	_ = client.SetReadDeadline(deadline)
	if n, err := client.Read(make([]byte, 10)); n > 0 || met(err) != "silent" {
		t.Errorf("the client reads %d bytes, %s", n, met(err))
	}
	_ = server.SetReadDeadline(deadline.Add(answerMax))
	_, err = server.Read(make([]byte, 1))
	want(t, "the server's own end", met(err), "reset")
}

// Only the addresses that are named are closed.
func TestOneAddressIsClosed(t *testing.T) {
	node, other := pair(t)
	node.listen(cqlPort)
	node.apply(State{Clients: &Clients{Ports: []uint16{cqlPort}, Addresses: []netip.Addr{netip.MustParseAddr(nodeIP)}}})
	want(t, "the address that is named", other.answers(otherIP, nodeIP, cqlPort), "refused")
	want(t, "the other one", other.answers("", nodeIP6, cqlPort), "answers")
}

func TestTheRingIsCutBothWays(t *testing.T) {
	node, other := pair(t)
	for _, h := range []*host{node, other} {
		h.listen(storagePort)
		h.listen(cqlPort)
	}
	from, to := other.connected(otherIP, nodeIP, storagePort), node.connected("", otherIP, storagePort)
	from6, bystander := other.connected("", nodeIP6, storagePort), other.connected(friendIP, nodeIP, storagePort)
	peers := []netip.Addr{netip.MustParseAddr(otherIP), netip.MustParseAddr(otherIP6)}
	cut := State{Ring: &Ring{Ports: []uint16{storagePort}, Peers: peers}}
	node.apply(cut)
	want(t, "a connection from the peer", met(echoed(from, quick)), "silent")
	want(t, "a connection to the peer", met(echoed(to, quick)), "silent")
	want(t, "one from the peer over IPv6", met(echoed(from6, quick)), "silent")
	want(t, "a new one from the peer", other.answersSoon(otherIP, nodeIP, storagePort), "silent")
	want(t, "a new one to the peer", node.answersSoon("", otherIP, storagePort), "silent")
	want(t, "a new one to the peer over IPv6", node.answersSoon("", otherIP6, storagePort), "silent")
	want(t, "another member of the ring", met(echoed(bystander, answerMax)), "answers")
	want(t, "clients of the node", other.answers(otherIP, nodeIP, cqlPort), "answers")
	want(t, "the node with itself", node.answers("", nodeIP, storagePort), "answers")
	node.apply(State{})
	want(t, "lifted, from the peer", other.answers(otherIP, nodeIP, storagePort), "answers")
	want(t, "lifted, to the peer", node.answers("", otherIP, storagePort), "answers")
	// TCP sends again what was dropped meanwhile.
	if err := echoed(from, answerMax); err != nil {
		t.Errorf("lifted, a connection that stood: %v", err)
	}
}

// Nothing leaves either: a peer that is cut off by its own rules too must not be
// what makes the test above pass.
func TestWhatGoesIsDropped(t *testing.T) {
	node, other := pair(t)
	other.listen(storagePort)
	other.run("nft", "table inet look { chain in { type filter hook input priority 0; tcp dport 7000 counter; }; chain out { type filter hook output priority 0; tcp sport 7000 counter; }; }")
	stands := node.connected("", otherIP, storagePort)
	node.apply(State{Ring: &Ring{Ports: []uint16{storagePort}, Peers: []netip.Addr{netip.MustParseAddr(otherIP)}}})
	came := func() string { return other.run("nft", "list", "chain", "inet", "look", "in") }
	before := came()
	want(t, "a connection to the peer", met(echoed(stands, quick)), "silent")
	want(t, "a new one", node.answersSoon("", otherIP, storagePort), "silent")
	want(t, "what came to the peer", came(), before)
}

func both() State {
	return State{
		Clients: &Clients{Ports: []uint16{cqlPort}, Addresses: []netip.Addr{netip.MustParseAddr(nodeIP), netip.MustParseAddr(nodeIP6)},
			Allowed: []netip.Prefix{netip.MustParsePrefix("10.11.0.3/32"), netip.MustParsePrefix("10.64.0.0/10"), netip.MustParsePrefix("fd00:12::/61")}},
		Ring: &Ring{Ports: []uint16{storagePort, 7001}, Peers: []netip.Addr{netip.MustParseAddr(otherIP), netip.MustParseAddr(otherIP6)}},
	}
}

func TestASecondApplyIsNoChange(t *testing.T) {
	node, _ := pair(t)
	for _, s := range []State{both(), {Ring: both().Ring}, {Clients: both().Clients}, {}} {
		first := node.apply(s)
		once := node.run("nft", "-a", "list", "ruleset")
		if again := node.apply(s); first == nil || again != nil {
			t.Errorf("%s: found %q, then %q", s, first, again)
		}
		// Handles count up: rules that were made anew have others.
		want(t, "all rules after a second apply", node.run("nft", "-a", "list", "ruleset"), once)
		if st := node.standing(); !st.Is(s) {
			t.Errorf("%s is wanted, and there stands %+v", s, st)
		}
	}
}

// What nft says of the table is what a person reads.
func TestWhatNFTLists(t *testing.T) {
	node, _ := pair(t)
	node.apply(State{Clients: &Clients{Ports: []uint16{cqlPort}}, Ring: &Ring{Ports: []uint16{storagePort}, Peers: []netip.Addr{netip.MustParseAddr(otherIP)}}})
	said := node.run("nft", "list", "table", "inet", TableName)
	for _, line := range []string{
		"chain owner_v1_", "elements = { 10.11.0.2 }", "type filter hook input priority raw; policy accept;", "type filter hook output priority raw; policy accept;",
		`iifname "lo" accept comment "cassandra-supervisor: this host with itself"`, `oifname "lo" accept`,
		`ip saddr @peers4 tcp dport 7000 drop comment "cassandra-supervisor: ring fence"`, "ip saddr @peers4 tcp sport 7000 drop",
		"ip daddr @peers4 tcp dport 7000 drop", "ip daddr @peers4 tcp sport 7000 drop",
		"tcp dport 9042 reject with tcp reset", "tcp sport 9042 reject with tcp reset", "tcp dport 9042 tcp flags rst accept",
	} {
		if !strings.Contains(said, line) {
			t.Errorf("nft does not say %q:\n%s", line, said)
		}
	}
}

// Whatever a hand does to our table is noticed, told and put right.
func TestWhatAHandChangedIsPutRight(t *testing.T) {
	node, _ := pair(t)
	node.apply(both())
	whole := node.run("nft", "list", "table", "inet", TableName)
	table := "inet " + TableName
	deleteFirst := func(chain, words string) string {
		for line := range strings.Lines(node.run("nft", "-a", "list", "chain", "inet", TableName, chain)) {
			if _, handle, found := strings.Cut(strings.TrimSpace(line), "# handle "); found && strings.Contains(line, words) && !strings.Contains(line, "chain ") {
				return fmt.Sprintf("delete rule %s %s handle %s", table, chain, handle)
			}
		}
		t.Fatalf("no rule with %q", words)
		return ""
	}
	rows := []struct {
		why, nft, told string
	}{
		{"a rule is gone", deleteFirst(Incoming, "reject with tcp reset"), "chain incoming: missing near in own4 near port 9042 reset"},
		{"one that drops what goes is gone", deleteFirst(Outgoing, "@peers4 tcp dport 7000"), "chain outgoing: missing far in peers4"},
		{"all rules are gone", "flush table " + table, "chain incoming: missing loopback accept"},
		{"a hole is cut in front", "insert rule " + table + " incoming accept", "not ours accept"},
		{"a hole for one port", "insert rule " + table + " incoming tcp dport 9042 counter accept", "none of ours"},
		{"an expression that libraries do not know", "insert rule " + table + " incoming rt classid 7 accept", "none of ours"},
		{"a rule stands twice", "add rule " + table + ` incoming iifname "lo" accept comment "cassandra-supervisor: this host with itself"`, "another order, or repeated"},
		{"a peer is let in", "delete element " + table + " peers4 { " + otherIP + " }", "set peers4: missing " + otherIP},
		{"a stranger is cut off", "add element " + table + " peers4 { 10.11.0.9 }", "set peers4: not ours 10.11.0.9"},
		{"a set more", "add set " + table + " more { type ipv4_addr; }", "set more is none of ours"},
		{"a chain more", "add chain " + table + " more { type filter hook input priority -400; }", "chain more is none of ours"},
		{"a chain drops by itself", "chain " + table + " incoming { policy drop; }", "another hook, priority, type or policy"},
		{"the whole table is gone", "delete table " + table, "there is no table"},
		{"the table sleeps", "add table " + table + " { flags dormant; }", "dormant"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			node.run("nft", r.nft)
			st := node.standing()
			if st.Is(both()) || st.Foreign || !slices.ContainsFunc(st.From(both(), Lease{}), func(d string) bool { return strings.Contains(d, r.told) }) {
				t.Errorf("what stands says %q, want %q", st.From(both(), Lease{}), r.told)
			}
			if found := node.apply(both()); !slices.Equal(found, st.From(both(), Lease{})) {
				t.Errorf("found %q", found)
			}
			want(t, "the table", node.run("nft", "list", "table", "inet", TableName), whole)
		})
	}
}

// A table of our name without our mark is somebody else's.
func TestAForeignTableOfOurNameIsLeftAlone(t *testing.T) {
	for _, whose := range []string{"table inet " + TableName + " { chain mine { type filter hook input priority 0; tcp dport 1 drop; }; }", "add table inet " + TableName} {
		node, _ := pair(t)
		node.run("nft", whose)
		before := node.run("nft", "list", "ruleset")
		for _, s := range []State{both(), {}} {
			var err error
			s, _ = Canonical(s, ports)
			node.in(func() { _, err = Kernel{}.Apply(s, Lease{}, Ended) })
			if !errors.Is(err, ErrForeign) {
				t.Errorf("%s on %q: %v", s, whose, err)
			}
		}
		if st := node.standing(); !st.Foreign || st.Is(State{}) {
			t.Errorf("what stands does not say whose it is: %+v", st)
		}
		want(t, "all rules", node.run("nft", "list", "ruleset"), before)
	}
	node, _ := pair(t)
	node.apply(both())
	st := node.standing()
	node.run("nft", "delete chain inet "+TableName+" "+mark(st.State))
	var err error
	node.in(func() { _, err = Kernel{}.Apply(State{}, Lease{}, Ended) })
	if !errors.Is(err, ErrForeign) {
		t.Errorf("a table whose mark somebody took: %v", err)
	}
}

// While one state takes the place of another again and again, what both refuse
// is refused at every moment.
func TestThereIsNoMomentWithoutRules(t *testing.T) {
	node, other := pair(t)
	node.listen(cqlPort)
	states := []State{{Clients: &Clients{Ports: []uint16{cqlPort}}}, both()}
	for i := range states {
		states[i], _ = Canonical(states[i], ports)
	}
	node.apply(states[0])
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		tries := 0
		for ; ; tries++ {
			select {
			case <-stop:
				done <- tries
				return
			default:
			}
			if got := other.answers(otherIP, nodeIP, cqlPort); got != "refused" {
				t.Errorf("try %d: %s", tries, got)
			}
		}
	}()
	for i := range 100 {
		node.apply(states[(i+1)%2])
	}
	close(stop)
	if tries := <-done; tries < 100 {
		t.Errorf("%d connections tried, too few to tell", tries)
	}
}

// Others change their rules while ours are read: docker, the site. What is read is
// still one moment's table, and nothing is put right that was right.
func TestOthersChangeTheirRulesMeanwhile(t *testing.T) {
	node, _ := pair(t)
	node.apply(both())
	stop, done := make(chan struct{}), make(chan struct{})
	busy := &host{t: t, work: make(chan func()), ns: node.ns}
	go func() {
		runtime.LockOSThread()
		ns, err := os.Open(node.ns)
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			_ = ns.Close()
		}
		if err != nil {
			t.Error(err)
		}
		for f := range busy.work {
			f()
		}
	}()
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			if said, err := busy.try("nft", fmt.Sprintf("add table inet other%d { chain c { type filter hook input priority 1; tcp dport 1 drop; }; }; delete table inet other%d", i%9, i%9)); err != nil {
				t.Errorf("nft: %v: %s", err, said)
				return
			}
		}
	}()
	for i := range 200 {
		if st := node.standing(); !st.Is(both()) {
			t.Errorf("read %d: %q", i, st.From(both(), Lease{}))
		}
	}
	close(stop)
	<-done
	close(busy.work)
}

var crowdPorts = Ports{Clients: []uint16{9042, 9142, 9242, 9342}, Ring: []uint16{7000, 7001, 7002, 7003}}

// crowd is as large as a state can be.
func crowd() State {
	var s State
	s.Ring = &Ring{Ports: crowdPorts.Ring}
	for i := range peersMax {
		a := netip.AddrFrom16([16]byte{0xfd, 1, 13: byte(i >> 8), 14: byte(i), 15: 1})
		s.Ring.Peers = append(s.Ring.Peers, a)
	}
	s.Clients = &Clients{Ports: crowdPorts.Clients}
	for i := range allowedMax {
		s.Clients.Allowed = append(s.Clients.Allowed, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 13, byte(i), 0}), 24))
		own := netip.AddrFrom4([4]byte{10, 14, 0, byte(i + 1)})
		if i%2 == 1 {
			own = netip.AddrFrom16([16]byte{0xfd, 2, 15: byte(i + 1)})
		}
		s.Clients.Addresses = append(s.Clients.Addresses, own)
	}
	return s
}

// The largest state that is admitted goes through in one transaction.
func TestTheLargestState(t *testing.T) {
	node, _ := pair(t)
	s, err := Canonical(crowd(), crowdPorts)
	if err != nil {
		t.Fatal(err)
	}
	node.applyOn(s, crowdPorts)
	if st := node.standing(); !st.Is(s) {
		t.Errorf("it does not stand: %v", st.Differs)
	}
}

// Who may not make rules hears what to do.
func TestWithoutTheCapability(t *testing.T) {
	node := newHost(t)
	var err error
	node.in(func() {
		// Of this thread only, which ends with the test.
		hdr, none := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
		if err = unix.Capset(&hdr, &none[0]); err == nil {
			_, err = Kernel{}.Apply(both(), Lease{}, Ended)
		}
	})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("got %v", err)
	}
}
