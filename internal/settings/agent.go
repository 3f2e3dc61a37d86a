// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"net/netip"
	"time"

	"supervisor/cluster"
)

// Agent is the file on a host: who the agent is, where it listens, where its
// Cassandra and the store are. What judge, decide or a gate read stands in the
// policy instead. ReadAgent fills in every default, so that a log line that
// prints it is the truth.
type Agent struct {
	Cluster string         `yaml:"cluster"` // Cassandra's cluster_name, if that is a plain word; part of every key
	Region  cluster.Region `yaml:"region"`
	Host    Identity       `yaml:"host"`
	// StateDir is the agent's own directory: marks, local state, host key.
	StateDir string `yaml:"state_dir"`
	API      API    `yaml:"api"`
	Gossip   Gossip `yaml:"gossip"`
	// ControlAgents campaign, judge and lead; all others observe and obey.
	ControlAgents []cluster.Name `yaml:"control_agents"`
	Store         Store          `yaml:"store"`
	// Regions are the other regions of this Cassandra cluster that have a store of
	// their own. Their stores are only read.
	Regions   map[cluster.Region]Elsewhere `yaml:"regions,omitempty"`
	Cassandra Cassandra                    `yaml:"cassandra"`
	Gate      Gate                         `yaml:"gate"`
	Power     *Power                       `yaml:"power,omitempty"` // nil: this agent turns no host off
	Log       Log                          `yaml:"log"`
}

// Identity is the host as the roster names it.
type Identity struct {
	Name       cluster.Name       `yaml:"name"`
	Datacenter cluster.Datacenter `yaml:"datacenter"`
	Rack       cluster.Rack       `yaml:"rack"`
	Labels     map[string]string  `yaml:"labels"`
}

// API is the unix socket that commands and dashboards speak to, and the address
// at which others than this host's may ask.
type API struct {
	Socket string `yaml:"socket"`
	Group  string `yaml:"group"`            // may open the socket besides root and the agent's own user; empty: nobody
	Listen string `yaml:"listen,omitempty"` // IP:port, by mutual TLS only; empty: the socket alone
	TLS    *TLS   `yaml:"tls,omitempty"`    // what is shown there, and whose certificates are believed
}

// Gossip is the encrypted membership of the region's agents.
type Gossip struct {
	Bind    string `yaml:"bind"`     // IP:port, UDP and TCP, where the others reach this agent
	KeyFile string `yaml:"key_file"` // base64 of 32 bytes a line, mode 0600; the first encrypts
	// Seeds are IP:port of agents to join through; empty: the roster's.
	Seeds []string `yaml:"seeds"`
	// Networks are those in which members may stand; the default, for a
	// loopback address only, is loopback.
	Networks []string `yaml:"networks"`
}

// Store says where etcd is.
type Store struct {
	Endpoints []string  `yaml:"endpoints"`          // client URLs; with embedded members, by default theirs
	Embedded  *Embedded `yaml:"embedded,omitempty"` // nil: an etcd of the site's own
	TLS       *TLS      `yaml:"tls,omitempty"`      // of client and member; nil: loopback only
}

// Elsewhere says where the etcd of another region is.
type Elsewhere struct {
	Endpoints []string `yaml:"endpoints"`     // client URLs
	TLS       *TLS     `yaml:"tls,omitempty"` // by default that of the own store
}

// Embedded is the store that control agents run among themselves, one etcd
// member in each of the agents named. The same members stand in the file of every host, so
// that all of them know where the store answers.
type Embedded struct {
	Dir     string                  `yaml:"dir,omitempty"` // of this host's member; empty where none runs
	Members map[cluster.Name]Member `yaml:"members"`       // by agent
}

// Member are the addresses of one member. They are not changed once it runs.
type Member struct {
	Client string `yaml:"client"` // IP:port for the agents
	Peer   string `yaml:"peer"`   // IP:port for the other members
}

