// SPDX-License-Identifier: Apache-2.0

package nft

import (
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

// ErrForeign is about a table of our name that is not ours.
var ErrForeign = errors.New("the table inet " + TableName + " bears no owner's mark: it is not ours, and nothing is done to it; " +
	"look at it (nft list table inet " + TableName + ") and remove it by hand")

// ErrUnavailable is about a host on which no rules can be made.
var ErrUnavailable = errors.New("nftables cannot be used")

// Standing is what the kernel has of ours.
type Standing struct {
	State State
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

// From tells in words for people how what stands is not a canonical state.
func (st Standing) From(s State) []string {
	switch {
	case st.Foreign, st.there && s.Empty():
		return append([]string{"there is a table inet " + TableName}, st.Differs...)
	case !st.there && s.Empty():
		return nil
	case !st.there:
		return []string{"there is no table inet " + TableName}
	}
	return Differences(st.table, Compile(s))
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
	s, differs := Read(t)
	return Standing{State: s, Differs: differs, there: true, table: t}, nil
}

// Apply makes exactly a canonical state stand, in one transaction: there is no
// moment without the rules of the one or the other. It does nothing where the
// state stands already, and tells what it found different otherwise.
func (k Kernel) Apply(s State) (found []string, err error) {
	was, err := k.Standing()
	if err != nil {
		return nil, fmt.Errorf("read what stands: %w", err)
	}
	found = was.From(s)
	switch {
	case was.Foreign:
		return found, ErrForeign
	case found == nil:
		return nil, nil
	}
	if err := k.write(s, was.there); err != nil {
		return found, fmt.Errorf("write rules for %s: %w", s, unavailable(err, false))
	}
	now, err := k.Standing()
	if err != nil {
		return found, fmt.Errorf("read what was written: %w", err)
	}
	if rest := now.From(s); rest != nil {
		return found, fmt.Errorf("rules for %s were written, and stand otherwise: %s", s, strings.Join(rest, "; "))
	}
	return found, nil
}

// elementsAtOnce keeps a list of addresses well below what one attribute holds.
const elementsAtOnce = 250

// sendBuffer and receiveBuffer hold the largest state and its acknowledgements.
const sendBuffer, receiveBuffer = 1 << 20, 2 << 20

func (k Kernel) write(s State, there bool) error {
	c, err := nftables.New(nftables.WithSockOptions(func(n *netlink.Conn) error {
		return errors.Join(n.SetWriteBuffer(sendBuffer), n.SetReadBuffer(receiveBuffer))
	}))
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: TableName, Family: nftables.TableFamilyINet}
	if there {
		c.DelTable(table)
	}
	if !s.Empty() {
		if err := add(c, table, Compile(s)); err != nil {
			return err
		}
	}
	return c.Flush()
}

// add puts a whole table into a transaction.
func add(c *nftables.Conn, table *nftables.Table, t Table) error {
	c.AddTable(table)
	c.AddChain(&nftables.Chain{Name: t.Mark, Table: table})
	for _, name := range sortedNames(t.Sets) {
		if err := addSet(c, table, name, t.Sets[name]); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	for _, name := range sortedNames(t.Rules) {
		hook, first, policy := hooks[name], priority, nftables.ChainPolicyAccept
		chain := c.AddChain(&nftables.Chain{Name: name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: &hook, Priority: &first, Policy: &policy})
		for _, r := range t.Rules[name] {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: encode(r, name),
				UserData: userdata.AppendString(nil, userdata.TypeComment, r.Why)})
		}
	}
	return nil
}

func addSet(c *nftables.Conn, table *nftables.Table, name string, list []netip.Addr) error {
	set := &nftables.Set{Table: table, Name: name, KeyType: nftables.TypeIP6Addr}
	if isV4(name) {
		set.KeyType = nftables.TypeIPAddr
	}
	if err := c.AddSet(set, nil); err != nil {
		return err
	}
	for part := range slices.Chunk(list, elementsAtOnce) {
		var elements []nftables.SetElement
		for _, a := range part {
			elements = append(elements, nftables.SetElement{Key: a.AsSlice()})
		}
		if err := c.SetAddElements(set, elements); err != nil {
			return err
		}
	}
	return nil
}

func sortedNames[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// read is our table as it stands. What the kernel has there beyond chains, sets
// and rules as we make them is told in Extra.
func (k Kernel) read() (t Table, there bool, err error) {
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
	t = Table{Sets: map[string][]netip.Addr{}, Rules: map[string][]Rule{}}
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
		rules, err := readRules(chain.Name)
		if err != nil {
			return fmt.Errorf("read chain %s: %w", chain.Name, err)
		}
		switch {
		case ours:
			t.Rules[chain.Name] = rules
		case len(rules) > 0:
			t.Extra = append(t.Extra, fmt.Sprintf("chain %s holds rules", chain.Name))
		}
	}
	return nil
}

// readRules reads a chain of our table. The library leaves out expressions that
// it does not know, so that a rule which was changed could look like ours; here
// such a rule is foreign.
func readRules(chain string) ([]Rule, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	data, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_RULE_TABLE, Data: []byte(TableName + "\x00")},
		{Type: unix.NFTA_RULE_CHAIN, Data: []byte(chain + "\x00")},
	})
	if err != nil {
		return nil, err
	}
	family := []byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}
	replies, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: netlink.Request | netlink.Dump},
		Data:   append(family, data...),
	})
	if err != nil {
		return nil, err
	}
	rules := make([]Rule, 0, len(replies))
	for _, reply := range replies {
		if len(reply.Data) < len(family) {
			return nil, errors.New("a rule without a header")
		}
		r, err := readRule(reply.Data[len(family):], chain)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func readRule(attributes []byte, chain string) (Rule, error) {
	d, err := netlink.NewAttributeDecoder(attributes)
	if err != nil {
		return Rule{}, err
	}
	var exprs []expr.Any
	comment, unknown := "", ""
	for d.Next() {
		switch d.Type() {
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
		return Rule{}, err
	}
	if unknown != "" {
		return Rule{Foreign: fmt.Sprintf("a rule %q that is none of ours: %s", comment, unknown)}, nil
	}
	return interpret(exprs, chain, comment), nil
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
