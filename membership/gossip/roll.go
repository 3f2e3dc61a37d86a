// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"

	"supervisor/cluster"
)

// Member is an agent memberlist believes to be there, this one included.
// Absence from the list proves nothing.
type Member struct {
	Name cluster.Name
	Addr netip.AddrPort
}

// Conflict is a second agent that uses a name which is taken.
type Conflict struct {
	Name     cluster.Name
	Standing netip.AddrPort // who is believed
	Refused  netip.AddrPort // who was turned away last
	Times    uint64
}

// conflictsMax bounds the names with a conflict that are remembered.
const conflictsMax = 64

// roll is our own copy of the members. memberlist calls every method whose
// name begins with Notify, most of them while it holds its node lock: asking
// memberlist for anything in there hangs it for ever. So they copy, and return.
type roll struct {
	o       Options
	mu      sync.Mutex
	members map[string]memberlist.Node // values: memberlist changes its own
	clashes map[string]Conflict
}

func newRoll(o Options) *roll {
	return &roll{o: o, members: map[string]memberlist.Node{}, clashes: map[string]Conflict{}}
}

// NotifyJoin is called with the node lock held.
func (r *roll) NotifyJoin(n *memberlist.Node) { r.keep(n) }

// NotifyUpdate is called with the node lock held.
func (r *roll) NotifyUpdate(n *memberlist.Node) { r.keep(n) }

// NotifyLeave is called with the node lock held, for the dead and for those
// who said farewell alike.
func (r *roll) NotifyLeave(n *memberlist.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, n.Name)
}

func (r *roll) keep(n *memberlist.Node) {
	copied := *n
	copied.Addr, copied.Meta = slices.Clone(n.Addr), slices.Clone(n.Meta)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[n.Name] = copied
	delete(r.clashes, n.Name) // with one address again
}

// NotifyAlive is called with the node lock held, for every word that a node
// lives. An error keeps the node out.
func (r *roll) NotifyAlive(n *memberlist.Node) error { return r.o.admit(n) }

// NotifyMerge is called without a lock when another pool wants to join. An
// error refuses all of it.
func (r *roll) NotifyMerge(peers []*memberlist.Node) error {
	for _, n := range peers {
		if err := r.o.admit(n); err != nil {
			return err
		}
	}
	return nil
}

// NotifyConflict is called with the node lock held when a name turns up with
// a second address.
func (r *roll) NotifyConflict(existing, other *memberlist.Node) {
	c := Conflict{Name: cluster.Name(existing.Name), Standing: addrOf(existing), Refused: addrOf(other)}
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.clashes[existing.Name]
	if !known && len(r.clashes) == conflictsMax {
		return
	}
	c.Times = old.Times + 1
	r.clashes[existing.Name] = c
}

// list is sorted by name.
func (r *roll) list() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Member, 0, len(r.members))
	for _, n := range r.members {
		all = append(all, Member{Name: cluster.Name(n.Name), Addr: addrOf(&n)})
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// conflicts is sorted by name.
func (r *roll) conflicts() []Conflict {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Conflict, 0, len(r.clashes))
	for _, c := range r.clashes {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Conflict) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (r *roll) find(name cluster.Name) (memberlist.Node, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, ok := r.members[string(name)]
	return n, ok
}

func addrOf(n *memberlist.Node) netip.AddrPort {
	a, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(a.Unmap(), n.Port)
}

// meta is what every agent says of itself, at most 512 bytes.
type meta struct {
	Wire    int    `json:"wire"`
	Cluster string `json:"cluster"`
	Region  string `json:"region"`
}

func (o Options) meta() ([]byte, error) {
	return json.Marshal(meta{Wire: wireVersion, Cluster: o.Cluster, Region: string(o.Region)})
}

// admit turns away agents of another cluster or region. The label does the
// same on the wire; this is the second lock, for a pool whose label was
// configured alike.
func (o Options) admit(n *memberlist.Node) error {
	var m meta
	if err := json.Unmarshal(n.Meta, &m); err != nil {
		return fmt.Errorf("%s says nothing readable of itself: %w", n.Name, err)
	}
	if m.Cluster != o.Cluster || m.Region != string(o.Region) {
		return fmt.Errorf("%s is of cluster %q, region %q; this is %q, %q", n.Name, m.Cluster, m.Region, o.Cluster, o.Region)
	}
	return nil
}
