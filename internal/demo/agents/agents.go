// SPDX-License-Identifier: Apache-2.0

// Package agents gives a demo its supervisor: a file, a key and a process for
// each node, a store inside the first one, a roster and a policy. It uses the
// binary as an operator would and knows nothing of what is inside it.
package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/demo"
	"supervisor/internal/demo/load"
	"supervisor/internal/demo/node"
	"supervisor/internal/demo/process"
	"supervisor/internal/settings"
	"supervisor/loadbalancer"
	"supervisor/membership/gossip"
	"supervisor/residency"
)

// Ports of every agent, on its node's own loopback address.
const (
	gossipPort = 7946
	clientPort = 2379
	peerPort   = 2380
)

// Pool is the one pool of a demo.
const Pool = "cql"

// knownRows is how many rows a returning node is read for.
const knownRows = 400

// Fleet is the agents of one demo.
type Fleet struct {
	Plan   demo.Plan
	Binary string // absolute; has all verbs
	// Members is how many agents run a member of the store; read when the demo
	// is set up.
	Members int
}

// Attach returns what demo.Options.Attach wants: agents of which the first ones
// run a member of the store each, 1 or 3.
func Attach(binary string, members int) func(context.Context, demo.Plan) (demo.Attached, error) {
	return func(ctx context.Context, p demo.Plan) (demo.Attached, error) {
		f := Fleet{Plan: p, Binary: binary, Members: members}
		return f.attached(), f.bringUp(ctx)
	}
}

func (f Fleet) attached() demo.Attached {
	a := demo.Attached{API: map[string]string{}}
	for i, n := range f.Plan.Nodes {
		a.API[n.Name] = Socket(n)
		if i < f.Members {
			a.Etcd = append(a.Etcd, "http://"+at(n, clientPort))
		}
	}
	return a
}

// bringUp starts the first node's agent, which carries the store, and lets it
// become the leader before the others start: the node that is broken in a
// demo does not lead.
func (f Fleet) bringUp(ctx context.Context) error {
	if err := f.table(ctx); err != nil {
		return err
	}
	if err := f.write(); err != nil {
		return err
	}
	first := f.Plan.Nodes[0]
	if err := f.verb(ctx, "store", "init", "--config", first.AgentConfig(), "--hosts", f.path("hosts.yaml")); err != nil {
		return err
	}
	for i, n := range f.Plan.Nodes {
		if err := f.Start(n); err != nil {
			return err
		}
		if i == 0 {
			if err := f.await(ctx, n, "it leads", func(s Status) bool { return s.Leader() == n.Name }); err != nil {
				return err
			}
		}
	}
	if err := f.Apply(ctx, incident.Auto, "the demo begins"); err != nil {
		return err
	}
	for _, n := range f.Plan.Nodes {
		if err := f.await(ctx, n, "all nodes serve under a policy", Status.Rests); err != nil {
			return err
		}
	}
	return nil
}

// table makes the table of known rows, which the policy names.
func (f Fleet) table(ctx context.Context) error {
	var nodes []load.Node
	for _, n := range f.Plan.Nodes {
		nodes = append(nodes, load.Node{Name: n.Name, CQL: n.CQL()})
	}
	return load.Prepare(ctx, nodes, demo.Datacenter)
}

// Start starts the agent of a node.
func (f Fleet) Start(n node.Node) error {
	if _, err := process.Start(n.Agent(f.Binary)); err != nil && !errors.Is(err, process.ErrRunning) {
		return fmt.Errorf("start the agent of %s: %w", n.Name, err)
	}
	return nil
}

// Apply applies the demo's policy in a mode, as an operator would.
func (f Fleet) Apply(ctx context.Context, mode incident.Mode, reason string) error {
	if err := os.WriteFile(f.path("policy.yaml"), settings.RenderPolicy(f.Policy(mode)), 0o644); err != nil {
		return fmt.Errorf("write the policy: %w", err)
	}
	return f.verb(ctx, "policy", "apply", f.path("policy.yaml"), "--socket", Socket(f.Plan.Nodes[0]), "--yes", "--reason", reason)
}

