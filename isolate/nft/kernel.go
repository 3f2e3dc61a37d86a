// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ErrForeign is about a table of our name that is not ours.
var ErrForeign = errors.New("the table inet " + TableName + " bears no owner's mark: it is not ours, and nothing is done to it; " +
	"look at it (nft list table inet " + TableName + ") and remove it by hand")

// ErrUnavailable is about a host on which no rules can be made.
var ErrUnavailable = errors.New("nftables cannot be used")

// Standing is what the kernel has of ours.
type Standing struct {
	State State
	// Lease is what the rules say of one, and Held whether it runs now.
	Lease Lease
	Held  bool
	// Differs is all in which our table is not what this state compiles to. Where
	// it says anything, the state is only what can be guessed of the rest.
	Differs []string
	// Foreign is true where a table of our name bears no mark of ours.
	Foreign bool

	there bool
	table Table
}

// Is tells whether exactly a canonical state stands.
func (st Standing) Is(s State) bool {
	return !st.Foreign && len(st.Differs) == 0 && st.State.Equal(s)
}

// From tells in words for people how what stands is not a canonical state with
// a lease. Whether the lease runs is no difference.
func (st Standing) From(s State, l Lease) []string {
	nothing := s.Empty() && l.Off()
	switch {
	case st.Foreign, st.there && nothing:
		return append([]string{"there is a table inet " + TableName}, st.Differs...)
	case !st.there && nothing:
		return nil
	case !st.there:
		return []string{"there is no table inet " + TableName}
	}
	return Differences(st.table, Compile(s, l))
}

// Kernel is the nftables of the network namespace it is called in.
type Kernel struct{}

// flagOwner is NFT_TABLE_F_OWNER of the kernel.
const flagOwner = 0x2

// priority is that of the table raw: before the rules of the site, and before
// connections are tracked on the way out.
const priority = nftables.ChainPriority(-300)

var hooks = map[string]nftables.ChainHook{Incoming: *nftables.ChainHookInput, Outgoing: *nftables.ChainHookOutput}

// Standing reads what stands.
func (k Kernel) Standing() (Standing, error) {
	t, there, err := k.read()
	if err != nil || !there {
		return Standing{}, err
	}
	if t.Mark == "" {
		return Standing{Foreign: true, there: true, Differs: []string{"the owner's mark is missing"}}, nil
	}
	s, l, differs := Read(t)
	return Standing{State: s, Lease: l, Held: t.Held, Differs: differs, there: true, table: t}, nil
}

// Apply makes exactly a canonical state with a lease stand, in one transaction:
// there is no moment without the rules of the one or the other. It does nothing
// where they stand already, but for a lease that is to begin, and tells what it
// found different otherwise. ErrEnded is about a lease that was to be kept: then
// nothing was changed.
func (k Kernel) Apply(s State, l Lease, h Hold) (found []string, err error) {
	was, err := k.Standing()
	if err != nil {
		return nil, fmt.Errorf("read what stands: %w", err)
	}
	found = was.From(s, l)
	switch {
	case was.Foreign:
		return found, ErrForeign
	case found == nil && h == Begun && !l.Off():
		return nil, k.Hold(Begun)
	case found == nil:
		return nil, nil
	}
	if err := k.write(was, s, l, h); err != nil {
		if h == Kept && errors.Is(err, unix.ENOENT) && errors.Is(k.missing(err), ErrEnded) {
			return found, ErrEnded
		}
		return found, fmt.Errorf("write rules for %s: %w", s, unavailable(err, false))
	}
	now, err := k.Standing()
	if err != nil {
		return found, fmt.Errorf("read what was written: %w", err)
	}
	if rest := now.From(s, l); rest != nil {
		return found, fmt.Errorf("rules for %s were written, and stand otherwise: %s", s, strings.Join(rest, "; "))
	}
	return found, nil
}

// sendBuffer and receiveBuffer hold the largest state and its acknowledgements.
const sendBuffer, receiveBuffer = 1 << 20, 2 << 20

func (k Kernel) write(was Standing, s State, l Lease, h Hold) error {
	c, err := nftables.New(nftables.WithSockOptions(func(n *netlink.Conn) error {
		return errors.Join(n.SetWriteBuffer(sendBuffer), n.SetReadBuffer(receiveBuffer))
	}))
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: TableName, Family: nftables.TableFamilyINet}
	if h == Kept && !l.Off() && len(was.table.leaseSets) == len(leaseSets) {
		// Nothing of all this is done if the lease has ended by now.
		if err := renewing(c, awake(table, leaseSets[0], 0)); err != nil {
			return err
		}
	}
	if was.there {
		c.DelTable(table)
	}
	if !s.Empty() || !l.Off() {
		// Not one that somebody else has made since we looked.
		c.CreateTable(table)
		if err := add(c, table, Compile(s, l), h); err != nil {
			return err
		}
	}
	return c.Flush()
}

// add puts all that is in the table into a transaction.
func add(c *nftables.Conn, table *nftables.Table, t Table, h Hold) error {
	c.AddChain(&nftables.Chain{Name: t.Mark, Table: table})
	for _, name := range slices.Sorted(maps.Keys(t.Sets)) {
		if err := addSet(c, table, name, t.Sets[name]); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	if t.LeaseFor != 0 {
		if err := addLease(c, table, t.LeaseFor, h); err != nil {
			return fmt.Errorf("sets of the lease: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Rules)) {
		hook, first, policy := hooks[name], priority, nftables.ChainPolicyAccept
		chain := c.AddChain(&nftables.Chain{Name: name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: &hook, Priority: &first, Policy: &policy})
		for _, r := range t.Rules[name] {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: encode(r, name),
				UserData: userdata.AppendString(nil, userdata.TypeComment, r.Why)})
		}
	}
	return nil
}

// setSize holds the longest list. A set without a size is grown by the kernel in
// the background, and one that is read meanwhile seems to lack addresses.
const setSize = 1024

func addSet(c *nftables.Conn, table *nftables.Table, name string, list []netip.Addr) error {
	set := &nftables.Set{Table: table, Name: name, KeyType: nftables.TypeIP6Addr, Size: setSize}
	if isV4(name) {
		set.KeyType = nftables.TypeIPAddr
	}
	var elements []nftables.SetElement
	for _, a := range list {
		elements = append(elements, nftables.SetElement{Key: a.AsSlice()})
	}
	return c.AddSet(set, elements) // a thousand take half of what one attribute holds
}

// unavailable names what to do where the kernel lets nobody make rules. To a
// reader it answers EINVAL when it has no nf_tables; a writer gets that for faults
// of its own.
func unavailable(err error, reading bool) error {
	var advice string
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		advice = "this process needs CAP_NET_ADMIN: run it as the unit cassandra-supervisor-ports.service does"
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EINVAL) && reading, errors.Is(err, unix.EOPNOTSUPP):
		advice = "this kernel has no nf_tables: load the module (modprobe nf_tables), or use a kernel with CONFIG_NF_TABLES_INET"
	case errors.Is(err, unix.ENOENT):
		advice = "this kernel lacks an expression: load nft_reject_inet (modprobe nft_reject_inet)"
	case err == nil:
		return nil
	default:
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, advice, err)
}
