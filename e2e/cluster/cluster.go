// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/moby/moby/api/types/network"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"supervisor/cluster"
	"supervisor/internal/demo/jars"
	"supervisor/internal/demo/load"
	"supervisor/internal/demo/node"
	"supervisor/internal/settings"
	"supervisor/membership/gossip"
)

// Cluster is a cluster that serves.
type Cluster struct {
	Hosts []*Host

	t       testing.TB
	id      string // of all that it made, by label
	network string
	jars    string
	layout  layout
}

// startMax bounds a whole start, the image apart; two cores take about two minutes.
const startMax = 8 * time.Minute

// Start starts a cluster and returns it when every node of it serves, by the word of
// its own supervisor. It ends with the test; a test that failed finds the journals
// of all hosts in its output.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	l, err := o.lay()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, layout: l, id: fmt.Sprintf("suite-%d-%d", os.Getpid(), time.Now().UnixMilli())}
	ctx := t.Context()
	if err := removeLeftovers(ctx); err != nil {
		t.Fatal(err)
	}
	image, err := ensureImage(ctx, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	if c.jars, err = jars.Ensure(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.end)
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	if err := c.start(ctx, image, o.Package); err != nil {
		t.Fatal(err)
	}
	return c
}

// Host is the host of a name; another name fails the test.
func (c *Cluster) Host(name cluster.Name) *Host {
	c.t.Helper()
	i := slices.IndexFunc(c.Hosts, func(h *Host) bool { return h.Name == name })
	if i < 0 {
		c.t.Fatalf("the cluster has no host %s", name)
	}
	return c.Hosts[i]
}

func (c *Cluster) start(ctx context.Context, image, deb string) error {
	n, err := tcnetwork.New(ctx, tcnetwork.WithLabels(map[string]string{label: c.id}),
		tcnetwork.WithIPAM(&network.IPAM{Config: []network.IPAMConfig{{Subnet: c.layout.subnet}}}))
	if err != nil {
		return fmt.Errorf("make the network of the hosts: %w", err)
	}
	c.network = n.Name
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"hosts boot", func(ctx context.Context) error { return c.bootAll(ctx, image) }},
		{"Cassandra starts", func(ctx context.Context) error { return c.each(ctx, c.startCassandra) }},
		{"tables", c.tables},
		{"the package is installed", func(ctx context.Context) error { return c.install(ctx, deb) }},
		{"the store begins", c.begin},
		{"all nodes serve", c.AwaitServing},
	}
	for _, s := range steps {
		began := time.Now()
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("start the cluster, %s: %w", s.what, err)
		}
		c.t.Logf("%s: %.1f s", s.what, time.Since(began).Seconds())
	}
	return nil
}

