// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"net/netip"

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
}

// Datacenter is one datacenter of the cluster's region.
type Datacenter struct {
	Name  cluster.Datacenter
	Racks []int // hosts of each rack r1, r2, and so on
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

// place is where one host stands.
type place struct {
	name       cluster.Name
	datacenter cluster.Datacenter
	rack       cluster.Rack
	address    netip.Addr
	tokens     []int64
}

// layout is a cluster before anything of it exists.
type layout struct {
	subnet netip.Prefix
	hosts  []place
	mode   incident.Mode
}

var errOptions = errors.New("no such cluster can be made")

// lay works out the hosts, or says what is wrong with the options.
func (o Options) lay() (layout, error) {
	l := layout{mode: o.Mode}
	text := o.Subnet
	if text == "" {
		text = defaultSubnet
	}
	subnet, err := netip.ParsePrefix(text)
	if err != nil || !subnet.Addr().Is4() || subnet.Bits() > 24 || subnet != subnet.Masked() || !subnet.Addr().IsPrivate() {
		return l, fmt.Errorf("%w: subnet %q, want a private IPv4 network of 24 bits or fewer, such as %s", errOptions, text, defaultSubnet)
	}
	l.subnet = subnet
	datacenters := o.Datacenters
	if datacenters == nil {
		datacenters = []Datacenter{{Name: "dc1", Racks: []int{1, 1, 1}}}
	}
	address := subnet.Addr()
	for range firstHost - 1 {
		address = address.Next()
	}
	seen := map[cluster.Datacenter]bool{}
	for _, dc := range datacenters {
		if dc.Name == "" || seen[dc.Name] {
			return l, fmt.Errorf("%w: datacenter %q is named twice, or not at all", errOptions, dc.Name)
		}
		seen[dc.Name] = true
		for i, count := range dc.Racks {
			for range count {
				address = address.Next()
				l.hosts = append(l.hosts, place{name: cluster.Name(fmt.Sprintf("n%d", len(l.hosts)+1)), datacenter: dc.Name,
					rack: cluster.Rack(fmt.Sprintf("r%d", i+1)), address: address})
			}
		}
	}
	if n := len(l.hosts); n < controls || n > hostsMax {
		return l, fmt.Errorf("%w: %d hosts, want %d to %d", errOptions, n, controls, hostsMax)
	}
	for i, tokens := range node.Tokens(len(l.hosts), tokensEach) {
		l.hosts[i].tokens = tokens
	}
	return l, nil
}

const (
	firstHost  = 11 // its last number; those below are the bridge's
	hostsMax   = 24
	tokensEach = 4
)
