// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"supervisor/internal/demo/haproxy"
	"supervisor/internal/demo/jars"
	"supervisor/internal/demo/load"
	"supervisor/internal/demo/node"
)

// Options are complete: nothing is defaulted later.
type Options struct {
	Dir      string // gets all files; must be empty or absent
	Net      string // first three numbers of a loopback network
	Progress *Progress
	// Attach starts what watches the nodes, once they are healthy and the proxy
	// runs; nil attaches nothing. Processes that it starts under the nodes'
	// agent pid files are ended with the demo.
	Attach func(context.Context, Plan) (Attached, error)
}

// Attached is where the agents of a demo are reached.
type Attached struct {
	API  map[string]string // node's name -> its agent's unix socket
	Etcd []string          // client URLs
}

// UpSteps is how many steps Up shows.
const UpSteps = 3

// startMax bounds the start of the cluster; a machine of two cores takes
// about 40 s.
const startMax = 4 * time.Minute

// Up brings a cluster up and returns its plan when it serves. After an error
// nothing runs; the files stay for whoever looks for the reason, unless ctx
// ended: then they are removed too. Errors worth telling apart: Missing,
// jars.Damaged, Taken, ErrNetwork, ErrNotOurs, ErrInUse, Failed.
func Up(ctx context.Context, o Options) (Plan, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return Plan{}, fmt.Errorf("find the demo's folder: %w", err)
	}
	if _, err := parseNet(o.Net); err != nil {
		return Plan{}, err
	}
	if _, err := vacant(dir); err != nil {
		return Plan{}, err
	}
	began := time.Now()
	o.Progress.Step("tools")
	o.Progress.Show("", "looking for Java 17 and HAProxy, checking Cassandra "+jars.Version)
	t, err := findTools(ctx)
	if err != nil {
		return Plan{}, err
	}
	o.Progress.Done(fmt.Sprintf("java 17, haproxy found; Cassandra %s: %d jars, checksums good, %s",
		jars.Version, len(jars.Pinned()), seconds(time.Since(began))))
	p, err := newPlan(dir, o.Net, t)
	if err != nil {
		return Plan{}, err
	}
	if err := p.claim(); err != nil {
		return Plan{}, err
	}
	if err := p.bringUp(ctx, o); err != nil {
		o.Progress.End()
		calm := context.WithoutCancel(ctx)
		return Plan{}, errors.Join(err, Down(calm, p.Dir, ctx.Err() == nil))
	}
	return p, nil
}

// bringUp runs the steps after which the demo serves. The manifest comes
// last: who waits for it finds everything in it.
func (p Plan) bringUp(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startMax, fmt.Errorf("the cluster is not up after %s", startMax))
	defer cancel()
	show := o.Progress
	show.Step("cluster")
	if err := p.startNodes(ctx); err != nil {
		return err
	}
	if err := p.awaitNodes(ctx, show); err != nil {
		return err
	}
	if err := p.awaitGossip(ctx); err != nil {
		return err
	}
	show.Step("ready")
	show.Show("auth", "system_auth to 3 replicas")
	if err := p.raiseAuth(ctx); err != nil {
		return err
	}
	if err := load.Prepare(ctx, p.LoadNodes(), Datacenter); err != nil {
		return err
	}
	if err := p.StartProxy(ctx); err != nil {
		return err
	}
	var attached Attached
	if o.Attach != nil {
		var err error
		if attached, err = o.Attach(ctx, p); err != nil {
			return err
		}
	}
	if err := writeManifest(p, attached); err != nil {
		return err
	}
	show.Done("system_auth at 3 replicas and repaired; haproxy at " + p.Proxy.Frontend)
	return nil
}

// LoadNodes are the nodes as a load reads through them.
func (p Plan) LoadNodes() []load.Node {
	var nodes []load.Node
	for _, n := range p.Nodes {
		nodes = append(nodes, load.Node{Name: n.Name, CQL: n.CQL()})
	}
	return nodes
}

// StartProxy starts the proxy, which knows nothing then but its file.
func (p Plan) StartProxy(ctx context.Context) error {
	var servers []haproxy.Server
	for _, n := range p.Nodes {
		servers = append(servers, haproxy.Server{Name: n.Name, Address: n.CQL()})
	}
	return haproxy.Start(ctx, p.Proxy, servers)
}

// startNodes writes all files before it starts the first node, so that a
// concurrent Down finds a place to forbid each start.
func (p Plan) startNodes(ctx context.Context) error {
	for _, n := range p.Nodes {
		if err := node.Write(n); err != nil {
			return err
		}
	}
	for _, n := range p.Nodes {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		// No agent has a configuration yet, so no gate is asked.
		if _, err := node.Start(ctx, n, "", io.Discard); err != nil {
			return err
		}
	}
	return nil
}

// awaitNodes waits until every node answers clients.
func (p Plan) awaitNodes(ctx context.Context, show *Progress) error {
	began := time.Now()
	done := make(map[string]time.Duration)
	for {
		var keys, texts []string
		for _, n := range p.Nodes {
			s, err := look(ctx, n)
			if err != nil {
				return err
			}
			since := time.Since(began)
			if s == up {
				if _, seen := done[n.Name]; !seen {
					done[n.Name] = since
				}
				since = done[n.Name]
			}
			keys = append(keys, n.Name+string(s))
			texts = append(texts, fmt.Sprintf("%s %s %s", n.Name, s, seconds(since)))
		}
		line := strings.Join(texts, " · ")
		if len(done) == len(p.Nodes) {
			show.Done(line)
			return nil
		}
		show.Show(strings.Join(keys, " "), line+" (usual 15 to 50 s)")
		if err := pause(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.0f s", d.Seconds()) }

// awaitGossip waits until every node believes all nodes to be up.
func (p Plan) awaitGossip(ctx context.Context) error {
	for _, n := range p.Nodes {
		for {
			state, err := ask(ctx, n)
			seen := upPeers(state) + 1
			if err == nil && seen == len(p.Nodes) {
				break
			}
			if ended := pause(ctx, 250*time.Millisecond); ended != nil {
				return fmt.Errorf("wait until %s sees all nodes up (sees %d): %w", n.Name, seen, errors.Join(ended, err))
			}
		}
	}
	return nil
}
