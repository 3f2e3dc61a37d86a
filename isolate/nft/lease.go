// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Bounds of a lease. The shortest one leaves time for systemd to end a guard that
// hangs and to take its rules away; one that is longer than the longest protects
// nobody, since peers have drained the host long before.
const (
	leaseMin = 5 * time.Second
	leaseMax = 10 * time.Minute
)

// Lease closes the ports of clients when nobody has renewed it for a while: a
// host that stood still answers nobody when it goes on, before anybody on it has
// found out what happened meanwhile. The kernel keeps the time. The zero value is
// no lease.
type Lease struct {
	Ports []uint16
	For   time.Duration // it ends that long after each renewal
}

// Off tells whether there is no lease.
func (l Lease) Off() bool { return l.For == 0 }

// Equal compares leases with ports in order.
func (l Lease) Equal(other Lease) bool {
	return l.For == other.For && slices.Equal(l.Ports, other.Ports)
}

// String tells a person what the lease is about.
func (l Lease) String() string {
	if l.Off() {
		return "none"
	}
	return fmt.Sprintf("%s for clients on port %s", l.For, joined(l.Ports))
}

// check tells whether the length is one that a guard can hold.
func (l Lease) check() error {
	if l.Off() || l.For >= leaseMin && l.For <= leaseMax && l.For%time.Second == 0 {
		return nil
	}
	return fmt.Errorf("a lease of %s: whole seconds from %s to %s, or 0 for none", l.For, leaseMin, leaseMax)
}

// rules are those of the lease. They bear a comment of their own, all of them, so
// that they can be taken away without knowing what else is wanted. What is
// allowed and what is itself a reset passes, as where clients are refused.
func (l Lease) rules(s State) []Rule {
	var rules []Rule
	for _, port := range l.Ports {
		if s.Clients != nil {
			for _, network := range s.Clients.Allowed {
				rules = append(rules, Rule{Far: network, NearPort: port, Do: Accept, Why: whyLease})
			}
		}
		rules = append(rules, Rule{NearPort: port, IsReset: true, Do: Accept, Why: whyLease},
			Rule{NearPort: port, Asleep: true, Do: Reset, Why: whyLease})
	}
	return rules
}

// leaseSets are the sets whose one element is there while the lease runs; either
// is enough. What they hold is TCP, since a rule can look up nothing that is
// constant but what it asks of every packet anyway.
//
// They are two because a renewal takes an element away and puts it back, which is
// one moment for the kernel and not for each packet: one that is being judged on
// another processor may look for the old element when it has just been unlinked, and
// a client of a healthy host would be reset, once in very many renewals. So they are
// renewed one after the other, and whoever misses the one finds the other.
var leaseSets = [...]string{"awake", "awake_too"}

// Hold is what becomes of a lease.
type Hold uint8

const (
	// Ended closes: nothing renews what has ended but an awake word, or nobody.
	Ended Hold = iota
	// Kept renews what runs. The kernel is asked in the same transaction whether
	// it still does, so whoever stood still before that changes nothing.
	Kept
	// Begun opens, whatever was.
	Begun
)

// What a lease that was to be kept was found to be.
var (
	ErrEnded   = errors.New("the lease has ended")
	ErrNoLease = errors.New("there is no lease")
)
