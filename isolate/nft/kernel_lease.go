// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// leaseElement is the one that is there while the lease runs.
var leaseElement = []nftables.SetElement{{Key: []byte{unix.IPPROTO_TCP}}}

// awake is a set of the lease. Its elements last as long as the set says.
func awake(table *nftables.Table, name string, lasts time.Duration) *nftables.Set {
	return &nftables.Set{Table: table, Name: name, KeyType: nftables.TypeInetProto, HasTimeout: true, Timeout: lasts, Size: setSize}
}

// addLease puts the sets into a transaction that makes the table, and their element
// unless the lease has ended.
func addLease(c *nftables.Conn, table *nftables.Table, lasts time.Duration, h Hold) error {
	var elements []nftables.SetElement
	if h != Ended {
		elements = leaseElement
	}
	var faults []error
	for _, name := range leaseSets {
		faults = append(faults, c.AddSet(awake(table, name, lasts), elements))
	}
	return errors.Join(faults...)
}

// readLease reads a set of the lease. Its element may be there or not.
func readLease(c *nftables.Conn, set *nftables.Set, t *Table) error {
	if !set.HasTimeout || set.KeyType.Bytes != nftables.TypeInetProto.Bytes || set.Interval || set.IsMap || set.Dynamic || set.Concatenation {
		t.Extra = append(t.Extra, fmt.Sprintf("set %s is none of ours", set.Name))
		return nil
	}
	elements, err := c.GetSetElements(set)
	if err != nil {
		return fmt.Errorf("read set %s: %w", set.Name, err)
	}
	// A kernel counts in ticks, of which a second has a whole number.
	lasts, first, held := set.Timeout.Round(100*time.Millisecond), len(t.leaseSets) == 0, false
	if !first && lasts != t.LeaseFor {
		t.Extra = append(t.Extra, fmt.Sprintf("set %s: its elements last %s", set.Name, lasts))
	}
	for _, e := range elements {
		if slices.Equal(e.Key, leaseElement[0].Key) {
			held = true
			continue
		}
		t.Extra = append(t.Extra, fmt.Sprintf("set %s: not ours %v", set.Name, e.Key))
	}
	t.LeaseFor, t.Held, t.whole = lasts, t.Held || held, held && (first || t.whole)
	t.leaseSets = append(t.leaseSets, set.Name)
	return nil
}

// holdMax is how long one renewal waits for the kernel's answer, which as a rule
// is there when the question has been sent.
const holdMax = 2 * time.Second

// Hold renews, begins or ends the lease that stands, in transactions of a few
// elements and on a socket of its own, which is never asked for anything else.
// ErrEnded and ErrNoLease tell what was found instead, and nothing was begun.
//
// Renewing takes the element away and puts it there again. Older kernels than 6.12
// do not lengthen the life of an element that is there, and to take away one that
// is not there ends the transaction: the kernel itself sees to it that nobody
// renews what has ended, however long a guard stood between two of its lines.
func (k Kernel) Hold(h Hold) error {
	var socket *netlink.Conn
	c, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(n *netlink.Conn) error {
		socket = n
		return nil
	}))
	if err != nil {
		return fmt.Errorf("hold the lease: %w", err)
	}
	defer c.CloseLasting()
	if err := socket.SetDeadline(time.Now().Add(holdMax)); err != nil {
		return fmt.Errorf("hold the lease: %w", err)
	}
	err = holding(c, &nftables.Table{Name: TableName, Family: nftables.TableFamilyINet}, h)
	if errors.Is(err, unix.ENOENT) {
		err = k.missing(err)
	}
	if err != nil {
		return fmt.Errorf("hold the lease: %w", err)
	}
	return nil
}

// missing tells what was not there, by a look that comes after: whoever put an
// element there meanwhile is found by the next renewal.
func (k Kernel) missing(was error) error {
	st, err := k.Standing()
	switch {
	case err != nil:
		return errors.Join(was, err)
	case st.Foreign, st.Lease.Off():
		return ErrNoLease
	case !st.table.whole:
		return ErrEnded
	}
	return was
}

func holding(c *nftables.Conn, table *nftables.Table, h Hold) error {
	for _, name := range leaseSets {
		set := awake(table, name, 0)
		var faults []error
		switch h {
		case Kept:
			faults = append(faults, renewing(c, set), c.Flush())
		case Begun:
			faults = append(faults, c.SetAddElements(set, leaseElement), renewing(c, set))
		case Ended:
			faults = append(faults, c.SetAddElements(set, leaseElement), c.SetDeleteElements(set, leaseElement))
		}
		if err := errors.Join(faults...); err != nil {
			return err
		}
	}
	return c.Flush() // of both at once, but for a renewal, which is over
}

// renewing puts into a transaction what fails where the element is not there.
func renewing(c *nftables.Conn, set *nftables.Set) error {
	return errors.Join(c.SetDeleteElements(set, leaseElement), c.SetAddElements(set, leaseElement))
}

// Release takes the lease away, with its rules, and leaves everything else as it
// is. One that has ended is taken away only if that is wanted too: a host stood
// still, and nobody has spoken since. Released tells whether none is there now.
func (k Kernel) Release(alsoEnded bool) (released bool, err error) {
	t, there, err := k.read()
	switch {
	case err != nil:
		return false, fmt.Errorf("take the lease away: %w", err)
	case !there:
		return true, nil
	case t.Mark == "":
		return false, fmt.Errorf("take the lease away: %w", ErrForeign)
	}
	// A set that a rule of somebody else asks stays: it closes nothing of ours.
	for _, withSet := range []bool{true, false} {
		err = releasing(t, alsoEnded, withSet)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.ENOENT) && errors.Is(k.missing(err), ErrEnded):
			return false, nil
		case !errors.Is(err, unix.EBUSY):
			return false, fmt.Errorf("take the lease away: %w", unavailable(err, false))
		}
	}
	return false, fmt.Errorf("take the lease away: %w", err)
}

// releasing takes away the rules by their handles, so that what a hand did to
// others stays for somebody to see. One of the lease that a hand changed goes too.
func releasing(t Table, alsoEnded, withSet bool) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: TableName, Family: nftables.TableFamilyINet}
	if len(t.leaseSets) == len(leaseSets) && !alsoEnded {
		// Renewed and not only taken away: packets that are judged by the old rules
		// while this happens look for it.
		if err := renewing(c, awake(table, leaseSets[0], 0)); err != nil {
			return err
		}
	}
	if s, _, differs := Read(t); s.Empty() && differs == nil {
		c.DelTable(table)
		return c.Flush()
	}
	for chain, rules := range t.Rules {
		for i, r := range rules {
			if !r.Asleep && r.Why != whyLease {
				continue
			}
			if err := c.DelRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Name: chain}, Handle: t.handles[chain][i]}); err != nil {
				return err
			}
		}
	}
	if withSet {
		for _, name := range t.leaseSets {
			c.DelSet(awake(table, name, 0))
		}
	}
	return c.Flush()
}
