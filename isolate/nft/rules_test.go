// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables/expr"
	"pgregory.net/rapid"
)

var mayClose = Ports{Clients: []uint16{9042, 9142}, Ring: []uint16{7000, 7001}}

func addresses(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func networks(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestCompile(t *testing.T) {
	rows := []struct {
		why   string
		s     State
		l     Lease
		rules string
	}{
		{"clients: loopback is never refused, a reset always passes", State{Clients: &Clients{Ports: []uint16{9042}}}, Lease{}, `
loopback accept
near port 9042 is a reset accept
near port 9042 reset`},
		{"who is allowed comes before the refusal", State{Clients: &Clients{Ports: []uint16{9042}, Allowed: networks("10.0.0.8/29", "fd00::/16")}}, Lease{}, `
loopback accept
far in 10.0.0.8/29 near port 9042 accept
far in fd00::/16 near port 9042 accept
near port 9042 is a reset accept
near port 9042 reset`},
		{"only the addresses that are named, each family by its own set", State{Clients: &Clients{Ports: []uint16{9042}, Addresses: addresses("10.0.0.1", "fd00::1", "10.0.0.2")}}, Lease{}, `
loopback accept
near port 9042 is a reset accept
near in own4 near port 9042 reset
near in own6 near port 9042 reset`},
		{"ring: who connects to us, and whom we connect to", State{Ring: &Ring{Ports: []uint16{7000}, Peers: addresses("10.0.0.3")}}, Lease{}, `
loopback accept
far in peers4 near port 7000 drop
far in peers4 far port 7000 drop`},
		{"both, on two ports, in two families", State{Clients: &Clients{Ports: []uint16{9142, 9042}}, Ring: &Ring{Ports: []uint16{7001, 7000}, Peers: addresses("fd00::3", "10.0.0.3")}}, Lease{}, `
loopback accept
far in peers4 near port 7000 drop
far in peers4 far port 7000 drop
far in peers6 near port 7000 drop
far in peers6 far port 7000 drop
far in peers4 near port 7001 drop
far in peers4 far port 7001 drop
far in peers6 near port 7001 drop
far in peers6 far port 7001 drop
near port 9042 is a reset accept
near port 9042 reset
near port 9142 is a reset accept
near port 9142 reset`},
		{"a lease: nothing else is wanted", State{}, Lease{Ports: []uint16{9042}, For: time.Minute}, `
loopback accept
near port 9042 is a reset accept
near port 9042 unless awake reset`},
		{"a lease comes last, and lets those in whom the state does", State{Clients: &Clients{Ports: []uint16{9142}, Allowed: networks("10.0.0.8/29")}}, Lease{Ports: []uint16{9042}, For: time.Minute}, `
loopback accept
far in 10.0.0.8/29 near port 9142 accept
near port 9142 is a reset accept
near port 9142 reset
far in 10.0.0.8/29 near port 9042 accept
near port 9042 is a reset accept
near port 9042 unless awake reset`},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			s, err := Canonical(r.s, mayClose)
			if err != nil {
				t.Fatal(err)
			}
			table := Compile(s, r.l)
			var lines []string
			for _, rule := range table.Rules[Incoming] {
				lines = append(lines, rule.String())
			}
			if got := "\n" + strings.Join(lines, "\n"); got != r.rules {
				t.Errorf("got%s\nwant%s", got, r.rules)
			}
			if !slices.Equal(table.Rules[Incoming], table.Rules[Outgoing]) {
				t.Error("what goes is judged by other rules than what comes")
			}
		})
	}
}

