// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bench is a guard on a socket of its own, with its journal.
type bench struct {
	t      *testing.T
	k      *kernel
	o      Options
	g      *Guard
	client Client
	mu     sync.Mutex
	told   []string
	stop   func()
}

func newBench(t *testing.T, k *kernel) *bench {
	t.Helper()
	b := &bench{t: t, k: k}
	b.o = Options{Ports: mayClose, File: filepath.Join(t.TempDir(), "wanted.json"), Rules: k,
		May:  func(uid uint32) bool { return int(uid) == os.Getuid() },
		Tell: func(line string) { b.mu.Lock(); b.told = append(b.told, line); b.mu.Unlock() }}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

// start is also a start again, with the same file.
func (b *bench) start() {
	b.t.Helper()
	g, err := NewGuard(b.o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.g = g
	g.Restore()
	l, err := Listen(filepath.Join(b.t.TempDir(), "s"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.client = NewClient(l.Addr().String())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- g.Serve(ctx, l) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Error(err)
		}
	})
}

func (b *bench) restart() { b.t.Helper(); b.stop(); b.start() }

func (b *bench) apply(s State) Report {
	b.t.Helper()
	r, err := b.client.Apply(context.Background(), s, "a test")
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bench) said(words string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.told, func(line string) bool { return strings.Contains(line, words) })
}

var (
	fenced = State{Clients: &Clients{Ports: []uint16{9042}}}
	cutOff = State{Ring: &Ring{Ports: []uint16{7000}, Peers: addresses("10.0.0.3")}}
)

func TestAGuardKeepsWhatItWasTold(t *testing.T) {
	b := newBench(t, &kernel{})
	if r, err := b.client.Standing(context.Background()); err != nil || !r.Stands || !r.Wanted.Empty() {
		t.Errorf("at first: %+v, %v", r, err)
	}
	if r := b.apply(fenced); !r.Stands || !r.Standing.Equal(fenced) || !r.Wanted.Equal(fenced) {
		t.Errorf("told: %+v", r)
	}
	b.apply(fenced)
	if b.k.writes != 1 {
		t.Errorf("told twice, written %d times", b.k.writes)
	}
	b.restart()
	if b.k.writes != 1 {
		t.Error("a start again writes what stands already")
	}
	// The host starts again: the kernel knows nothing.
	b.stop()
	b.k.change(func(k *kernel) { k.there = false })
	b.start()
	if r, err := b.client.Standing(context.Background()); err != nil || !r.Stands || !r.Standing.Equal(fenced) {
		t.Errorf("after a boot: %+v, %v", r, err)
	}
	if r := b.apply(State{}); !r.Stands || b.k.there {
		t.Errorf("lifted: %+v", r)
	}
	b.restart()
	if r, err := b.client.Standing(context.Background()); err != nil || !r.Stands || !r.Wanted.Empty() {
		t.Errorf("lifted, and started again: %+v, %v", r, err)
	}
}

// What is wanted is on the disk before the kernel hears of it, also a lift.
func TestDurableBeforeApplied(t *testing.T) {
	b := newBench(t, &kernel{})
	for _, s := range []State{fenced, cutOff, {}} {
		b.k.before = func() {
			if on, there, err := readKept(b.o.File, mayClose); err != nil || !there || !on.Equal(s) {
				t.Errorf("%s is applied, and on the disk is %s (%v, %v)", s, on, there, err)
			}
		}
		b.apply(s)
	}
	b.k.before = nil
	// A disk that takes nothing: nothing is applied either.
	if err := os.RemoveAll(filepath.Dir(b.o.File)); err != nil {
		t.Fatal(err)
	}
	writes := b.k.writes
	if r, err := b.client.Apply(context.Background(), fenced, "a test"); err == nil || r.Code != CodeFailed || b.k.writes != writes {
		t.Errorf("not kept, and %+v (%v), written %d times more", r, err, b.k.writes-writes)
	}
}