// Policy is the demo's policy: open residency, one pool, and the demo's table
// as the known rows.
func (f Fleet) Policy(mode incident.Mode) incident.Policy {
	p := incident.DefaultPolicy()
	p.Modes = map[cluster.Datacenter]incident.Mode{demo.Datacenter: mode}
	p.Regions = map[cluster.Region][]cluster.Datacenter{demo.Region: {demo.Datacenter}}
	p.Residency = residency.Open([]cluster.Region{demo.Region})
	pool := loadbalancer.Declared{Name: Pool, Backend: "cql",
		Proxies: []loadbalancer.Proxy{{Name: "haproxy", Socket: f.Plan.Proxy.StatsSocket()}}}
	for _, n := range f.Plan.Nodes {
		pool.Members = append(pool.Members, cluster.Name(n.Name))
		pool.Writers = append(pool.Writers, cluster.Name(n.Name))
	}
	p.Pools = []loadbalancer.Declared{pool}
	// A demo breaks the same node again and again on purpose; on a host the
	// fourth end within ten minutes is a person's business, and the second hang.
	p.Budgets.StartsMax, p.Budgets.SilencesMax, p.Budgets.FencesMax = 100, 100, 100
	// Of three nodes on one machine a peer sees about every second sleeper, and a
	// demo has nobody to ask.
	p.Return.TriesMax = 6
	p.KnownRows = []incident.KnownRows{{Keyspace: load.Keyspace, Table: load.Table, Max: knownRows}}
	return p
}

// write writes every agent's file and key, the gossip key and the roster.
func (f Fleet) write() error {
	if err := os.WriteFile(f.path("gossip.key"), gossip.NewKey(), 0o600); err != nil {
		return fmt.Errorf("write the gossip key: %w", err)
	}
	var roster struct {
		Hosts []cluster.Host `yaml:"hosts"`
	}
	for _, n := range f.Plan.Nodes {
		b, err := yaml.Marshal(f.config(n))
		if err != nil {
			return fmt.Errorf("encode the file of %s: %w", n.Name, err)
		}
		if err := os.MkdirAll(stateDir(n), 0o700); err != nil {
			return fmt.Errorf("make the state directory of %s: %w", n.Name, err)
		}
		if err := os.WriteFile(n.AgentConfig(), b, 0o600); err != nil {
			return fmt.Errorf("write the file of %s: %w", n.Name, err)
		}
		key, err := settings.HostKey(stateDir(n))
		if err != nil {
			return err
		}
		roster.Hosts = append(roster.Hosts, cluster.Host{Name: cluster.Name(n.Name), Region: demo.Region, Datacenter: demo.Datacenter,
			Rack: cluster.Rack(n.Rack), CQL: n.CQL(), Storage: n.Storage(), Gossip: at(n, gossipPort), PublicKey: settings.PublicKey(key)})
	}
	b, err := yaml.Marshal(roster)
	if err != nil {
		return fmt.Errorf("encode the roster: %w", err)
	}
	return os.WriteFile(f.path("hosts.yaml"), b, 0o644)
}