func TestCanonicalTellsAllFaults(t *testing.T) {
	long := func(n int) []netip.Addr {
		var out []netip.Addr
		for i := range n {
			out = append(out, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		}
		return out
	}
	rows := []struct {
		why    string
		s      State
		faults []string
	}{
		{"a port that is not the guard's", State{Clients: &Clients{Ports: []uint16{22}}, Ring: &Ring{Ports: []uint16{9042}, Peers: addresses("10.0.0.1")}},
			[]string{"clients.ports: this guard may close 9042, 9142 only, not 22", "ring.ports: this guard may close 7000, 7001 only, not 9042"}},
		{"no port is not every port", State{Clients: &Clients{}, Ring: &Ring{Peers: addresses("10.0.0.1")}}, []string{"clients.ports is empty", "ring.ports is empty"}},
		{"nobody is not everybody", State{Ring: &Ring{Ports: []uint16{7000}}}, []string{"nobody is not everybody"}},
		{"addresses that no other host has", State{Ring: &Ring{Ports: []uint16{7000}, Peers: append(addresses("127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:127.0.0.2", "fe80::1%eth0"), netip.Addr{})}},
			[]string{"127.0.0.1 is", "::1 is", "0.0.0.0 is", ":: is", "224.0.0.1 is", "ff02::1 is", "255.255.255.255 is", "127.0.0.2 is", "fe80::1%eth0 is", "holds no address"}},
		{"an exception for everybody", State{Clients: &Clients{Ports: []uint16{9042}, Allowed: networks("0.0.0.0/0", "::/0", "10.1.2.3/8", "::ffff:10.0.0.0/104")}},
			[]string{"0.0.0.0/0 is everybody", "::/0 is everybody", "10.0.0.0/8 is meant", "is no network"}},
		{"more than any ring has", State{Ring: &Ring{Ports: []uint16{7000}, Peers: long(peersMax + 1)}}, []string{"ring.peers has 1001 entries, at most 1000"}},
		{"more addresses than a host has", State{Clients: &Clients{Ports: []uint16{9042}, Addresses: long(addressesMax + 1), Allowed: slices.Repeat(networks("10.0.0.0/8"), allowedMax+1)}},
			[]string{"clients.addresses has 65 entries", "clients.allowed has 65 entries"}},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			s, err := Canonical(r.s, mayClose)
			if err == nil || !s.Empty() {
				t.Fatalf("accepted as %s (%v)", s, err)
			}
			for _, fault := range r.faults {
				if !strings.Contains(err.Error(), fault) {
					t.Errorf("nothing about %q in\n%v", fault, err)
				}
			}
			if n := strings.Count(err.Error(), "\n") + 1; n != len(r.faults) {
				t.Errorf("%d faults, want %d:\n%v", n, len(r.faults), err)
			}
		})
	}
}

func TestPortsOfAGuard(t *testing.T) {
	if err := mayClose.Check(); err != nil {
		t.Error(err)
	}
	for why, p := range map[string]Ports{
		"none":                   {},
		"only of clients":        {Clients: []uint16{9042}},
		"port 0":                 {Clients: []uint16{0}, Ring: []uint16{7000}},
		"one port for both":      {Clients: []uint16{9042}, Ring: []uint16{7000, 9042}},
		"more than anybody uses": {Clients: []uint16{1, 2, 3, 4, 5}, Ring: []uint16{7000}},
	} {
		if p.Check() == nil {
			t.Errorf("%s: accepted", why)
		}
	}
}

func TestTheOrderInWhichAStateIsToldIsNone(t *testing.T) {
	a, err := Canonical(State{Ring: &Ring{Ports: []uint16{7001, 7000}, Peers: addresses("10.0.0.2", "::ffff:10.0.0.1", "10.0.0.2")}}, mayClose)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Canonical(State{Ring: &Ring{Ports: []uint16{7000, 7001, 7000}, Peers: addresses("10.0.0.1", "10.0.0.2")}}, mayClose)
	if err != nil || !a.Equal(b) || mark(a) != mark(b) {
		t.Errorf("%s and %s (%v)", a, b, err)
	}
	if other, _ := Canonical(State{Ring: &Ring{Ports: []uint16{7000}, Peers: addresses("10.0.0.1")}}, mayClose); mark(other) == mark(a) {
		t.Error("two states have one mark")
	}
}

