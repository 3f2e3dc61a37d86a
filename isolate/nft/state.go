// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// Bounds of a State. A ring of a thousand peers is larger than any that was
// seen; a list beyond these is a fault of whoever wrote it.
const (
	portsMax     = 4
	addressesMax = 64
	allowedMax   = 64
	peersMax     = 1000
)

// State is what is wanted of this host's ports. The zero value is wanted too:
// nothing of ours stands then.
type State struct {
	Clients *Clients `json:"clients,omitempty"`
	Ring    *Ring    `json:"ring,omitempty"`
}

// Clients refuses everybody who is not of this host on ports of CQL, with a
// reset, so that a driver that is connected notices too.
type Clients struct {
	Ports []uint16 `json:"ports"`
	// Addresses of this host that are closed; none: all of them.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Allowed may connect all the same. What this host says to itself always may.
	Allowed []netip.Prefix `json:"allowed,omitempty"`
}

// Ring drops what members of the ring and this host say to each other on the
// storage ports, also on connections that stand.
type Ring struct {
	Ports []uint16     `json:"ports"`
	Peers []netip.Addr `json:"peers"`
}

// Empty tells whether nothing is wanted.
func (s State) Empty() bool { return s.Clients == nil && s.Ring == nil }

// ports are those that the state itself names.
func (s State) ports() Ports {
	var p Ports
	if s.Clients != nil {
		p.Clients = s.Clients.Ports
	}
	if s.Ring != nil {
		p.Ring = s.Ring.Ports
	}
	return p
}

// Equal compares canonical states.
func (s State) Equal(other State) bool { return s.encode() == other.encode() }

// String tells a person what is closed.
func (s State) String() string {
	var parts []string
	if c := s.Clients; c != nil {
		part := fmt.Sprintf("clients refused on port %s", joined(c.Ports))
		if len(c.Addresses) > 0 {
			part += " of " + joined(c.Addresses)
		}
		if len(c.Allowed) > 0 {
			part += " but for " + joined(c.Allowed)
		}
		parts = append(parts, part)
	}
	if r := s.Ring; r != nil {
		parts = append(parts, fmt.Sprintf("ring cut on port %s from %s", joined(r.Ports), joined(r.Peers)))
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, "; ")
}

// joined lists at most ten things.
func joined[T any](list []T) string {
	var words []string
	for i, v := range list {
		if i == 10 {
			words = append(words, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		words = append(words, fmt.Sprint(v))
	}
	return strings.Join(words, ", ")
}

// encode is the canonical spelling; a State holds nothing that JSON refuses.
func (s State) encode() string {
	text, err := json.Marshal(s)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// hash names a canonical state in the owner's mark.
func (s State) hash() string {
	sum := sha256.Sum256([]byte(s.encode()))
	return hex.EncodeToString(sum[:16])
}

// decode reads one JSON value and nothing after it. What is not known is
// refused: a fence of which half is understood must not be taken for a weaker
// one.
func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// Ports are those that a host's guard may close. Whatever else a state names is
// refused, so that nobody is locked out of the host.
type Ports struct {
	Clients []uint16
	Ring    []uint16
}

// Check tells all faults of the ports at once.
func (p Ports) Check() error {
	var faults []error
	for _, port := range slices.Concat(p.Clients, p.Ring) {
		if port == 0 {
			faults = append(faults, errors.New("port 0 is none"))
		}
	}
	for _, port := range p.Clients {
		if slices.Contains(p.Ring, port) {
			faults = append(faults, fmt.Errorf("port %d is for clients and for the ring", port))
		}
	}
	if len(p.Clients) == 0 || len(p.Clients) > portsMax || len(p.Ring) == 0 || len(p.Ring) > portsMax {
		faults = append(faults, fmt.Errorf("1 to %d ports for clients and as many for the ring, not %d and %d", portsMax, len(p.Clients), len(p.Ring)))
	}
	return errors.Join(faults...)
}

// Canonical brings a state into the one form in which it is kept, compiled and
// compared: sorted, without repetitions. It tells all faults at once.
func Canonical(s State, ports Ports) (State, error) {
	var out State
	var faults []error
	fault := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	if c := s.Clients; c != nil {
		fault(portsAmong("clients", c.Ports, ports.Clients))
		fault(atMost("clients.addresses", len(c.Addresses), addressesMax))
		fault(atMost("clients.allowed", len(c.Allowed), allowedMax))
		for _, a := range c.Addresses {
			fault(hostAddress("clients.addresses", a))
		}
		for _, p := range c.Allowed {
			fault(network(p))
		}
		out.Clients = &Clients{Ports: sorted(c.Ports, cmp.Compare[uint16]), Addresses: sorted(unmapped(c.Addresses), netip.Addr.Compare),
			Allowed: sorted(c.Allowed, comparePrefix)}
	}
	if r := s.Ring; r != nil {
		fault(portsAmong("ring", r.Ports, ports.Ring))
		fault(atMost("ring.peers", len(r.Peers), peersMax))
		if len(r.Peers) == 0 {
			fault(errors.New("ring.peers is empty: nobody is not everybody; leave ring out to lift it"))
		}
		for _, a := range r.Peers {
			fault(hostAddress("ring.peers", a))
		}
		out.Ring = &Ring{Ports: sorted(r.Ports, cmp.Compare[uint16]), Peers: sorted(unmapped(r.Peers), netip.Addr.Compare)}
	}
	if err := errors.Join(faults...); err != nil {
		return State{}, err
	}
	return out, nil
}

func portsAmong(whose string, wanted, may []uint16) error {
	if len(wanted) == 0 {
		return fmt.Errorf("%s.ports is empty", whose)
	}
	var not []uint16
	for _, port := range wanted {
		if !slices.Contains(may, port) {
			not = append(not, port)
		}
	}
	if len(wanted) > portsMax || not != nil {
		return fmt.Errorf("%s.ports: this guard may close %s only, not %s", whose, joined(may), joined(wanted))
	}
	return nil
}

func atMost(what string, n, most int) error {
	if n > most {
		return fmt.Errorf("%s has %d entries, at most %d", what, n, most)
	}
	return nil
}

// hostAddress refuses what no other host can have: a rule for it would never
// match, or match this host itself.
func hostAddress(what string, a netip.Addr) error {
	a = a.Unmap()
	switch {
	case !a.IsValid():
		return fmt.Errorf("%s holds no address", what)
	case a.Zone() != "", a.IsUnspecified(), a.IsLoopback(), a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%s: %s is no address of a host in a ring", what, a)
	}
	return nil
}

func network(p netip.Prefix) error {
	switch {
	case !p.IsValid() || p.Addr().Is4In6():
		return fmt.Errorf("clients.allowed: %s is no network", p)
	case p.Bits() == 0:
		return fmt.Errorf("clients.allowed: %s is everybody, and refuses nobody", p)
	case p != p.Masked():
		return fmt.Errorf("clients.allowed: %s has bits behind its mask; %s is meant", p, p.Masked())
	}
	return nil
}

func unmapped(list []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, 0, len(list))
	for _, a := range list {
		out = append(out, a.Unmap())
	}
	return out
}

func comparePrefix(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// sorted is a copy in order, each value once; nil when there is none.
func sorted[T comparable](list []T, order func(a, b T) int) []T {
	if len(list) == 0 {
		return nil
	}
	out := slices.SortedFunc(slices.Values(list), order)
	return slices.Compact(out)
}