// TLS are PEM files for mutual TLS: all three.
type TLS struct {
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Cassandra is the one process this agent watches and steers.
type Cassandra struct {
	CQL             string `yaml:"cql"`              // IP:port
	Storage         string `yaml:"storage"`          // IP:port
	Jolokia         string `yaml:"jolokia"`          // URL of the admin interface
	DataDir         string `yaml:"data_dir"`         // its disk is looked at
	CredentialsFile string `yaml:"credentials_file"` // lines username = and password =; empty: no login
	// PortGuard is the socket of this host's guard of ports; empty: none. Without
	// one on every peer, a host that nobody reaches is not cut off from the ring.
	PortGuard string `yaml:"port_guard"`
	// Unit is the service that systemd starts, behind its gate; empty: Command says
	// how Cassandra is started. One of the two is given.
	Unit     string        `yaml:"unit,omitempty"`
	Command  Command       `yaml:"command,omitempty"`
	StartMax time.Duration `yaml:"start_max"` // a start is waited for so long
	ExitMax  time.Duration `yaml:"exit_max"`  // a stopped or killed process has ended by then
}

// Command is how the process is started and stopped where that is not systemd's:
// never by a shell, never as a child of the agent.
type Command struct {
	Start   []string      `yaml:"start"` // argv; returns as soon as the process is started
	Stop    []string      `yaml:"stop"`  // argv; empty: the terminate signal
	PIDFile string        `yaml:"pid_file"`
	Match   string        `yaml:"match"`    // stands in the command line of the process
	Log     string        `yaml:"log"`      // takes what the commands print; empty: nothing is kept
	StopMax time.Duration `yaml:"stop_max"` // the stop command has returned by then
}

// Gate is what `supervisor gate` works with before Cassandra starts.
type Gate struct {
	OptionsFile string        `yaml:"options_file"` // takes the JVM options of the gate's answer; the start command reads it
	Timeout     time.Duration `yaml:"timeout"`      // the agent is asked so long
}

// Log is how much the agent says.
type Log struct {
	Level string `yaml:"level"` // debug, info, warn or error
}

// DefaultAgent is what a file means that leaves out all it may leave out.
func DefaultAgent() Agent {
	return Agent{
		StateDir: "/var/lib/cassandra-supervisor",
		API:      API{Socket: "/run/cassandra-supervisor/api.sock"},
		Cassandra: Cassandra{StartMax: 2 * time.Minute, ExitMax: time.Minute,
			Command: Command{Match: "CassandraDaemon", StopMax: 2 * time.Minute}},
		Gate: Gate{Timeout: 20 * time.Second},
		Log:  Log{Level: "info"},
	}
}

// ReadAgent reads the file of `supervisor agent`. A document that is not in
// order is a Faults; any other error means that the file could not be read.
// Files that it names are looked at: it belongs on the host it describes.
func ReadAgent(path string) (Agent, error) {
	text, err := load(path)
	if err != nil {
		return Agent{}, err
	}
	return ParseAgent(path, text)
}

// ParseAgent reads the text of an agent's file; file is its name in faults.
func ParseAgent(file string, text []byte) (Agent, error) {
	a := DefaultAgent()
	d := parse(file, "nothing was started", text, &a)
	if a.Power != nil && !d.given("power.timeout") {
		a.Power.Timeout = powerTimeout
	}
	c := agentCheck{d, a}
	c.identity()
	c.api()
	c.control()
	c.gossip()
	c.store()
	c.regions()
	c.cassandra()
	c.gate()
	c.power()
	if err := d.err(); err != nil {
		return Agent{}, err
	}
	a.complete()
	return a, nil
}

// complete fills in the defaults that follow from other fields.
func (a *Agent) complete() {
	if a.Cassandra.Unit != "" {
		a.Cassandra.Command = Command{}
	}
	if e := a.Store.Embedded; e != nil && len(a.Store.Endpoints) == 0 {
		for _, name := range sortedKeys(e.Members) {
			a.Store.Endpoints = append(a.Store.Endpoints, a.Store.URL(e.Members[name].Client))
		}
	}
	for r, e := range a.Regions { // order: each for itself
		if e.TLS == nil {
			e.TLS = a.Store.TLS
			a.Regions[r] = e
		}
	}
	if len(a.Gossip.Networks) == 0 {
		if at := netip.MustParseAddrPort(a.Gossip.Bind).Addr().Unmap(); at.Is4() {
			a.Gossip.Networks = []string{"127.0.0.0/8"}
		} else {
			a.Gossip.Networks = []string{"::1/128"}
		}
	}
}

// URL spells an address of a member: with TLS where the file names some.
func (s Store) URL(address string) string {
	if s.TLS != nil {
		return "https://" + address
	}
	return "http://" + address
}

// Member is the member of the store that this agent runs, if it runs one.
func (a Agent) Member() (Member, bool) {
	if a.Store.Embedded == nil {
		return Member{}, false
	}
	m, runs := a.Store.Embedded.Members[a.Host.Name]
	return m, runs
}

// IsControl tells whether this agent campaigns, judges and leads.
func (a Agent) IsControl() bool {
	for _, n := range a.ControlAgents {
		if n == a.Host.Name {
			return true
		}
	}
	return false
}