// anyState draws a canonical state.
func anyState(t *rapid.T) State {
	address := rapid.Custom(func(t *rapid.T) netip.Addr {
		if rapid.Bool().Draw(t, "v4") {
			return netip.AddrFrom4([4]byte{10, byte(rapid.IntRange(0, 3).Draw(t, "a")), 0, byte(rapid.IntRange(1, 9).Draw(t, "b"))})
		}
		return netip.AddrFrom16([16]byte{0xfd, 15: byte(rapid.IntRange(1, 9).Draw(t, "c"))})
	})
	prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
		a := address.Draw(t, "network")
		p, err := a.Prefix(rapid.IntRange(1, a.BitLen()).Draw(t, "bits"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	})
	var s State
	if rapid.Bool().Draw(t, "clients") {
		s.Clients = &Clients{Ports: rapid.SliceOfN(rapid.SampledFrom(mayClose.Clients), 1, 2).Draw(t, "cql"),
			Addresses: rapid.SliceOfN(address, 0, 4).Draw(t, "own"), Allowed: rapid.SliceOfN(prefix, 0, 4).Draw(t, "allowed")}
	}
	if rapid.Bool().Draw(t, "ring") {
		s.Ring = &Ring{Ports: rapid.SliceOfN(rapid.SampledFrom(mayClose.Ring), 1, 2).Draw(t, "storage"), Peers: rapid.SliceOfN(address, 1, 6).Draw(t, "peers")}
	}
	s, err := Canonical(s, mayClose)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// anyLease draws a lease of the guard's ports, or none.
func anyLease(t *rapid.T) Lease {
	if rapid.Bool().Draw(t, "no lease") {
		return Lease{}
	}
	return Lease{Ports: mayClose.Clients, For: time.Duration(rapid.IntRange(5, 60).Draw(t, "seconds")) * time.Second}
}

// What a state compiles to says which state it was, on the wire of the kernel
// and on that of the socket.
func TestAStateIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, l := anyState(t), anyLease(t)
		table := Compile(s, l)
		for chain, rules := range table.Rules {
			for i, r := range rules {
				if rules[i] = interpret(encode(r, chain), chain, r.Why); rules[i] != r {
					t.Errorf("%s in %s became %s", r, chain, rules[i])
				}
			}
		}
		table.Held = rapid.Bool().Draw(t, "held")
		got, lease, differs := Read(table)
		if !got.Equal(s) || !lease.Equal(l) || differs != nil {
			t.Errorf("%s with lease %s was read as %s with %s: %q", s, l, got, lease, differs)
		}
		var back State
		if err := decode([]byte(s.encode()), &back); err != nil || !back.Equal(s) {
			t.Errorf("%s became %s (%v)", s.encode(), back.encode(), err)
		}
		if again, err := Canonical(back, mayClose); err != nil || !again.Equal(s) {
			t.Errorf("canonical twice is %s (%v)", again, err)
		}
	})
}

// No two states compile to one table, and one that was changed anywhere is none.
func TestWhateverIsChangedIsNoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, l := anyState(t), anyLease(t)
		table := Compile(s, l)
		chain := rapid.SampledFrom([]string{Incoming, Outgoing}).Draw(t, "chain")
		rules := table.Rules[chain]
		i := rapid.IntRange(0, len(rules)-1).Draw(t, "rule")
		switch rapid.SampledFrom([]string{"gone", "twice", "more", "swapped", "mark", "extra", "comment", "lease", "asked"}).Draw(t, "how") {
		case "gone":
			rules = slices.Delete(rules, i, i+1)
		case "twice":
			rules = slices.Insert(rules, i, rules[i])
		case "more":
			rules = slices.Insert(rules, i, Rule{Do: Accept})
		case "swapped":
			if i == 0 {
				return
			}
			rules[0], rules[i] = rules[i], rules[0]
		case "mark":
			table.Mark += "0"
		case "extra":
			table.Extra = append(table.Extra, "a map")
		case "comment":
			rules[i].Why = "by hand"
		case "lease":
			// A set alone is one that a state may have; it is not the one that is wanted.
			if table.LeaseFor += time.Second; Differences(table, Compile(s, l)) == nil {
				t.Errorf("not noticed: %+v", table)
			}
			return
		case "asked":
			rules[i].Asleep = !rules[i].Asleep
		}
		table.Rules[chain] = rules
		if _, _, differs := Read(table); differs == nil {
			t.Errorf("not noticed: %+v", table)
		}
		if Differences(table, Compile(s, l)) == nil {
			t.Errorf("no difference from what is wanted: %+v", table)
		}
	})
}

