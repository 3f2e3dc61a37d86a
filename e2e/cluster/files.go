// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/demo/load"
	"supervisor/internal/demo/node"
	"supervisor/internal/settings"
	"supervisor/loadbalancer"
	"supervisor/residency"
)

// Where things are on every host.
const (
	jarsDir   = "/opt/cassandra/lib" // the archives, as the machine has them
	startFile = "/opt/cassandra/bin/cassandra"
	dataDir   = "/var/lib/cassandra" // a volume: a host that boots again has it still
	etcDir    = "/etc/cassandra-supervisor"
	storeDir  = "/srv/supervisor-store"
	// broughtDir is what the suite brings along: the package, the authority of the
	// certificates, rules of cuts.
	broughtDir = "/opt/suite"
	pidFile    = "/run/cassandra/cassandra.pid"
	socket     = "/run/cassandra-supervisor/api.sock"
	portSocket = "/run/cassandra-supervisor-ports/socket"

	gossipPort = 7946
	clientPort = 2379 // of a member of the store, wherever it runs
	peerPort   = 2380
	jmxPort    = 7199
)

// unit is a site's own unit for Cassandra: the package adds its gate to it.
const unit = `[Unit]
Description=Apache Cassandra
After=network.target

[Service]
Type=forking
User=cassandra
Group=cassandra
RuntimeDirectory=cassandra
PIDFile=` + pidFile + `
ExecStart=` + startFile + `
SuccessExitStatus=143
TimeoutStartSec=3min
TimeoutStopSec=1min

[Install]
WantedBy=multi-user.target
`

// at is a port of the host.
func (p place) at(port uint16) string { return netip.AddrPortFrom(p.address, port).String() }

// node is the host's Cassandra as the demo's nodes are described. Its admin interface
// is on loopback alone: it asks nobody for a name. All nodes are seeds, as they start at
// one moment: one that is none ends when no seed answers it by then.
func (l layout) node(p place) node.Node {
	n := node.Node{Name: string(p.name), Address: p.address.String(), Datacenter: string(p.datacenter), Rack: string(p.rack),
		Region: string(p.region), Admin: "127.0.0.1", JMXPort: jmxPort, Tokens: p.tokens, Dir: dataDir, Jars: jarsDir, Java: "/usr/bin/java"}
	for _, s := range l.hosts {
		n.Seeds = append(n.Seeds, s.address.String())
	}
	return n
}