func TestWhatAGuardRefuses(t *testing.T) {
	b := newBench(t, &kernel{})
	b.apply(cutOff)
	rows := []struct{ why, question, told string }{
		{"another version", `{"version":2}`, "version 2"},
		{"no version", `{}`, "version 0"},
		{"an unknown field", `{"version":1,"wanted":{},"flush":true}`, "unknown field"},
		{"an unknown field of the state", `{"version":1,"wanted":{"clients":{"ports":[9042],"drop":true}}}`, "unknown field"},
		{"two questions", `{"version":1}{"version":1}`, "more than one"},
		{"half a question", `{"version":1,"wanted":`, "unexpected EOF"},
		{"nothing", ``, "EOF"},
		{"a port that is not its own", `{"version":1,"wanted":{"clients":{"ports":[22]}}}`, "may close 9042, 9142 only"},
		{"a port that is none", `{"version":1,"wanted":{"clients":{"ports":[99042]}}}`, "cannot unmarshal"},
		{"an address that is none", `{"version":1,"wanted":{"ring":{"ports":[7000],"peers":["db3"]}}}`, "db3"},
		{"a ring of nobody", `{"version":1,"wanted":{"ring":{"ports":[7000],"peers":[]}}}`, "nobody"},
		{"a reason that is a book", `{"version":1,"why":"` + strings.Repeat("x", whyMax+1) + `"}`, "at most 300"},
		{"more than any state", `{"version":1,"wanted":{}` + strings.Repeat(" ", questionMax) + `}`, "more than 65536 bytes"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			var answer Report
			if err := json.Unmarshal([]byte(b.raw(r.question)), &answer); err != nil {
				t.Fatal(err)
			}
			if answer.Code != CodeRefused || !strings.Contains(answer.Error, r.told) {
				t.Errorf("got %+v, want %q", answer, r.told)
			}
		})
	}
	if r, err := b.client.Standing(context.Background()); err != nil || !r.Stands || !r.Standing.Equal(cutOff) || b.k.writes != 1 {
		t.Errorf("after all that: %+v, %v, written %d times", r, err, b.k.writes)
	}
	if _, err := b.client.Apply(context.Background(), State{Clients: &Clients{Ports: []uint16{22}}}, "a test"); !errors.Is(err, ErrRefused) {
		t.Errorf("a client hears %v", err)
	}
}

// raw asks in its own words.
func (b *bench) raw(question string) string {
	b.t.Helper()
	c, err := net.Dial("unix", b.client.Socket)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(question)); err == nil {
		_ = c.(*net.UnixConn).CloseWrite()
	}
	answer := make([]byte, reportMax)
	n, err := c.Read(answer)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(answer[:n])
}

// Who is not named is turned away by the kernel's word, before it is heard. Root
// always may, so this asks what the guard would be asked about another.
func TestWhoMayAsk(t *testing.T) {
	b := newBench(t, &kernel{})
	if os.Getuid() != 0 {
		b.o.May = func(uint32) bool { return false }
		b.restart()
		if _, err := b.client.Apply(context.Background(), fenced, "a test"); !errors.Is(err, ErrRefused) || b.k.writes != 0 {
			t.Errorf("a stranger hears %v", err)
		}
		return
	}
	b.o.May = func(uint32) bool { t.Error("root was doubted"); return false }
	b.restart()
	b.apply(fenced)
}

func TestAHandsChangeIsPutRight(t *testing.T) {
	b := newBench(t, &kernel{})
	b.apply(fenced)
	b.k.change(func(k *kernel) { k.table.Rules[Incoming] = k.table.Rules[Incoming][:1] })
	if r, err := b.client.Standing(context.Background()); err != nil || r.Stands || len(r.Differs) == 0 {
		t.Errorf("a rule is gone, and %+v, %v", r, err)
	}
	b.g.look()
	if r, err := b.client.Standing(context.Background()); err != nil || !r.Stands {
		t.Errorf("a guard looked, and %+v, %v", r, err)
	}
	if !b.said("put right: chain incoming: missing") {
		t.Errorf("told: %q", b.told)
	}
	b.apply(State{})
	writes := b.k.writes
	b.g.look()
	if b.k.writes != writes {
		t.Error("it looks after nothing")
	}
}

