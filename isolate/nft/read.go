// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// readTries is how often a reading begins anew because somebody changed rules
// meanwhile; a site does that a few times a second at most.
const readTries = 20

// read is our table at one moment. A listing comes in parts, and where somebody,
// docker perhaps, removes rules of their own between two of them, some of ours can
// be left out; so nothing is believed unless the kernel's count of changes stood
// still.
func (k Kernel) read() (t Table, there bool, err error) {
	for range readTries {
		before, err := generation()
		if err != nil {
			return Table{}, false, unavailable(err, true)
		}
		t, there, err = k.readOnce()
		after, counted := generation()
		switch {
		case counted != nil:
			return Table{}, false, unavailable(counted, true)
		case before == after:
			return t, there, err
		}
	}
	return Table{}, false, fmt.Errorf("rules on this host changed during each of %d readings", readTries)
}

// generation is the kernel's count of changes to all rules.
func generation() (uint32, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	replies, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	if err != nil {
		return 0, err
	}
	for _, reply := range replies {
		if len(reply.Data) < headerBytes {
			continue
		}
		d, err := netlink.NewAttributeDecoder(reply.Data[headerBytes:])
		if err != nil {
			return 0, err
		}
		d.ByteOrder = binary.BigEndian
		for d.Next() {
			if d.Type() == unix.NFTA_GEN_ID {
				return d.Uint32(), d.Err()
			}
		}
	}
	return 0, errors.New("the kernel does not say how often rules changed")
}

// headerBytes stand before the attributes of every message.
const headerBytes = 4

// readOnce reads in parts. What the kernel has there beyond chains, sets and rules
// as we make them is told in Extra.
func (k Kernel) readOnce() (t Table, there bool, err error) {
	c, err := nftables.New()
	if err != nil {
		return Table{}, false, err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return Table{}, false, unavailable(err, true)
	}
	i := slices.IndexFunc(tables, func(t *nftables.Table) bool { return t.Name == TableName && t.Family == nftables.TableFamilyINet })
	if i < 0 {
		return Table{}, false, nil
	}
	table := tables[i]
	t = Table{Sets: map[string][]netip.Addr{}, Rules: map[string][]Rule{}, handles: map[string][]uint64{}}
	if table.Flags&flagOwner != 0 {
		return Table{}, true, nil // a running program's own, which the kernel lets nobody else change
	}
	if table.Flags != 0 {
		t.Extra = append(t.Extra, fmt.Sprintf("the table has flags %#x; a dormant one refuses nobody", table.Flags))
	}
	if err := errors.Join(readSets(c, table, &t), readChains(c, table, &t)); err != nil {
		return Table{}, false, unavailable(err, true)
	}
	return t, true, nil
}

func readSets(c *nftables.Conn, table *nftables.Table, t *Table) error {
	sets, err := c.GetSets(table)
	if err != nil {
		return fmt.Errorf("list sets: %w", err)
	}
	for _, set := range sets {
		if slices.Contains(leaseSets[:], set.Name) {
			if err := readLease(c, set, t); err != nil {
				return err
			}
			continue
		}
		width := 16
		if isV4(set.Name) {
			width = 4
		}
		ours := slices.Contains([]string{"peers4", "peers6", "own4", "own6"}, set.Name) && int(set.KeyType.Bytes) == width
		if !ours || set.Interval || set.IsMap || set.HasTimeout || set.Dynamic || set.Concatenation {
			t.Extra = append(t.Extra, fmt.Sprintf("set %s is none of ours", set.Name))
			continue
		}
		elements, err := c.GetSetElements(set)
		if err != nil {
			return fmt.Errorf("read set %s: %w", set.Name, err)
		}
		list := []netip.Addr{}
		for _, e := range elements {
			if a, ok := netip.AddrFromSlice(e.Key); ok {
				list = append(list, a)
			}
		}
		slices.SortFunc(list, netip.Addr.Compare)
		t.Sets[set.Name] = list
	}
	if n := len(t.leaseSets); n > 0 && n < len(leaseSets) {
		t.Extra = append(t.Extra, fmt.Sprintf("set %s stands alone", t.leaseSets[0]))
	}
	return nil
}