// start is the program of the unit. What the gate wants comes last and wins.
func (l layout) start(p place) string {
	const gate = "${JVM_EXTRA_OPTS-}" // as many words as it has
	argv := node.Argv(l.node(p), []string{gate})
	for i, a := range argv {
		if a != gate {
			argv[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return fmt.Sprintf("#!/bin/sh\nset -eu\numask 022\n%s >>%s 2>&1 </dev/null &\necho $! >%s\n",
		strings.Join(argv, " "), filepath.Join(dataDir, "log", "output.log"), pidFile)
}

// agent is the agent's file of a host.
func (l layout) agent(p place) ([]byte, error) {
	n := l.node(p)
	c := settings.DefaultAgent()
	c.Cluster, c.Region = Name, l.home(p)
	c.Host = settings.Identity{Name: p.name, Datacenter: p.datacenter, Rack: p.rack}
	c.StateDir, c.API.Socket, c.API.Group = "/var/lib/cassandra-supervisor", socket, "supervisor"
	c.Gossip = settings.Gossip{Bind: p.at(gossipPort), KeyFile: etcDir + "/gossip.key", Networks: []string{l.subnet.String()}}
	members := make(map[cluster.Name]settings.Member)
	for _, m := range l.judges(l.home(p)) {
		c.ControlAgents = append(c.ControlAgents, m.name)
		members[m.name] = settings.Member{Client: m.at(clientPort), Peer: m.at(peerPort)}
	}
	c.Store.TLS = &settings.TLS{CA: etcDir + "/ca.pem", Cert: etcDir + "/host.pem", Key: etcDir + "/host.key"}
	for _, m := range l.etcd {
		c.Store.Endpoints = append(c.Store.Endpoints, c.Store.URL(m.at(clientPort)))
	}
	if l.etcd == nil {
		c.Store.Embedded = &settings.Embedded{Members: members}
		if _, runs := c.Member(); runs {
			c.Store.Embedded.Dir = storeDir + "/member"
		}
	}
	for _, other := range l.homes() {
		if other != c.Region {
			c.Regions = l.reads(c.Regions, other, c.Store)
		}
	}
	c.Cassandra.CQL, c.Cassandra.Storage, c.Cassandra.Jolokia, c.Cassandra.DataDir = n.CQL(), n.Storage(), n.Jolokia(), n.DataDir()
	c.Cassandra.PortGuard = portSocket
	c.Cassandra.Unit, c.Cassandra.Command = cassandraUnit, settings.Command{}
	b, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode the agent's file of %s: %w", p.name, err)
	}
	return b, nil
}

// reads adds the store of another region to those that an agent reads.
func (l layout) reads(all map[cluster.Region]settings.Elsewhere, other cluster.Region, own settings.Store) map[cluster.Region]settings.Elsewhere {
	if all == nil {
		all = map[cluster.Region]settings.Elsewhere{}
	}
	e := settings.Elsewhere{TLS: own.TLS}
	for _, m := range l.judges(other) {
		e.Endpoints = append(e.Endpoints, own.URL(m.at(clientPort)))
	}
	all[other] = e
	return all
}

// roster lists the hosts of a store with the keys that their agents sign with.
func (l layout) roster(home cluster.Region, keys map[cluster.Name]string) ([]byte, error) {
	var roster struct {
		Hosts []cluster.Host `yaml:"hosts"`
	}
	for _, p := range l.near(home) {
		n := l.node(p)
		roster.Hosts = append(roster.Hosts, cluster.Host{Name: p.name, Region: p.region, Datacenter: p.datacenter, Rack: p.rack,
			CQL: n.CQL(), Storage: n.Storage(), Gossip: p.at(gossipPort), PublicKey: keys[p.name]})
	}
	b, err := yaml.Marshal(roster)
	if err != nil {
		return nil, fmt.Errorf("encode the roster: %w", err)
	}
	return b, nil
}

// policy is what a cluster of tests begins with: open residency, and the rows that
// Load writes as those that a returning node is read for. Those of several regions
// know all of them, and lead their own datacenters.
func (l layout) policy(home cluster.Region) incident.Policy {
	p := incident.DefaultPolicy()
	p.Modes = map[cluster.Datacenter]incident.Mode{}
	for _, h := range l.hosts {
		if !slices.Contains(p.Regions[h.region], h.datacenter) {
			p.Regions[h.region] = append(p.Regions[h.region], h.datacenter)
		}
		if l.home(h) == home {
			p.Modes[h.datacenter] = l.mode
		}
	}
	p.Residency = residency.Open(slices.Sorted(maps.Keys(p.Regions)))
	p.KnownRows = []incident.KnownRows{{Keyspace: load.Keyspace, Table: load.Table, Max: 400}}
	if l.proxy != nil && home == l.first() {
		p.Pools = []loadbalancer.Declared{l.pool()}
	}
	if l.change != nil {
		l.change(&p)
	}
	return p
}

// cassandraFiles are the files of a host's Cassandra, by name. A spare's has no tokens
// of its own, and streams what it gets: it is there to take a node's place.
func (l layout) cassandraFiles(p place) map[string]string {
	files := node.Files(l.node(p))
	const name = "cassandra.yaml"
	var lines []string
	for line := range strings.Lines(files[name]) {
		key, _, _ := strings.Cut(line, ":")
		switch {
		case p.role == RoleSpare && (key == "initial_token" || key == "auto_bootstrap"):
			continue
		case p.role == RoleSpare && key == "num_tokens":
			line = fmt.Sprintf("num_tokens: %d\n", tokensEach)
		case l.hints > 0 && key == "max_hint_window":
			line = fmt.Sprintf("max_hint_window: %ds\n", int(l.hints.Seconds()))
		}
		lines = append(lines, line)
	}
	files[name] = strings.Join(lines, "")
	return files
}