func TestTroubleOfTheKernel(t *testing.T) {
	b := newBench(t, &kernel{})
	unusable := fmt.Errorf("%w: load the module", ErrUnavailable)
	b.k.change(func(k *kernel) { k.broken = unusable })
	if r, err := b.client.Apply(context.Background(), fenced, "a test"); !errors.Is(err, ErrUnavailable) || r.Stands {
		t.Errorf("no rules can be made, and %+v, %v", r, err)
	}
	b.g.look()
	b.g.look()
	b.restart()
	b.k.change(func(k *kernel) { k.broken = nil })
	b.g.look()
	if r, err := b.client.Standing(context.Background()); err != nil || !r.Stands || !r.Wanted.Equal(fenced) {
		t.Errorf("they can be made again: %+v, %v", r, err)
	}
	if n := strings.Count(strings.Join(b.told, "\n"), "load the module"); n != 2 { // one for each guard
		t.Errorf("told %d times: %q", n, b.told)
	}
	b.k.change(func(k *kernel) { k.table.Mark = "" })
	if r, err := b.client.Apply(context.Background(), State{}, "a test"); !errors.Is(err, ErrForeign) || r.Stands {
		t.Errorf("somebody else's table, and %+v, %v", r, err)
	}
	if _, err := b.client.Standing(context.Background()); !errors.Is(err, ErrForeign) {
		t.Errorf("looked at: %v", err)
	}
	// The table is gone, and the lift with it is done.
	b.k.change(func(k *kernel) { k.there = false })
	b.g.look()
	if r, err := b.client.Standing(context.Background()); err != nil || !r.Stands || !r.Wanted.Empty() {
		t.Errorf("%+v, %v", r, err)
	}
}

// What is kept and cannot be read is not nothing: what stands is left alone until
// somebody says again what is wanted.
func TestAFileThatCannotBeRead(t *testing.T) {
	for why, spoil := range map[string]func(path string) error{
		"torn":                   func(p string) error { return os.WriteFile(p, []byte(`{"version":1,"wan`), 0o600) },
		"empty":                  func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"of a later version":     func(p string) error { return os.WriteFile(p, []byte(`{"version":2,"wanted":{}}`), 0o600) },
		"with more than we know": func(p string) error { return os.WriteFile(p, []byte(`{"version":1,"wanted":{"udp":{}}}`), 0o600) },
		"of other ports": func(p string) error {
			return os.WriteFile(p, []byte(`{"version":1,"wanted":{"clients":{"ports":[9999]}}}`), 0o600)
		},
		"too large": func(p string) error { return os.WriteFile(p, make([]byte, keptMax+1), 0o600) },
		"gone":      os.Remove,
	} {
		t.Run(why, func(t *testing.T) {
			b := newBench(t, &kernel{})
			b.apply(cutOff)
			b.stop()
			if err := spoil(b.o.File); err != nil {
				t.Fatal(err)
			}
			b.start()
			b.g.look()
			r, err := b.client.Standing(context.Background())
			if !errors.Is(err, ErrUnknown) || !r.Standing.Equal(cutOff) || r.Stands || b.k.writes != 1 {
				t.Errorf("%+v, %v, written %d times", r, err, b.k.writes)
			}
			if !b.said("what stands is left alone") {
				t.Errorf("told: %q", b.told)
			}
			b.apply(State{})
			b.restart()
			if r, err := b.client.Standing(context.Background()); err != nil || !r.Stands || b.k.there {
				t.Errorf("told again: %+v, %v", r, err)
			}
		})
	}
}

