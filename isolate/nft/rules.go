// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// TableName is the one table that is ours, of family inet.
const TableName = "cassandra_supervisor"

// markPrefix begins the name of the chain that says whose the table is: the
// version of what Compile makes, then the hash of the state. It is a chain of
// its own without a hook and without rules, since only names outlive a flush.
const (
	markPrefix = "owner_v"
	version    = "1"
)

// Verdict is what a rule does with a packet.
type Verdict uint8

// The verdicts. Unknown is what a rule of somebody else may do.
const (
	Unknown Verdict = iota
	Accept          // no more of this table; other tables are asked all the same
	Drop            // as if it had never come
	Reset           // a reset is sent to whoever sent it
)

var verdictWords = [...]string{"unknown", "accept", "drop", "reset"}

// Rule is one line, told from this host. Far is the other end of a connection
// and near is this one, so that the same rules hold for what comes and for what
// goes. What is zero is not asked for; all that is asked for must hold.
type Rule struct {
	Loopback bool         // this host talks to itself
	FarIn    string       // the other address is in this set
	Far      netip.Prefix // the other address is in this network
	NearIn   string       // the own address is in this set
	FarPort  uint16
	NearPort uint16
	IsReset  bool // the segment is itself a reset
	Asleep   bool // the lease has ended
	Do       Verdict
	Why      string // the rule's comment, for people who list it
	Foreign  string // not of our making: what is there instead
}

