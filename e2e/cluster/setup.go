// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gocql/gocql"

	"supervisor/cluster"
	"supervisor/internal/demo/load"
	"supervisor/internal/settings"
	"supervisor/membership/gossip"
)

// startCassandra sets the Cassandra of every host up that is made for one, and starts
// those of the nodes.
func (c *Cluster) startCassandra(ctx context.Context) error {
	return on(ctx, slices.Concat(c.Hosts, c.Spares), func(ctx context.Context, h *Host) error {
		if err := c.setUpCassandra(ctx, h); err != nil || h.Role == RoleSpare {
			return err
		}
		_, err := h.Run(ctx, "systemctl", "enable", "--now", "--quiet", cassandraUnit)
		return err
	})
}

func (c *Cluster) setUpCassandra(ctx context.Context, h *Host) error {
	files := c.layout.cassandraFiles(h.place)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := h.Write(ctx, filepath.Join(dataDir, "conf", name), []byte(files[name]), 0o644); err != nil {
			return err
		}
	}
	if err := errors.Join(h.Write(ctx, startFile, []byte(c.layout.start(h.place)), 0o755),
		h.Write(ctx, "/etc/systemd/system/"+cassandraUnit, []byte(unit), 0o644)); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"mkdir", "-p", dataDir + "/data", dataDir + "/log", dataDir + "/tmp"},
		{"chown", "-R", "cassandra:cassandra", dataDir},
		{"systemctl", "daemon-reload"},
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
	session, err := c.Session(ctx)
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

// Session connects to all nodes when all of them take clients and see one another.
func (c *Cluster) Session(ctx context.Context) (*gocql.Session, error) {
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

// install installs the package on every host of a Cassandra, with what a site gives
// its agents: files, certificates and the key of their gossip.
func (c *Cluster) install(ctx context.Context, deb string) error {
	b, err := os.ReadFile(deb)
	if err != nil {
		return fmt.Errorf("read the package: %w", err)
	}
	agents := slices.Concat(c.Hosts, c.Spares)
	if err := on(ctx, agents, func(ctx context.Context, h *Host) error {
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
	for _, h := range c.All() {
		if _, err := first.Supervisor(ctx, "certs", "issue", string(h.Name), "--dir", broughtDir+"/ca", "--region", string(c.layout.home(h.place)), "--address", h.Address.String()); err != nil {
			return err
		}
	}
	return on(ctx, agents, func(ctx context.Context, h *Host) error { return c.configure(ctx, h, key) })
}

// configure gives an agent its files. They are the agent's own: Cassandra's user.
func (c *Cluster) configure(ctx context.Context, h *Host, key []byte) error {
	file, err := c.layout.agent(h.place)
	if err != nil {
		return err
	}
	if err := errors.Join(h.Write(ctx, etcDir+"/agent.yaml", file, 0o600), h.Write(ctx, etcDir+"/gossip.key", key, 0o600)); err != nil {
		return err
	}
	return c.certificate(ctx, h, etcDir, "cassandra")
}

// certificate gives a host its certificate and the authority's, and all of the folder
// to a user.
func (c *Cluster) certificate(ctx context.Context, h *Host, dir, user string) error {
	for from, to := range map[string]string{"ca.pem": "ca.pem", string(h.Name) + ".pem": "host.pem", string(h.Name) + ".key": "host.key"} {
		text, err := c.Hosts[0].Run(ctx, "cat", broughtDir+"/ca/"+from)
		if err != nil {
			return err
		}
		if err := h.Write(ctx, filepath.Join(dir, to), []byte(text), 0o600); err != nil {
			return err
		}
	}
	_, err := h.Run(ctx, "chown", "-R", user+":", dir)
	return err
}

// begin lets the agents make their keys, writes the first roster and policy, and
// leaves the agents running. Those of spares run too, and stand on no roster.
func (c *Cluster) begin(ctx context.Context) error {
	keys := make(map[cluster.Name]string)
	var mu sync.Mutex
	if err := on(ctx, slices.Concat(c.Hosts, c.Spares), func(ctx context.Context, h *Host) error {
		if _, err := h.Run(ctx, "systemctl", "enable", "--now", "--quiet", portsUnit, agentUnit); err != nil {
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
	for _, home := range c.layout.homes() {
		if err := c.beginStore(ctx, home, keys); err != nil {
			return err
		}
	}
	return nil
}

// beginStore writes the first roster and policy of a store.
func (c *Cluster) beginStore(ctx context.Context, home cluster.Region, keys map[cluster.Name]string) error {
	roster, err := c.layout.roster(home, keys)
	if err != nil {
		return err
	}
	first := c.near(home)[0]
	if err := errors.Join(first.Write(ctx, broughtDir+"/hosts.yaml", roster, 0o644),
		first.Write(ctx, broughtDir+"/policy.yaml", settings.RenderPolicy(c.layout.policy(home)), 0o644)); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"systemctl", "stop", agentUnit},
		{"cp", broughtDir + "/hosts.yaml", "/run/hosts.yaml"},
		{"runuser", "-u", "cassandra", "--", "supervisor", "store", "init", "--config", etcDir + "/agent.yaml", "--hosts", "/run/hosts.yaml", "--reason", "first roster"},
		{"systemctl", "start", agentUnit},
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