// config is the file of one agent.
func (f Fleet) config(n node.Node) settings.Agent {
	c := settings.DefaultAgent()
	c.Cluster, c.Region = node.ClusterName, demo.Region
	c.Host = settings.Identity{Name: cluster.Name(n.Name), Datacenter: demo.Datacenter, Rack: cluster.Rack(n.Rack)}
	c.StateDir = stateDir(n)
	c.API.Socket = Socket(n)
	c.Gossip = settings.Gossip{Bind: at(n, gossipPort), KeyFile: f.path("gossip.key")}
	for _, m := range f.Plan.Nodes {
		c.ControlAgents = append(c.ControlAgents, cluster.Name(m.Name))
	}
	c.Store.Embedded = &settings.Embedded{Members: f.members()}
	if _, runs := c.Member(); runs {
		c.Store.Embedded.Dir = filepath.Join(n.Dir, "etcd")
	}
	c.Cassandra.CQL, c.Cassandra.Storage, c.Cassandra.Jolokia, c.Cassandra.DataDir = n.CQL(), n.Storage(), n.Jolokia(), n.DataDir()
	c.Cassandra.Command.Start = []string{f.Binary, "demo", "node-start", "--dir", f.Plan.Dir, "--node", n.Name}
	c.Cassandra.Command.PIDFile = n.PidFile()
	c.Cassandra.Command.Log = filepath.Join(n.Dir, "log", "start.log")
	c.Gate.OptionsFile = n.OptionsFile()
	return c
}

// members are those of the store, on as many of the first nodes.
func (f Fleet) members() map[cluster.Name]settings.Member {
	members := make(map[cluster.Name]settings.Member)
	for _, n := range f.Plan.Nodes[:f.Members] {
		members[cluster.Name(n.Name)] = settings.Member{Client: at(n, clientPort), Peer: at(n, peerPort)}
	}
	return members
}

func stateDir(n node.Node) string { return filepath.Join(n.Dir, "agent") }

// Socket is the unix socket of a node's agent.
func Socket(n node.Node) string { return filepath.Join(n.Dir, "api.sock") }

func at(n node.Node, port int) string { return fmt.Sprintf("%s:%d", n.Address, port) }

func (f Fleet) path(name string) string { return filepath.Join(f.Plan.Dir, name) }

// verb runs the binary as a person would and returns its words when it fails.
func (f Fleet) verb(ctx context.Context, args ...string) error {
	c := exec.CommandContext(ctx, f.Binary, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		return fmt.Errorf("supervisor %s %s: %w: %s", args[0], args[1], err, strings.TrimSpace(out.String()))
	}
	return nil
}

// Status is the part of GET /v1/status that a demo waits for.
type Status struct {
	Data struct {
		State string `json:"state"`
		Nodes struct {
			Serving int `json:"serving"`
			Total   int `json:"total"`
		} `json:"nodes"`
		Policy struct {
			Version int64 `json:"version"`
		} `json:"policy"`
		Datacenters []struct {
			Leader string `json:"leader"`
		} `json:"datacenters"`
	} `json:"data"`
}

// Rests tells whether every node serves under a policy. The state word alone
// would not do: that the store shares Cassandra's disk is a warning which a
// demo on one disk cannot lose.
func (s Status) Rests() bool {
	return s.Data.Policy.Version > 0 && s.Data.Nodes.Total > 0 && s.Data.Nodes.Serving == s.Data.Nodes.Total && s.Leader() != ""
}

// Leader is who leads the demo's only datacenter; empty: nobody.
func (s Status) Leader() string {
	if len(s.Data.Datacenters) == 0 {
		return ""
	}
	return s.Data.Datacenters[0].Leader
}

const (
	awaitMax   = time.Minute
	awaitEvery = 100 * time.Millisecond
)

// await asks a node's agent until its status fits.
func (f Fleet) await(ctx context.Context, n node.Node, what string, fits func(Status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, awaitMax)
	defer cancel()
	var last string
	for {
		var s Status
		b, err := Get(ctx, Socket(n), "/v1/status")
		if err == nil {
			last = string(b)
			err = json.Unmarshal(b, &s)
		}
		if err == nil && fits(s) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s by the agent of %s: %w (last answer %.400s)", what, n.Name, errors.Join(err, ctx.Err()), last)
		case <-time.After(awaitEvery):
		}
	}
}

// Get asks an agent's API on its unix socket.
func Get(ctx context.Context, socket, path string) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %.200s", path, res.Status, b.String())
	}
	return b.Bytes(), nil
}