// String is the rule as a person compares it.
func (r Rule) String() string {
	if r.Foreign != "" {
		return r.Foreign
	}
	var words []string
	say := func(holds bool, format string, args ...any) {
		if holds {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	say(r.Loopback, "loopback")
	say(r.FarIn != "", "far in %s", r.FarIn)
	say(r.Far.IsValid(), "far in %s", r.Far)
	say(r.NearIn != "", "near in %s", r.NearIn)
	say(r.FarPort != 0, "far port %d", r.FarPort)
	say(r.NearPort != 0, "near port %d", r.NearPort)
	say(r.IsReset, "is a reset")
	say(r.Asleep, "unless awake")
	words = append(words, verdictWords[r.Do])
	return strings.Join(words, " ")
}

// The chains with rules: what comes to this host and what goes from it. Both
// hold the same rules.
const (
	Incoming = "incoming"
	Outgoing = "outgoing"
)

// Table is our table as a value: what Compile makes, and what was read.
type Table struct {
	Mark  string                  // name of the owner's chain; empty: it has none
	Sets  map[string][]netip.Addr // addresses in order, by the set's name
	Rules map[string][]Rule       // by the chain's name
	Extra []string                // what is there and can be none of ours

	LeaseFor time.Duration // of the lease's sets; 0: it has none
	Held     bool          // the lease runs; it may or may not, so nothing compares it
	whole    bool          // both sets say so

	leaseSets []string // those that were read

	handles map[string][]uint64 // the kernel's names of the rules, as they were read
}

const (
	why      = "cassandra-supervisor: "
	whySelf  = why + "this host with itself"
	whyRing  = why + "ring fence"
	whyAllow = why + "allowed clients"
	whyEnd   = why + "ends of refused connections"
	whyShut  = why + "client fence"
	whyLease = why + "standstill lease"
)

// mark is the name of the owner's chain for a state.
func mark(s State) string { return markPrefix + version + "_" + s.hash() }

// Compile turns a canonical state into the table, with a lease where there is
// one. An empty state without a lease has no table.
//
// Loopback comes first: the agent of this host must reach its own Cassandra. A
// reset passes in both directions, since it carries no request and no answer,
// and without it neither end would learn that the connection is over. In the
// outgoing chain the last rule resets Cassandra's own end, so that what a
// process wakes up with reaches nobody. The lease comes behind all that and says
// the same while it has ended.
func Compile(s State, l Lease) Table {
	t := Table{Mark: mark(s), Sets: map[string][]netip.Addr{}, Rules: map[string][]Rule{}, LeaseFor: l.For}
	rules := []Rule{{Loopback: true, Do: Accept, Why: whySelf}}
	if r := s.Ring; r != nil {
		peers := t.addSets("peers", r.Peers)
		for _, port := range r.Ports {
			for _, set := range peers {
				rules = append(rules, Rule{FarIn: set, NearPort: port, Do: Drop, Why: whyRing}, Rule{FarIn: set, FarPort: port, Do: Drop, Why: whyRing})
			}
		}
	}
	if c := s.Clients; c != nil {
		own := t.addSets("own", c.Addresses)
		if own == nil {
			own = []string{""}
		}
		for _, port := range c.Ports {
			for _, network := range c.Allowed {
				rules = append(rules, Rule{Far: network, NearPort: port, Do: Accept, Why: whyAllow})
			}
			rules = append(rules, Rule{NearPort: port, IsReset: true, Do: Accept, Why: whyEnd})
			for _, set := range own {
				rules = append(rules, Rule{NearIn: set, NearPort: port, Do: Reset, Why: whyShut})
			}
		}
	}
	if !l.Off() {
		rules = append(rules, l.rules(s)...)
	}
	t.Rules[Incoming], t.Rules[Outgoing] = rules, slices.Clone(rules)
	return t
}

// addSets makes a set for each family that has an address and names them.
func (t *Table) addSets(name string, list []netip.Addr) []string {
	var names []string
	for _, a := range list {
		family := name + "6"
		if a.Is4() {
			family = name + "4"
		}
		t.Sets[family] = append(t.Sets[family], a)
		if !slices.Contains(names, family) {
			names = append(names, family)
		}
	}
	return names
}

// isV4 tells the family of a set by its name.
func isV4(set string) bool { return strings.HasSuffix(set, "4") }

// Read tells which state and lease a table stands for, and all in which it is not
// what they compile to. Only a table without a difference stands for anything.
func Read(t Table) (s State, l Lease, differs []string) {
	var ring Ring
	var clients Clients
	l.For = t.LeaseFor
	for _, r := range t.Rules[Incoming] {
		switch {
		case r.Asleep:
			l.Ports = append(l.Ports, r.NearPort)
		case r.Why == whyLease:
		case r.Do == Drop && r.NearPort != 0:
			ring.Ports = append(ring.Ports, r.NearPort)
		case r.Do == Reset && r.NearPort != 0:
			clients.Ports = append(clients.Ports, r.NearPort)
		case r.Do == Accept && r.Far.IsValid():
			clients.Allowed = append(clients.Allowed, r.Far)
		}
	}
	if ring.Ports != nil {
		peers := slices.Concat(t.Sets["peers4"], t.Sets["peers6"])
		s.Ring = &Ring{Ports: sorted(ring.Ports, cmp.Compare[uint16]), Peers: sorted(peers, netip.Addr.Compare)}
	}
	if clients.Ports != nil {
		own := slices.Concat(t.Sets["own4"], t.Sets["own6"])
		s.Clients = &Clients{Ports: sorted(clients.Ports, cmp.Compare[uint16]), Addresses: sorted(own, netip.Addr.Compare),
			Allowed: sorted(clients.Allowed, comparePrefix)}
	}
	l.Ports = sorted(l.Ports, cmp.Compare[uint16])
	return s, l, Differences(t, Compile(s, l))
}

// Differences tells in words for people how a table that was read is not the
// one that is wanted; none: they are the same.
func Differences(got, want Table) []string {
	out := slices.Clone(got.Extra)
	if got.Mark != want.Mark {
		out = append(out, fmt.Sprintf("the owner's mark is %s, not %s", named(got.Mark), want.Mark))
	}
	if got.LeaseFor != want.LeaseFor {
		out = append(out, fmt.Sprintf("set %s: its elements last %s, not %s", leaseSets[0], got.LeaseFor, want.LeaseFor))
	}
	for _, name := range slices.Sorted(union(got.Sets, want.Sets)) {
		out = append(out, listed("set "+name, got.Sets[name], want.Sets[name])...)
	}
	for _, name := range slices.Sorted(union(got.Rules, want.Rules)) {
		before := len(out)
		out = append(out, listed("chain "+name, got.Rules[name], want.Rules[name])...)
		if len(out) == before && !slices.Equal(got.Rules[name], want.Rules[name]) {
			out = append(out, fmt.Sprintf("chain %s: in another order, or repeated", name))
		}
	}
	return out
}

func named(mark string) string {
	if mark == "" {
		return "missing"
	}
	return mark
}

func union[V any](a, b map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range a {
			if !yield(name) {
				return
			}
		}
		for name := range b {
			if _, both := a[name]; !both && !yield(name) {
				return
			}
		}
	}
}

// differencesMax bounds what is told of one list.
const differencesMax = 10

func listed[T comparable](where string, got, want []T) []string {
	var out []string
	tell := func(list, other []T, word string) {
		for _, v := range list {
			if !slices.Contains(other, v) && len(out) < differencesMax {
				out = append(out, fmt.Sprintf("%s: %s %v", where, word, v))
			}
		}
	}
	tell(want, got, "missing")
	tell(got, want, "not ours")
	return out
}
