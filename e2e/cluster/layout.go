// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/demo/node"
)

// Options describe a cluster. The zero value with a Package is three hosts in three
// racks of one datacenter.
type Options struct {
	// Package is the deb of the supervisor, which every host installs.
	Package string
	// Datacenters are made in their order; none: dc1 with three racks of one host.
	Datacenters []Datacenter
	// Mode of all datacenters when the cluster is handed over. The zero value is
	// Observe, as everywhere.
	Mode incident.Mode
	// Subnet is the network of the hosts, made by Start; by default 10.213.77.0/24.
	// It may be no network that the machine has already.
	Subnet string
	// Etcd gives the cluster an etcd of the site's own, three members e1, e2 and e3 on
	// hosts without Cassandra, instead of a store among the first three agents.
	Etcd bool
	// HAProxy gives the cluster a proxy on a host of its own, p1, with one pool of all
	// nodes that have the first region's store, which the agents keep.
	HAProxy bool
	// Spares is the number of hosts s1, s2, and so on, that have everything but a
	// Cassandra that ever ran: its directory is empty, and no roster names them. They
	// stand in the first datacenter, in its racks by turns.
	Spares int
	// Disk limits Cassandra's directory of every host, in bytes, DiskMin at least; 0:
	// what the machine has. A limited one is in memory and outlives PowerCut.
	Disk int64
	// HintWindow is Cassandra's max_hint_window. The zero value is that of the demo,
	// 5 s: an outage of seconds is then what one of hours is to a real cluster.
	HintWindow time.Duration
	// Policy changes the first policy before it is applied; nil: nothing.
	Policy func(*incident.Policy)
}

// DiskMin is the smallest disk that a Cassandra of this package runs on for long.
const DiskMin = 256 << 20

// Datacenter is one datacenter.
type Datacenter struct {
	Name  cluster.Datacenter
	Racks []int // hosts of each rack r1, r2, and so on
	// Region is where its data stands, by policy and roster; empty: Region.
	Region cluster.Region
	// Store gives its region a store and a leader of its own, among its first three
	// agents, or in one where it has fewer hosts. The regions read each other's. Else
	// its hosts have the store of the first region.
	Store bool
}

// Names of what all clusters of this package have.
const (
	Name   = node.ClusterName // Cassandra's cluster_name
	Region = cluster.Region("eu")
)

// controls is how many agents judge, lead and run a member of the store.
const controls = 3

// defaultSubnet is documented at Options.
const defaultSubnet = "10.213.77.0/24"

// Role is what a host is there for.
type Role string

// The roles.
const (
	RoleNode  Role = "node"  // runs Cassandra
	RoleSpare Role = "spare" // could run one
	RoleEtcd  Role = "etcd"  // runs a member of the site's etcd
	RoleProxy Role = "proxy" // runs HAProxy
)

// hasCassandra tells whether hosts of the role are made for Cassandra.
func (r Role) hasCassandra() bool { return r == RoleNode || r == RoleSpare }

// place is where one host stands.
type place struct {
	role       Role
	name       cluster.Name
	region     cluster.Region
	datacenter cluster.Datacenter
	rack       cluster.Rack
	address    netip.Addr
	tokens     []int64
}

// layout is a cluster before anything of it exists.
type layout struct {
	subnet netip.Prefix
	hosts  []place // the nodes
	spares []place
	etcd   []place
	proxy  []place                 // one or none
	stores map[cluster.Region]bool // the regions with a store of their own, beside the first
	mode   incident.Mode
	disk   int64
	hints  time.Duration
	change func(*incident.Policy)
}

// all are the hosts of every role.
func (l layout) all() []place {
	var all []place
	for _, some := range [][]place{l.hosts, l.spares, l.etcd, l.proxy} {
		all = append(all, some...)
	}
	return all
}

var errOptions = errors.New("no such cluster can be made")

// lay works out the hosts, or says what is wrong with the options.
func (o Options) lay() (layout, error) {
	l := layout{mode: o.Mode, disk: o.Disk, hints: o.HintWindow, change: o.Policy}
	var err error
	if l.subnet, err = parseSubnet(cmp.Or(o.Subnet, defaultSubnet)); err != nil {
		return l, err
	}
	switch {
	case o.Disk != 0 && o.Disk < DiskMin:
		return l, fmt.Errorf("%w: a disk of %d bytes, want %d at least", errOptions, o.Disk, int64(DiskMin))
	case o.Spares < 0 || o.Spares > hostsMax:
		return l, fmt.Errorf("%w: %d spares, want 0 to %d", errOptions, o.Spares, hostsMax)
	case o.HintWindow < 0 || o.HintWindow%time.Second != 0:
		return l, fmt.Errorf("%w: hints for %s, want whole seconds", errOptions, o.HintWindow)
	}
	if err := l.layNodes(o.Datacenters); err != nil {
		return l, err
	}
	if o.Etcd && len(l.stores) > 0 {
		return l, fmt.Errorf("%w: a site's etcd and a region with a store of its own", errOptions)
	}
	for i := range o.Spares {
		like := l.rackOf(i)
		l.spares = append(l.spares, place{role: RoleSpare, name: numbered("s", i), region: like.region, datacenter: like.datacenter, rack: like.rack, address: l.address(firstSpare + i)})
	}
	for i := range etcdMembers {
		if o.Etcd {
			l.etcd = append(l.etcd, place{role: RoleEtcd, name: numbered("e", i), address: l.address(firstEtcd + i)})
		}
	}
	if o.HAProxy {
		l.proxy = []place{{role: RoleProxy, name: numbered("p", 0), address: l.address(firstProxy)}}
	}
	return l, nil
}

