// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"supervisor/cluster"
	"supervisor/internal/demo/jars"
)

// Cluster is a cluster that serves.
type Cluster struct {
	Hosts  []*Host // the nodes
	Spares []*Host
	Etcd   []*Host // hosts of the site's own etcd
	Proxy  *Host   // nil: the cluster has none

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

// All are the hosts of every role.
func (c *Cluster) All() []*Host {
	all := slices.Concat(c.Hosts, c.Spares, c.Etcd)
	if c.Proxy != nil {
		all = append(all, c.Proxy)
	}
	return all
}

// Host is the host of a name, whatever its role; another name fails the test.
func (c *Cluster) Host(name cluster.Name) *Host {
	c.t.Helper()
	all := c.All()
	i := slices.IndexFunc(all, func(h *Host) bool { return h.Name == name })
	if i < 0 {
		c.t.Fatalf("the cluster has no host %s", name)
	}
	return all[i]
}

// In are the nodes of a datacenter.
func (c *Cluster) In(dc cluster.Datacenter) []*Host {
	return slices.DeleteFunc(slices.Clone(c.Hosts), func(h *Host) bool { return h.Datacenter != dc })
}

// near are the nodes that have the store of a region.
func (c *Cluster) near(home cluster.Region) []*Host {
	return slices.DeleteFunc(slices.Clone(c.Hosts), func(h *Host) bool { return c.layout.home(h.place) != home })
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
		{"Cassandra starts", c.startCassandra},
		{"tables", c.tables},
		{"the package is installed", func(ctx context.Context) error { return c.install(ctx, deb) }},
		{"etcd and proxy start", func(ctx context.Context) error { return errors.Join(c.startEtcd(ctx), c.startProxy(ctx)) }},
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

// each does something on all nodes at the same time.
func (c *Cluster) each(ctx context.Context, do func(context.Context, *Host) error) error {
	return on(ctx, c.Hosts, do)
}

// on does something on some hosts at the same time.
func on(ctx context.Context, hosts []*Host, do func(context.Context, *Host) error) error {
	errs := make([]error, len(hosts))
	var wg sync.WaitGroup
	for i, h := range hosts {
		wg.Go(func() { errs[i] = do(ctx, h) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (c *Cluster) bootAll(ctx context.Context, image string) error {
	if c.layout.disk > 0 {
		if err := c.keep(ctx, image); err != nil {
			return err
		}
	}
	for _, p := range c.layout.all() {
		h, err := c.boot(ctx, p, image)
		if h.c != nil {
			c.add(h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) add(h *Host) {
	switch h.Role {
	case RoleNode:
		c.Hosts = append(c.Hosts, h)
	case RoleSpare:
		c.Spares = append(c.Spares, h)
	case RoleEtcd:
		c.Etcd = append(c.Etcd, h)
	case RoleProxy:
		c.Proxy = h
	}
}

// Status is the part of the supervisor's status that a suite asks for.
type Status struct {
	State string `json:"state"`
	Nodes struct {
		Serving int `json:"serving"`
		Total   int `json:"total"`
	} `json:"nodes"`
	Datacenters []struct {
		Datacenter cluster.Datacenter `json:"datacenter"`
		Leader     cluster.Name       `json:"leader"`
	} `json:"datacenters"`
	Store struct {
		Available bool `json:"available"`
	} `json:"store"`
	Policy struct {
		Version int64 `json:"version"`
	} `json:"policy"`
	Findings []struct {
		Code    string `json:"code"`
		Subject string `json:"subject"`
	} `json:"findings"`
	Incidents []Incident `json:"incidents"`
}

// Finds tells whether a finding with this code holds, of whatever subject.
func (s Status) Finds(code string) bool {
	for _, f := range s.Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

// Status asks the agent of a host.
func (h *Host) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, h.ask(ctx, &s, "status")
}

// Leader is the host whose agent leads the first region, by the word of the first
// node's.
func (c *Cluster) Leader(ctx context.Context) (*Host, error) {
	var leader *Host
	err := await(ctx, servingMax, "somebody leads", func(ctx context.Context) (bool, string) {
		s, err := c.Hosts[0].Status(ctx)
		for _, dc := range s.Datacenters {
			for _, h := range c.Hosts {
				if h.Name == dc.Leader {
					leader = h
				}
			}
		}
		return leader != nil, fmt.Sprintf("%+v %v", s.Datacenters, err)
	})
	return leader, err
}

// AwaitStatus waits until what a host's agent says of the cluster fits.
func (h *Host) AwaitStatus(ctx context.Context, limit time.Duration, what string, fits func(Status) bool) error {
	return await(ctx, limit, what+", by the agent of "+string(h.Name), func(ctx context.Context) (bool, string) {
		s, err := h.Status(ctx)
		return err == nil && fits(s), fmt.Sprintf("%+v %v", s, err)
	})
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

// AwaitServing waits until every agent that judges says that all nodes serve under a
// policy, and every agent that nothing is open. Every member of the store runs by then:
// with one less, the next fault might stop it.
func (c *Cluster) AwaitServing(ctx context.Context) error {
	return c.each(ctx, func(ctx context.Context, h *Host) error {
		home := c.layout.home(h.place)
		all, judges := len(c.layout.near(home)), slices.ContainsFunc(c.layout.judges(home), func(p place) bool { return p.name == h.Name })
		return h.AwaitStatus(ctx, servingMax, "all nodes serve", func(s Status) bool {
			rests := s.Policy.Version > 0 && s.State != "needs_you" && s.State != "blind" && len(s.Incidents) == 0 && !s.Finds("STORE_MEMBER_DOWN") && !s.Finds("REGION_UNREAD")
			return rests && s.Nodes.Total == all && (s.Nodes.Serving == s.Nodes.Total || !judges)
		})
	})
}