// A rule that has one expression more, less or otherwise is not ours.
func TestARuleThatIsAlmostOursIsForeign(t *testing.T) {
	s, err := Canonical(State{Clients: &Clients{Ports: []uint16{9042}, Allowed: networks("10.0.0.0/29")}, Ring: &Ring{Ports: []uint16{7000}, Peers: addresses("10.0.0.1", "fd00::1")}}, mayClose)
	if err != nil {
		t.Fatal(err)
	}
	for chain, rules := range Compile(s, Lease{Ports: []uint16{9042}, For: time.Minute}).Rules {
		for _, r := range rules {
			whole := encode(r, chain)
			for i := range whole {
				if i < len(whole)-1 { // without its verdict it has an end of its own
					missing := slices.Delete(slices.Clone(whole), i, i+1)
					if got := interpret(missing, chain, r.Why); got == r {
						t.Errorf("%s without its expression %d passes", r, i)
					}
				}
				if got := interpret(slices.Insert(slices.Clone(whole), i, expr.Any(&expr.Counter{})), chain, r.Why); got.Foreign == "" {
					t.Errorf("%s with a counter at %d passes as %s", r, i, got)
				}
				if got := interpret(changed(whole, i), chain, r.Why); got == r {
					t.Errorf("%s with its expression %d changed passes", r, i)
				}
			}
			if got := interpret(whole[:len(whole)-1], chain, r.Why); got.Foreign == "" {
				t.Errorf("%s without a verdict is %s", r, got)
			}
			// It is known by its comment all the same, to who takes a lease away.
			for _, spelled := range [][]expr.Any{whole[:len(whole)-1], slices.Insert(slices.Clone(whole), 0, expr.Any(&expr.Counter{}))} {
				if got := interpret(spelled, chain, r.Why); got.Why != r.Why {
					t.Errorf("%s bears the comment %q", got, got.Why)
				}
			}
			if got := interpret(nil, chain, ""); got.Foreign == "" {
				t.Errorf("nothing is %s", got)
			}
		}
	}
}

// changed is a copy in which one expression says something else.
func changed(exprs []expr.Any, i int) []expr.Any {
	out := slices.Clone(exprs)
	switch e := out[i].(type) {
	case *expr.Meta:
		c := *e
		c.Key = expr.MetaKeyMARK
		out[i] = &c
	case *expr.Cmp:
		c := *e
		c.Op = expr.CmpOpGt
		out[i] = &c
	case *expr.Payload:
		c := *e
		c.Offset += 2
		out[i] = &c
	case *expr.Bitwise:
		c := *e
		c.Xor = slices.Repeat([]byte{1}, len(e.Xor))
		out[i] = &c
	case *expr.Lookup:
		c := *e
		c.Invert = !c.Invert
		out[i] = &c
	case *expr.Reject:
		out[i] = &expr.Reject{Type: 0, Code: 3}
	case *expr.Verdict:
		out[i] = &expr.Verdict{Kind: expr.VerdictReturn}
	}
	if reflect.DeepEqual(out[i], exprs[i]) {
		panic("nothing was changed")
	}
	return out
}

func TestComments(t *testing.T) {
	for why, row := range map[string]struct{ data, want string }{
		"none":                {"", ""},
		"as nft writes it":    {"\x00\x03hi\x00", "hi"},
		"behind another word": {"\x01\x01x\x00\x03hi\x00", "hi"},
		"cut off":             {"\x00\x09hi", ""},
		"half a head":         {"\x00", ""},
	} {
		if got := commentOf([]byte(row.data)); got != row.want {
			t.Errorf("%s: %q", why, got)
		}
	}
}