func numbered(letter string, i int) cluster.Name { return cluster.Name(fmt.Sprint(letter, i+1)) }

func parseSubnet(text string) (netip.Prefix, error) {
	subnet, err := netip.ParsePrefix(text)
	if err != nil || !subnet.Addr().Is4() || subnet.Bits() > 24 || subnet != subnet.Masked() || !subnet.Addr().IsPrivate() {
		return subnet, fmt.Errorf("%w: subnet %q, want a private IPv4 network of 24 bits or fewer, such as %s", errOptions, text, defaultSubnet)
	}
	return subnet, nil
}

// layNodes places the nodes and deals the ring.
func (l *layout) layNodes(datacenters []Datacenter) error {
	if datacenters == nil {
		datacenters = []Datacenter{{Name: "dc1", Racks: []int{1, 1, 1}}}
	}
	seen := map[cluster.Datacenter]bool{}
	l.stores = map[cluster.Region]bool{}
	for _, dc := range datacenters {
		if dc.Name == "" || seen[dc.Name] {
			return fmt.Errorf("%w: datacenter %q is named twice, or not at all", errOptions, dc.Name)
		}
		seen[dc.Name] = true
		if dc.Store && cmp.Or(dc.Region, Region) == cmp.Or(datacenters[0].Region, Region) {
			return fmt.Errorf("%w: %s is in the first region, whose store is there already", errOptions, dc.Name)
		}
		if dc.Store {
			l.stores[dc.Region] = true
		}
		for i, count := range dc.Racks {
			for range count {
				n := len(l.hosts)
				l.hosts = append(l.hosts, place{role: RoleNode, name: numbered("n", n), region: cmp.Or(dc.Region, Region), datacenter: dc.Name,
					rack: cluster.Rack(numbered("r", i)), address: l.address(firstNode + n)})
			}
		}
	}
	if n := len(l.hosts); n < controls || n > hostsMax || len(l.near(l.first())) < controls {
		return fmt.Errorf("%w: %d hosts, want %d to %d, and %d at least with the first one's store", errOptions, n, controls, hostsMax, controls)
	}
	for i, tokens := range node.Tokens(len(l.hosts), tokensEach) {
		l.hosts[i].tokens = tokens
	}
	return nil
}

// first is the region of the first host, which has a store always.
func (l layout) first() cluster.Region { return l.hosts[0].region }

// home is the region whose store a host has.
func (l layout) home(p place) cluster.Region {
	if l.stores[p.region] {
		return p.region
	}
	return l.first()
}

// homes are the regions with a store, the first one first.
func (l layout) homes() []cluster.Region {
	return append([]cluster.Region{l.first()}, slices.Sorted(maps.Keys(l.stores))...)
}

// near are the nodes that have the store of a region.
func (l layout) near(home cluster.Region) []place {
	return slices.DeleteFunc(slices.Clone(l.hosts), func(p place) bool { return l.home(p) != home })
}

// judges are the nodes of a region whose agents judge, lead and run its store.
func (l layout) judges(home cluster.Region) []place {
	near := l.near(home)
	if len(near) < controls {
		return near[:1]
	}
	return near[:controls]
}

// rackOf is a node of the rack that the first datacenter's spares take at this turn.
func (l *layout) rackOf(turn int) place {
	var racks []place
	for _, h := range l.hosts {
		if h.datacenter == l.hosts[0].datacenter && (len(racks) == 0 || racks[len(racks)-1].rack != h.rack) {
			racks = append(racks, h)
		}
	}
	return racks[turn%len(racks)]
}

// address is that of a last number in the network.
func (l *layout) address(last int) netip.Addr {
	a := l.subnet.Addr().As4()
	a[3] = byte(last)
	return netip.AddrFrom4(a)
}

// The last numbers of addresses; those below are the bridge's.
const (
	firstNode  = 11
	firstSpare = 51
	firstEtcd  = 101
	firstProxy = 111

	hostsMax    = 24
	tokensEach  = 4
	etcdMembers = 3
)
