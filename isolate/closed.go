// SPDX-License-Identifier: Apache-2.0

package isolate

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"supervisor/cluster"
)

// Closed is what a guard of ports keeps closed on one host. The zero value is
// nothing, which is wanted too.
type Closed struct {
	Clients bool         // everybody else is refused on the CQL port, with a reset
	Cut     []netip.Addr // hosts from and to which nothing passes on the storage port, sorted
}

// Equal compares what two hosts, or a host and a wish, keep closed.
func (c Closed) Equal(other Closed) bool {
	return c.Clients == other.Clients && slices.Equal(c.Cut, other.Cut)
}

// Covers tells whether all is closed that is in other.
func (c Closed) Covers(other Closed) bool {
	return (c.Clients || !other.Clients) && !slices.ContainsFunc(other.Cut, func(a netip.Addr) bool { return !slices.Contains(c.Cut, a) })
}

// With is what is closed in either.
func (c Closed) With(other Closed) Closed {
	both := Closed{Clients: c.Clients || other.Clients, Cut: slices.Concat(c.Cut, other.Cut)}
	slices.SortFunc(both.Cut, netip.Addr.Compare)
	both.Cut = slices.Compact(both.Cut)
	return both
}

// Closes is what the standing fences want closed on the host of self; storage
// tells the address of a host's storage port. A host that is to be cut off and has
// no such address is in unplaced.
func Closes(self cluster.Name, fences map[cluster.Name]Fence, storage func(cluster.Name) string) (want Closed, unplaced []cluster.Name) {
	for _, n := range slices.Sorted(maps.Keys(fences)) {
		f := fences[n]
		if n == self {
			want.Clients = f.Levels.Has(Clients)
			continue
		}
		if !f.Levels.Has(Ring) {
			continue
		}
		if a, ok := AddressOf(storage(n)); ok {
			want.Cut = append(want.Cut, a)
		} else {
			unplaced = append(unplaced, n)
		}
	}
	slices.SortFunc(want.Cut, netip.Addr.Compare)
	want.Cut = slices.Compact(want.Cut)
	return want, unplaced
}

// AddressOf is the address of what is written as IP:port, or as an IP alone.
func AddressOf(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap(), true
	}
	a, err := netip.ParseAddr(strings.TrimSpace(text))
	return a.Unmap(), err == nil
}