func readChains(c *nftables.Conn, table *nftables.Table, t *Table) error {
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("list chains: %w", err)
	}
	for _, chain := range chains {
		if chain.Table.Name != table.Name {
			continue
		}
		hook, ours := hooks[chain.Name]
		switch {
		case !ours && chain.Hooknum == nil && t.Mark == "" && strings.HasPrefix(chain.Name, markPrefix):
			t.Mark = chain.Name
		case !ours:
			t.Extra = append(t.Extra, fmt.Sprintf("chain %s is none of ours", chain.Name))
			continue
		case chain.Hooknum == nil, *chain.Hooknum != hook, *chain.Priority != priority, chain.Type != nftables.ChainTypeFilter,
			chain.Policy == nil, *chain.Policy != nftables.ChainPolicyAccept:
			t.Extra = append(t.Extra, fmt.Sprintf("chain %s has another hook, priority, type or policy", chain.Name))
		}
		rules, handles, err := readRules(chain.Name)
		if err != nil {
			return fmt.Errorf("read chain %s: %w", chain.Name, err)
		}
		switch {
		case ours:
			t.Rules[chain.Name], t.handles[chain.Name] = rules, handles
		case len(rules) > 0:
			t.Extra = append(t.Extra, fmt.Sprintf("chain %s holds rules", chain.Name))
		}
	}
	return nil
}

// readRules reads a chain of our table. The library leaves out expressions that
// it does not know, so that a rule which was changed could look like ours; here
// such a rule is foreign.
func readRules(chain string) (rules []Rule, handles []uint64, err error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	data, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_RULE_TABLE, Data: []byte(TableName + "\x00")},
		{Type: unix.NFTA_RULE_CHAIN, Data: []byte(chain + "\x00")},
	})
	if err != nil {
		return nil, nil, err
	}
	header := []byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}
	replies, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: netlink.Request | netlink.Dump},
		Data:   append(header, data...),
	})
	if err != nil {
		return nil, nil, err
	}
	rules, handles = make([]Rule, 0, len(replies)), make([]uint64, 0, len(replies))
	for _, reply := range replies {
		if len(reply.Data) < headerBytes {
			return nil, nil, errors.New("a rule without a header")
		}
		r, handle, err := readRule(reply.Data[headerBytes:], chain)
		if err != nil {
			return nil, nil, err
		}
		rules, handles = append(rules, r), append(handles, handle)
	}
	return rules, handles, nil
}

func readRule(attributes []byte, chain string) (r Rule, handle uint64, err error) {
	d, err := netlink.NewAttributeDecoder(attributes)
	if err != nil {
		return Rule{}, 0, err
	}
	var exprs []expr.Any
	comment, unknown := "", ""
	for d.Next() {
		switch d.Type() {
		case unix.NFTA_RULE_HANDLE:
			if b := d.Bytes(); len(b) == 8 {
				handle = binary.BigEndian.Uint64(b)
			}
		case unix.NFTA_RULE_USERDATA:
			comment = commentOf(d.Bytes())
		case unix.NFTA_RULE_EXPRESSIONS:
			d.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					list.Nested(func(one *netlink.AttributeDecoder) error {
						e, name, err := readExpression(one)
						if e == nil && err == nil {
							unknown = name
							return nil
						}
						exprs = append(exprs, e)
						return err
					})
				}
				return list.Err()
			})
		}
	}
	if err := d.Err(); err != nil {
		return Rule{}, 0, err
	}
	if unknown != "" {
		return Rule{Why: comment, Foreign: fmt.Sprintf("a rule %q that is none of ours: %s", comment, unknown)}, handle, nil
	}
	return interpret(exprs, chain, comment), handle, nil
}

// readExpression reads one of the expressions that our rules are made of; nil
// for any other.
func readExpression(d *netlink.AttributeDecoder) (e expr.Any, name string, err error) {
	for d.Next() {
		switch d.Type() {
		case unix.NFTA_EXPR_NAME:
			name = d.String()
		case unix.NFTA_EXPR_DATA:
			switch name {
			case "meta":
				e = &expr.Meta{}
			case "cmp":
				e = &expr.Cmp{}
			case "payload":
				e = &expr.Payload{}
			case "bitwise":
				e = &expr.Bitwise{}
			case "lookup":
				e = &expr.Lookup{}
			case "reject":
				e = &expr.Reject{}
			case "immediate":
				e = &expr.Verdict{}
			default:
				return nil, name, nil
			}
			if err := expr.Unmarshal(unix.NFPROTO_INET, d.Bytes(), e); err != nil {
				return nil, name, err
			}
		}
	}
	return e, name, d.Err()
}

// commentOf reads a rule's comment as nft writes it: type, length, text and a
// zero byte.
func commentOf(data []byte) string {
	for len(data) >= 2 {
		kind, n := data[0], int(data[1])
		if len(data) < 2+n {
			return ""
		}
		if userdata.Type(kind) == userdata.TypeComment {
			return strings.TrimRight(string(data[2:2+n]), "\x00")
		}
		data = data[2+n:]
	}
	return ""
}
