// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	"supervisor/cluster"
	"supervisor/internal/demo/haproxy"
	"supervisor/internal/demo/node"
	"supervisor/loadbalancer"
)

const (
	proxyUnit = "haproxy.service"
	proxyFile = "/etc/haproxy/haproxy.cfg"
	statsPort = 9999
	// Pool is the name of the one pool of nodes.
	Pool = "cql"
)

// pool is the pool that the agents of the first region keep, of its nodes: every one
// of them may write it, over the network.
func (l layout) pool() loadbalancer.Declared {
	d := loadbalancer.Declared{Name: Pool, Backend: haproxy.Backend}
	for _, p := range l.proxy {
		d.Proxies = append(d.Proxies, loadbalancer.Proxy{Name: string(p.name), Socket: p.at(statsPort)})
	}
	for _, h := range l.near(l.first()) {
		d.Members, d.Writers = append(d.Members, h.name), append(d.Writers, h.name)
	}
	return d
}

// proxyConfig is HAProxy's file: its usual check, and a runtime interface for the
// agents, which nothing but the hosts' own network reaches.
func (l layout) proxyConfig(p place) string {
	var servers []haproxy.Server
	for _, h := range l.near(l.first()) {
		servers = append(servers, haproxy.Server{Name: string(h.name), Address: h.at(node.CQLPort)})
	}
	return haproxy.Config("ipv4@"+p.at(statsPort), p.at(node.CQLPort), servers)
}

// startProxy starts the proxy, if there is one.
func (c *Cluster) startProxy(ctx context.Context) error {
	if c.Proxy == nil {
		return nil
	}
	if err := c.Proxy.Write(ctx, proxyFile, []byte(c.layout.proxyConfig(c.Proxy.place)), 0o644); err != nil {
		return err
	}
	_, err := c.Proxy.Run(ctx, "systemctl", "enable", "--now", "--quiet", proxyUnit)
	return err
}

// ServerState is what the proxy says of one node.
type ServerState = haproxy.State

// asksProxy asks the runtime interface from the proxy's own host.
const asksProxy = `exec 3<>"/dev/tcp/$1/$2"
printf 'show servers state %s\n' "$3" >&3
cat <&3`

// ProxyStates asks the proxy how every node stands in it. That is the proxy's own
// word, asked by nothing of the supervisor.
func (c *Cluster) ProxyStates(ctx context.Context) (map[cluster.Name]ServerState, error) {
	if c.Proxy == nil {
		return nil, fmt.Errorf("ask the proxy: %w: the Options have no HAProxy", errOptions)
	}
	said, err := c.Proxy.Run(ctx, "timeout", "5", "bash", "-c", asksProxy, "ask", c.Proxy.Address.String(), fmt.Sprint(statsPort), haproxy.Backend)
	if err != nil {
		return nil, err
	}
	byName, err := haproxy.ParseStates(said)
	if err != nil {
		return nil, err
	}
	states := make(map[cluster.Name]ServerState, len(byName))
	for name, s := range byName {
		states[cluster.Name(name)] = s
	}
	return states, nil
}

// AwaitProxy waits until what the proxy says of a node fits.
func (c *Cluster) AwaitProxy(ctx context.Context, name cluster.Name, what string, fits func(ServerState) bool) error {
	return await(ctx, servingMax, fmt.Sprintf("the proxy: %s %s", name, what), func(ctx context.Context) (bool, string) {
		states, err := c.ProxyStates(ctx)
		s, has := states[name]
		return has && fits(s), fmt.Sprintf("%+v %v", s, err)
	})
}