func TestAClientDoesNotWait(t *testing.T) {
	c := NewClient(filepath.Join(t.TempDir(), "none"))
	if _, err := c.Standing(context.Background()); !errors.Is(err, ErrNoGuard) {
		t.Errorf("nobody listens: %v", err)
	}
	l, err := Listen(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c = Client{Socket: l.Addr().String(), Max: 50 * time.Millisecond}
	began := time.Now()
	if _, err := c.Apply(context.Background(), fenced, ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
		t.Errorf("nobody answers: %v after %v", err, time.Since(began))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewClient(l.Addr().String()).Standing(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("asked no more: %v", err)
	}
}

// Whoever keeps a connection open and says nothing keeps nobody else waiting.
func TestTheSilentAreLeftWaiting(t *testing.T) {
	b := newBench(t, &kernel{})
	for range atOnceMax - 1 {
		c, err := net.Dial("unix", b.client.Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	b.apply(fenced)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := b.g.Progress(ctx); err != nil {
		t.Error(err)
	}
}

// The largest state fits into a question, its answer and the file.
func TestTheLargestStateFits(t *testing.T) {
	s := State{Ring: &Ring{Ports: mayClose.Ring}, Clients: &Clients{Ports: mayClose.Clients}}
	for i := range peersMax {
		a := addresses("fd00:1111:2222:3333:4444:5555:6666:7777")[0].As16()
		a[14], a[15] = byte(i>>8)+0x10, byte(i)|0x10
		s.Ring.Peers = append(s.Ring.Peers, netip.AddrFrom16(a))
	}
	for i := range allowedMax {
		s.Clients.Allowed = append(s.Clients.Allowed, networks(fmt.Sprintf("fd00:1111:2222:3333:4444:5555:6666:77%02x/128", i))...)
		s.Clients.Addresses = append(s.Clients.Addresses, addresses(fmt.Sprintf("fd00:1111:2222:3333:4444:5555:6666:76%02x", i))...)
	}
	b := newBench(t, &kernel{})
	b.apply(s)
	b.restart()
	if r, err := b.client.Standing(context.Background()); err != nil || !r.Stands {
		t.Errorf("%v, %v", r.Differs, err)
	}
}

func TestOptionsOfAGuard(t *testing.T) {
	_, err := NewGuard(Options{File: "wanted.json"})
	for _, fault := range []string{"1 to 4 ports", "absolute path", "who may ask"} {
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("nothing about %q in %v", fault, err)
		}
	}
}

// What is wanted outlives the guard that is taken away; what nobody wants does not.
func TestForget(t *testing.T) {
	b := newBench(t, &kernel{})
	b.apply(cutOff)
	b.stop()
	left := func(why, told string, there bool) {
		t.Helper()
		err := Forget(b.o.File, b.k)
		if told == "" && err != nil || told != "" && (err == nil || !strings.Contains(err.Error(), told)) || b.k.there != there {
			t.Errorf("%s: %v, and a table: %v", why, err, b.k.there)
		}
	}
	left("a fence stands", "ring cut on port 7000 from 10.0.0.3", true)
	if err := os.WriteFile(b.o.File, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	left("nobody can read what was wanted", "left alone", true)
	if err := os.Remove(b.o.File); err != nil {
		t.Fatal(err)
	}
	left("nobody knows why it stands", "is gone, and there stands", true)
	if err := writeKept(b.o.File, State{}); err != nil {
		t.Fatal(err)
	}
	b.k.change(func(k *kernel) { k.table.Mark = "" })
	left("somebody else's table", "not ours", true)
	b.k.change(func(k *kernel) { k.table = Compile(cutOff, Lease{}) })
	left("a lift that was not finished", "", false)
	left("nothing", "", false)
	b.k.change(func(k *kernel) { k.broken = ErrUnavailable })
	left("no nftables", "", false)
}

// Whatever is said on the socket, what stands is a state of this guard's ports.
func FuzzQuestion(f *testing.F) {
	for _, q := range []string{`{"version":1}`, `{"version":1,"wanted":{"clients":{"ports":[9042],"allowed":["10.0.0.0/8"]}}}`,
		`{"version":1,"wanted":{"ring":{"ports":[7000],"peers":["::ffff:10.0.0.1"]}}}`, `{"version":1,"wanted":null}`, `[1e99]`} {
		f.Add([]byte(q))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k := &kernel{}
		g, err := NewGuard(Options{Ports: mayClose, File: filepath.Join(t.TempDir(), "wanted.json"), Rules: k,
			May: func(uint32) bool { return true }, Tell: func(string) {}})
		if err != nil {
			t.Fatal(err)
		}
		g.Restore()
		r := g.answer(text, &unix.Ucred{})
		if again, err := Canonical(r.Standing, mayClose); err != nil || !again.Equal(r.Standing) {
			t.Errorf("%q: there stands %s (%v)", text, r.Standing, err)
		}
		if on, there, err := readKept(g.o.File, mayClose); err != nil || there && (!on.Equal(r.Standing) || !r.Stands) {
			t.Errorf("%q: on the disk is %s, and there stands %s (%v)", text, on, r.Standing, err)
		}
	})
}