// each does something on all hosts at the same time.
func (c *Cluster) each(ctx context.Context, do func(context.Context, *Host) error) error {
	errs := make([]error, len(c.Hosts))
	var wg sync.WaitGroup
	for i, h := range c.Hosts {
		wg.Go(func() { errs[i] = do(ctx, h) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (c *Cluster) bootAll(ctx context.Context, image string) error {
	for _, p := range c.layout.hosts {
		h, err := c.boot(ctx, p, image)
		if h.c != nil {
			c.Hosts = append(c.Hosts, h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// startCassandra sets a host's Cassandra up and waits until it takes clients.
func (c *Cluster) startCassandra(ctx context.Context, h *Host) error {
	files := node.Files(c.layout.node(h.place))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := h.Write(ctx, filepath.Join(dataDir, "conf", name), []byte(files[name]), 0o644); err != nil {
			return err
		}
	}
	if err := h.Write(ctx, startFile, []byte(c.layout.start(h.place)), 0o755); err != nil {
		return err
	}
	if err := h.Write(ctx, "/etc/systemd/system/cassandra.service", []byte(unit), 0o644); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"mkdir", "-p", dataDir + "/log", dataDir + "/tmp"},
		{"chown", "-R", "cassandra:cassandra", dataDir},
		{"systemctl", "enable", "--now", "--quiet", "cassandra.service"},
	} {
		if _, err := h.Run(ctx, argv...); err != nil {
			return err
		}
	}
	return nil
}

// tables makes what tests read and write, and gives system_auth as many replicas:
// with one, the loss of a node could lock clients out, and the rules of quorum say so.
func (c *Cluster) tables(ctx context.Context) error {
	session, err := c.session(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	for _, statement := range []string{
		"ALTER KEYSPACE system_auth WITH replication = " + c.layout.replication(),
		"CREATE KEYSPACE IF NOT EXISTS " + load.Keyspace + " WITH replication = " + c.layout.replication(),
		fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.%s (id text PRIMARY KEY, v bigint, kind text)", load.Keyspace, load.Table),
	} {
		// A node is UP to the others a moment before it is NORMAL, and until then no
		// replication may be changed.
		err := await(ctx, time.Minute, statement, func(ctx context.Context) (bool, string) {
			err := session.Query(statement).WithContext(ctx).Exec()
			return err == nil, fmt.Sprint(err)
		})
		if err != nil {
			return err
		}
	}
	return session.AwaitSchemaAgreement(ctx)
}

// replication is three replicas in every datacenter that has as many hosts.
func (l layout) replication() string {
	hosts := map[string]int{}
	for _, h := range l.hosts {
		hosts[string(h.datacenter)]++
	}
	text := "{'class': 'NetworkTopologyStrategy'"
	for _, dc := range slices.Sorted(maps.Keys(hosts)) {
		text += fmt.Sprintf(", '%s': %d", dc, min(3, hosts[dc]))
	}
	return text + "}"
}

// session connects to all nodes when all of them take clients.
func (c *Cluster) session(ctx context.Context) (*gocql.Session, error) {
	var hosts []string
	for _, h := range c.Hosts {
		hosts = append(hosts, h.CQL())
	}
	config := gocql.NewCluster(hosts...)
	config.ProtoVersion, config.Timeout, config.ConnectTimeout = 4, 10*time.Second, 5*time.Second
	config.Consistency, config.Logger = gocql.Quorum, quiet{} // it is expected to be refused for a while
	var session *gocql.Session
	err := await(ctx, 3*time.Minute, "all nodes take clients and see one another", func(ctx context.Context) (bool, string) {
		s, err := config.CreateSession()
		if err != nil {
			return false, err.Error()
		}
		for _, h := range c.Hosts {
			one := *config
			one.Hosts, one.HostFilter = []string{h.CQL()}, gocql.WhiteListHostFilter(h.Address.String())
			if err := sees(ctx, &one, len(c.Hosts)-1); err != nil {
				s.Close()
				return false, fmt.Sprintf("%s: %v", h.Name, err)
			}
		}
		session = s
		return true, ""
	})
	return session, err
}

// quiet is a log that nobody reads.
type quiet struct{}

func (quiet) Print(...any)          {}
func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// sees wants a node to know so many peers.
func sees(ctx context.Context, config *gocql.ClusterConfig, peers int) error {
	s, err := config.CreateSession()
	if err != nil {
		return err
	}
	defer s.Close()
	var n int
	if err := s.Query("SELECT count(*) FROM system.peers_v2").WithContext(ctx).Consistency(gocql.One).Scan(&n); err != nil {
		return err
	}
	if n != peers {
		return fmt.Errorf("it knows %d peers of %d", n, peers)
	}
	return nil
}

// install installs the package on every host, with what a site gives its agents:
// files, certificates and the key of their gossip.
func (c *Cluster) install(ctx context.Context, deb string) error {
	b, err := os.ReadFile(deb)
	if err != nil {
		return fmt.Errorf("read the package: %w", err)
	}
	if err := c.each(ctx, func(ctx context.Context, h *Host) error {
		if err := h.Write(ctx, broughtDir+"/supervisor.deb", b, 0o644); err != nil {
			return err
		}
		_, err := h.Run(ctx, "dpkg", "--install", broughtDir+"/supervisor.deb")
		return err
	}); err != nil {
		return err
	}
	key := gossip.NewKey()
	first := c.Hosts[0]
	if _, err := first.Supervisor(ctx, "certs", "init", "--dir", broughtDir+"/ca", "--cluster", Name); err != nil {
		return err
	}
	for _, h := range c.Hosts {
		if _, err := first.Supervisor(ctx, "certs", "issue", string(h.Name), "--dir", broughtDir+"/ca", "--address", h.Address.String()); err != nil {
			return err
		}
	}
	return c.each(ctx, func(ctx context.Context, h *Host) error { return c.configure(ctx, h, key) })
}

// configure gives an agent its files. They are the agent's own: Cassandra's user.
func (c *Cluster) configure(ctx context.Context, h *Host, key []byte) error {
	file, err := c.layout.agent(h.place)
	if err != nil {
		return err
	}
	files := map[string][]byte{"agent.yaml": file, "gossip.key": key}
	for from, to := range map[string]string{"ca.pem": "ca.pem", string(h.Name) + ".pem": "host.pem", string(h.Name) + ".key": "host.key"} {
		text, err := c.Hosts[0].Run(ctx, "cat", broughtDir+"/ca/"+from)
		if err != nil {
			return err
		}
		files[to] = []byte(text)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := h.Write(ctx, filepath.Join(etcDir, name), files[name], 0o600); err != nil {
			return err
		}
	}
	_, err = h.Run(ctx, "chown", "-R", "cassandra:", etcDir)
	return err
}

// begin lets the agents make their keys, writes the first roster and policy, and
// leaves the agents running.
func (c *Cluster) begin(ctx context.Context) error {
	keys := make(map[cluster.Name]string)
	var mu sync.Mutex
	if err := c.each(ctx, func(ctx context.Context, h *Host) error {
		if _, err := h.Run(ctx, "systemctl", "enable", "--now", "--quiet", "cassandra-supervisor.service"); err != nil {
			return err
		}
		text, err := h.Run(ctx, "cat", "/var/lib/cassandra-supervisor/"+settings.PublicKeyFile)
		mu.Lock()
		defer mu.Unlock()
		keys[h.Name] = strings.TrimSpace(text)
		return err
	}); err != nil {
		return err
	}
	roster, err := c.layout.roster(keys)
	if err != nil {
		return err
	}
	first := c.Hosts[0]
	if err := errors.Join(first.Write(ctx, broughtDir+"/hosts.yaml", roster, 0o644),
		first.Write(ctx, broughtDir+"/policy.yaml", settings.RenderPolicy(c.layout.policy()), 0o644)); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"systemctl", "stop", "cassandra-supervisor.service"},
		{"cp", broughtDir + "/hosts.yaml", "/run/hosts.yaml"},
		{"runuser", "-u", "cassandra", "--", "supervisor", "store", "init", "--config", etcDir + "/agent.yaml", "--hosts", "/run/hosts.yaml", "--reason", "first roster"},
		{"systemctl", "start", "cassandra-supervisor.service"},
	} {
		if _, err := first.Run(ctx, argv...); err != nil {
			return err
		}
	}
	// The agent answers before it has the store.
	return await(ctx, 2*time.Minute, "the policy is taken in", func(ctx context.Context) (bool, string) {
		out, err := first.Supervisor(ctx, "policy", "apply", broughtDir+"/policy.yaml", "--yes", "--reason", "the suite begins")
		return err == nil, out
	})
}

// Status is the part of the supervisor's status that a suite asks for.
type Status struct {
	State string `json:"state"`
	Nodes struct {
		Serving int `json:"serving"`
		Total   int `json:"total"`
	} `json:"nodes"`
	Policy struct {
		Version int64 `json:"version"`
	} `json:"policy"`
	Incidents []Incident `json:"incidents"`
}

// Status asks the agent of a host.
func (h *Host) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, h.ask(ctx, &s, "status")
}

// ask runs a command that reads, and takes in its data. Its code may be any: status
// tells with it how the cluster is.
func (h *Host) ask(ctx context.Context, into any, args ...string) error {
	out, err := h.Supervisor(ctx, append(args, "-o", "json")...)
	var failed Failed
	if err != nil && !errors.As(err, &failed) {
		return err
	}
	envelope := struct {
		Data any `json:"data"`
	}{into}
	if bad := json.Unmarshal([]byte(out), &envelope); bad != nil {
		return errors.Join(err, fmt.Errorf("supervisor %s on %s: %w", args[0], h.Name, bad))
	}
	return nil
}

// servingMax is how long a cluster may take until it rests.
const servingMax = 3 * time.Minute

// AwaitServing waits until every agent says that all nodes serve under a policy, and
// that nothing is open.
func (c *Cluster) AwaitServing(ctx context.Context) error {
	return c.each(ctx, func(ctx context.Context, h *Host) error {
		return await(ctx, servingMax, "all nodes serve, by the agent of "+string(h.Name), func(ctx context.Context) (bool, string) {
			s, err := h.Status(ctx)
			rests := s.Policy.Version > 0 && s.State != "needs_you" && s.State != "blind" && s.Nodes.Total == len(c.Hosts) && s.Nodes.Serving == s.Nodes.Total && len(s.Incidents) == 0
			return err == nil && rests, fmt.Sprintf("%+v %v", s, err)
		})
	})
}
