// SPDX-License-Identifier: Apache-2.0

package gossip_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"supervisor/cluster"
	"supervisor/membership/gossip"
)

func TestMain(m *testing.M) {
	code := m.Run()
	// A probe under way when memberlist stops waits for its time-out, up to
	// some seconds; goleak alone waits less.
	leak := goleak.Find()
	for end := time.Now().Add(10 * time.Second); leak != nil && time.Now().Before(end); {
		leak = goleak.Find()
	}
	if leak != nil && code == 0 {
		fmt.Fprintln(os.Stderr, leak)
		code = 1
	}
	os.Exit(code)
}

const patience = 20 * time.Second

// eventually waits until f is content; f says what it sees.
func eventually(t *testing.T, what string, f func() (string, bool)) {
	t.Helper()
	var seen string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var ok bool
		if seen, ok = f(); ok {
			return
		}
	}
	t.Fatalf("%s: not within %v, last seen: %s", what, patience, seen)
}

// freeAddr is host with a port that is free for UDP and TCP.
func freeAddr(t *testing.T, host string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

func keyFile(t *testing.T, texts ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gossip.key")
	if err := os.WriteFile(path, bytes.Join(texts, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func options(t *testing.T, name string, n int, key string) gossip.Options {
	o := gossip.DefaultOptions(cluster.Name(name), "orders", "eu", freeAddr(t, fmt.Sprintf("127.0.77.%d", n)),
		key, netip.MustParsePrefix("127.0.77.0/24"))
	o.RejoinEvery = 100 * time.Millisecond
	return o
}

func start(t *testing.T, o gossip.Options) *gossip.Gossip {
	t.Helper()
	g, err := gossip.Start(o)
	if err != nil {
		t.Fatalf("start %s: %v", o.Name, err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("close %s: %v", o.Name, err)
		}
	})
	return g
}

func roster(all ...gossip.Options) []cluster.Host {
	var hosts []cluster.Host
	for _, o := range all {
		hosts = append(hosts, cluster.Host{Name: o.Name, Gossip: o.Bind.String()})
	}
	return hosts
}

func digests(g *gossip.Gossip) [][]byte { d, _ := g.Take(); return d }

func lookNow(g *gossip.Gossip) []cluster.Name { _, l := g.Take(); return l }

func names(g *gossip.Gossip) string {
	var all []string
	for _, m := range g.Members() {
		all = append(all, string(m.Name))
	}
	return strings.Join(all, " ")
}

func knows(t *testing.T, g *gossip.Gossip, want string) {
	t.Helper()
	eventually(t, "members "+want, func() (string, bool) { got := names(g); return got, got == want })
}

// three are n1, n2, n3 who know each other.
func three(t *testing.T) (os [3]gossip.Options, gs [3]*gossip.Gossip) {
	t.Helper()
	key := keyFile(t, gossip.NewKey())
	for i := range os {
		os[i] = options(t, fmt.Sprintf("n%d", i+1), i+1, key)
		gs[i] = start(t, os[i])
	}
	for _, g := range gs {
		g.Join(roster(os[:]...))
	}
	for _, g := range gs {
		knows(t, g, "n1 n2 n3")
	}
	return os, gs
}

func TestThreeAgentsMeetTalkAndPart(t *testing.T) {
	t.Parallel()
	os, gs := three(t)
	if want := (gossip.Member{Name: "n3", Addr: os[2].Bind}); !slices.Contains(gs[0].Members(), want) {
		t.Errorf("members are %v, want %v among them", gs[0].Members(), want)
	}
	digest := bytes.Repeat([]byte("d"), gossip.DigestMax)
	all := []cluster.Name{"n1", "n2", "n3"}
	if err := gs[0].SendDigest(all, digest); err != nil {
		t.Fatalf("send: %v", err)
	}
	for i, g := range gs {
		var got [][]byte
		eventually(t, "digest", func() (string, bool) {
			got = append(got, digests(g)...)
			return fmt.Sprint(len(got)), len(got) > 0
		})
		if len(got) != 1 || !bytes.Equal(got[0], digest) {
			t.Errorf("n%d got %d digests, want the one that was sent", i+1, len(got))
		}
	}
	if err := gs[1].LookNow([]cluster.Name{"n3"}, "n1"); err != nil {
		t.Fatalf("ask: %v", err)
	}
	var look []cluster.Name
	eventually(t, "look-now", func() (string, bool) {
		look = append(look, lookNow(gs[2])...)
		return fmt.Sprint(look), slices.Equal(look, []cluster.Name{"n1"})
	})
	if gs[0].Unwell() {
		t.Errorf("unwell (%d) in a calm pool", gs[0].Health())
	}
}

func TestReadyTellsOfMail(t *testing.T) {
	t.Parallel()
	_, gs := three(t)
	if err := gs[0].SendDigest([]cluster.Name{"n2"}, []byte("d")); err != nil {
		t.Fatalf("send: %v", err)
	}
	select {
	case <-gs[1].Ready():
	case <-time.After(patience):
		t.Fatal("nobody told n2")
	}
	if got := digests(gs[1]); len(got) != 1 {
		t.Errorf("n2 took %d digests, want 1", len(got))
	}
}

func TestSendingNamesWhoIsNotThere(t *testing.T) {
	t.Parallel()
	_, gs := three(t)
	err := gs[0].SendDigest([]cluster.Name{"n9", "n2"}, []byte("d"))
	if err == nil || !strings.Contains(err.Error(), "n9: no member") {
		t.Errorf("sending to a stranger: %v", err)
	}
	eventually(t, "the digest of the others", func() (string, bool) {
		got := digests(gs[1])
		return fmt.Sprint(got), len(got) == 1
	})
	if err := gs[0].SendDigest([]cluster.Name{"n2"}, make([]byte, gossip.DigestMax+1)); err == nil {
		t.Error("a digest that does not fit was sent")
	}
	if err := gs[0].LookNow([]cluster.Name{"n2"}, ""); err == nil {
		t.Error("a look at nobody was asked for")
	}
}

// An agent that hears nobody has no members. What it sees still reaches the others, who
// else take its host for one that is gone.
func TestADigestReachesWhoIsNoMember(t *testing.T) {
	t.Parallel()
	key := keyFile(t, gossip.NewKey())
	other := options(t, "n2", 2, key)
	heard, err := net.ListenPacket("udp", other.Bind.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = heard.Close() })
	own := options(t, "n1", 1, key)
	g := start(t, own)
	g.Join(roster(own, other))
	digest := bytes.Repeat([]byte("d"), gossip.DigestMax)
	if err := g.SendDigest([]cluster.Name{"n2"}, digest); err != nil {
		t.Fatalf("send: %v", err)
	}
	if err := heard.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	packet := make([]byte, 2*gossip.DigestMax)
	if n, _, err := heard.ReadFrom(packet); err != nil || n < len(digest) {
		t.Errorf("n2 got %d bytes: %v", n, err)
	}
	knows(t, g, "n1")
}

// A farewell still on its way may strike the newcomer once more; it refutes.
func TestAHostThatLeftComesBackWithAnotherAddress(t *testing.T) {
	t.Parallel()
	os, gs := three(t)
	again := os[2]
	if err := gs[2].Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	knows(t, gs[0], "n1 n2")
	again.Bind = freeAddr(t, "127.0.77.33")
	g := start(t, again)
	g.Join(roster(os[0]))
	for _, peer := range gs[:2] {
		eventually(t, "n3 at its new address", func() (string, bool) {
			m := peer.Members()
			return fmt.Sprint(m), slices.Contains(m, gossip.Member{Name: "n3", Addr: again.Bind})
		})
	}
}

func TestASecondAgentWithATakenNameIsRefusedAndNamed(t *testing.T) {
	t.Parallel()
	os, gs := three(t)
	twin := os[2]
	twin.Bind = freeAddr(t, "127.0.77.44")
	g := start(t, twin)
	g.Join(roster(os[0], os[1]))
	eventually(t, "conflict", func() (string, bool) {
		for _, c := range gs[0].Conflicts() {
			if c.Name == "n3" && c.Standing == os[2].Bind && c.Refused == twin.Bind {
				return "", true
			}
		}
		return fmt.Sprint(gs[0].Conflicts()), false
	})
	if want := (gossip.Member{Name: "n3", Addr: os[2].Bind}); !slices.Contains(gs[0].Members(), want) {
		t.Errorf("members are %v, want still %v among them", gs[0].Members(), want)
	}
}

// strangers are agents that must not get in, and what keeps each of them out.
func TestStrangersStayOutside(t *testing.T) {
	t.Parallel()
	key := gossip.NewKey()
	for _, c := range []struct {
		why, said string // said: by memberlist, when it turned the stranger away
		told      string // of the stranger, while it goes on trying; empty: nothing, as its packets are read
		change    func(*testing.T, *gossip.Options)
	}{
		{"another key", "no installed keys could decrypt", "its gossip key differs", func(t *testing.T, o *gossip.Options) { o.KeyFile = keyFile(t, gossip.NewKey()) }},
		{"another cluster: another label", `unacceptable label "supervisor/audit/eu"`, `another cluster or region ("supervisor/audit/eu")`, func(t *testing.T, o *gossip.Options) { o.Cluster = "audit" }},
		{"another region: another label", `unacceptable label "supervisor/orders/us"`, `another cluster or region ("supervisor/orders/us")`, func(t *testing.T, o *gossip.Options) { o.Region = "us" }},
		{"an address outside the allowed networks", "127.0.78.9 is not allowed", "", func(t *testing.T, o *gossip.Options) {
			o.Bind, o.Allowed = freeAddr(t, "127.0.78.9"), []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			host := options(t, "n1", 1, keyFile(t, key))
			core, lines := observer.New(zapcore.DebugLevel)
			host.Logger = zap.New(core)
			stranger := options(t, "n2", 2, keyFile(t, key))
			c.change(t, &stranger)
			in, out := start(t, host), start(t, stranger)
			out.Join(roster(host))
			eventually(t, "refusal in the log", func() (string, bool) {
				return fmt.Sprint(lines.All()), lines.FilterMessageSnippet(c.said).Len() > 0
			})
			if got := names(in); got != "n1" {
				t.Errorf("inside are %q, want only n1", got)
			}
			switch all := in.Strangers(); {
			case c.told == "" && len(all) > 0:
				t.Errorf("told of %v", all)
			case c.told == "":
			case len(all) != 1 || !all[0].At.IsLoopback() || !strings.Contains(all[0].Why, c.told):
				t.Errorf("told of %v, want one with %q", all, c.told)
			default: // a line with every packet would fill the log
				for _, l := range lines.FilterMessageSnippet(c.said).All() {
					if l.Level > zapcore.DebugLevel {
						t.Errorf("logged as %s: %s", l.Level, l.Message)
					}
				}
			}
		})
	}
}

func TestKeysAreChangedHostByHost(t *testing.T) {
	t.Parallel()
	old, fresh := gossip.NewKey(), gossip.NewKey()
	a, b := options(t, "n1", 1, keyFile(t, old, fresh)), options(t, "n2", 2, keyFile(t, fresh, old))
	ga, gb := start(t, a), start(t, b)
	ga.Join(roster(b))
	knows(t, ga, "n1 n2")
	knows(t, gb, "n1 n2")
}

func TestStartRefusesWhatIsNotSafe(t *testing.T) {
	t.Parallel()
	good := options(t, "n1", 1, keyFile(t, gossip.NewKey()))
	open := keyFile(t, gossip.NewKey())
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why, want string
		change    func(*gossip.Options)
	}{
		{"no key", "key file", func(o *gossip.Options) { o.KeyFile = "" }},
		{"a key that is not there", "no such file", func(o *gossip.Options) { o.KeyFile += ".gone" }},
		{"a key that others can read", "0600", func(o *gossip.Options) { o.KeyFile = open }},
		{"a key of 128 bits", "32 bytes", func(o *gossip.Options) { o.KeyFile = keyFile(t, []byte("AAAAAAAAAAAAAAAAAAAAAA==\n")) }},
		{"an empty key file", "32 bytes", func(o *gossip.Options) { o.KeyFile = keyFile(t) }},
		{"no networks", "allowed networks", func(o *gossip.Options) { o.Allowed = nil }},
		{"itself outside the networks", "does not stand", func(o *gossip.Options) { o.Allowed = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }},
		{"no cluster", "cluster", func(o *gossip.Options) { o.Cluster = "" }},
		{"no region", "region", func(o *gossip.Options) { o.Region = "" }},
		{"every address", "one address", func(o *gossip.Options) { o.Bind = netip.MustParseAddrPort("0.0.0.0:7946") }},
		{"a label that does not fit", "at most 255", func(o *gossip.Options) { o.Cluster = strings.Repeat("c", 255) }},
	} {
		o := good
		c.change(&o)
		g, err := gossip.Start(o)
		if err == nil {
			g.Close()
			t.Errorf("%s: started", c.why)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: refused with %q, want a word about %q", c.why, err, c.want)
		}
	}
	_, err := gossip.Start(gossip.Options{})
	for _, want := range []string{"name", "cluster", "region", "bind", "networks", "key file", "inbox", "logger"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("empty options: no word about %q in %v", want, err)
		}
	}
}

// All three are on one host: their clocks are one.
func TestPingsTellTheClocksOfTheOthers(t *testing.T) {
	t.Parallel()
	_, gs := three(t)
	for i, g := range gs {
		eventually(t, "both clocks", func() (string, bool) {
			all := g.Clocks()
			return fmt.Sprint(all), len(all) == 2
		})
		for name, c := range g.Clocks() {
			if c.Error <= 0 || c.Ahead.Abs() > c.Error+100*time.Millisecond {
				t.Errorf("n%d sees the clock of %s %v ahead, more or less %v", i+1, name, c.Ahead, c.Error)
			}
		}
	}
}
