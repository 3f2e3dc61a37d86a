// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"supervisor/cluster"
)

// agentCheck holds what one fault cannot see alone: the whole document.
type agentCheck struct {
	*document
	a Agent
}

func (c agentCheck) identity() {
	c.name("cluster", c.a.Cluster)
	c.name("region", string(c.a.Region))
	c.name("host.name", string(c.a.Host.Name))
	c.name("host.datacenter", string(c.a.Host.Datacenter))
	c.name("host.rack", string(c.a.Host.Rack))
	c.labels("host.labels", c.a.Host.Labels)
	c.absolute("state_dir", c.a.StateDir)
	levels := []string{"debug", "info", "warn", "error"}
	c.must(slices.Contains(levels, c.a.Log.Level), "log.level", "%q; write %s", c.a.Log.Level, list(levels))
}

func (c agentCheck) api() {
	a := c.a.API
	c.socket("api.socket", a.Socket)
	if a.Group != "" {
		c.name("api.group", a.Group)
	}
	c.tls("api.tls", a.TLS)
	if a.TLS != nil {
		c.must(a.Listen != "", "api.tls", "nothing listens with it; write IP:port as api.listen, or leave it out")
	}
	if a.Listen == "" {
		return
	}
	c.address("api.listen", a.Listen)
	c.must(a.TLS != nil, "api.listen", "%q without TLS: who asks over the network is told by a certificate; name ca, cert and key under api.tls (supervisor certs writes them)", a.Listen)
	taken := map[string]string{c.a.Gossip.Bind: "gossip.bind", c.a.Cassandra.CQL: "cassandra.cql", c.a.Cassandra.Storage: "cassandra.storage"}
	if m, runs := c.a.Member(); runs {
		at := child("store.embedded.members", string(c.a.Host.Name))
		taken[m.Client], taken[m.Peer] = child(at, "client"), child(at, "peer")
	}
	// An agent is started before its Cassandra, which would find its port taken.
	other, is := taken[a.Listen]
	c.must(!is, "api.listen", "%q is %s too; give it its own port", a.Listen, other)
}

// controlMax bounds the agents that campaign: more make elections slower and
// nothing safer.
const controlMax = 7

func (c agentCheck) control() {
	const path = "control_agents"
	names := c.a.ControlAgents
	c.must(len(names) > 0, path, "missing; name the agents that judge and lead, three as a rule")
	c.must(len(names) <= controlMax, path, "%d agents; name at most %d, three as a rule", len(names), controlMax)
	for i, n := range names {
		c.name(item(path, i), string(n))
		c.must(!slices.Contains(names[:i], n), item(path, i), "%q is listed twice; name it once", n)
	}
}

func (c agentCheck) gossip() {
	g := c.a.Gossip
	at, ok := c.address("gossip.bind", g.Bind)
	for i, s := range g.Seeds {
		c.address(item("gossip.seeds", i), s)
	}
	inside := false
	for i, s := range g.Networks {
		p, err := netip.ParsePrefix(s)
		c.must(err == nil, item("gossip.networks", i), "%q is no network; write it like 10.0.3.0/24", s)
		inside = inside || err == nil && p.Contains(at.Addr())
	}
	switch {
	case ok && len(g.Networks) == 0:
		c.must(at.Addr().Unmap().IsLoopback(), "gossip.networks", "missing; name the networks that members may stand in, like %s/24", at.Addr())
	case ok:
		c.must(inside, "gossip.networks", "gossip.bind %s stands in none of them", at.Addr())
	}
	c.keyFile("gossip.key_file", g.KeyFile)
}

const noAuthentication = "nothing listens beyond loopback without authentication"

func (c agentCheck) store() {
	s := c.a.Store
	if !c.given("store") || s.Embedded == nil && len(s.Endpoints) == 0 {
		c.fault("store", "missing; write endpoints: [http://127.0.0.1:2379], or embedded: with dir and members")
	}
	c.endpoints("store", s.Endpoints, s.TLS != nil, "store.tls")
	c.tls("store.tls", s.TLS)
	if s.Embedded != nil {
		c.embedded(*s.Embedded)
	}
}

// endpoints checks the URLs of one etcd; tls is whether certificates are named, and
// where they stand, or would.
func (c agentCheck) endpoints(path string, endpoints []string, tls bool, where string) {
	for i, e := range endpoints {
		at := item(child(path, "endpoints"), i)
		c.endpoint(at, e, tls, where)
		c.must(!slices.Contains(endpoints[:i], e), at, "%q is listed twice; name it once", e)
	}
}

func (c agentCheck) tls(path string, t *TLS) {
	if t == nil {
		return
	}
	// What stands in them is looked at by who uses them: they may be replaced.
	c.absolute(child(path, "ca"), t.CA)
	c.absolute(child(path, "cert"), t.Cert)
	c.absolute(child(path, "key"), t.Key)
}

// regionsMax bounds the stores that every agent reads.
const regionsMax = 8

func (c agentCheck) regions() {
	const path = "regions"
	c.must(len(c.a.Regions) <= regionsMax, path, "%d regions; name at most %d", len(c.a.Regions), regionsMax)
	for _, r := range sortedKeys(c.a.Regions) {
		e, at := c.a.Regions[r], child(path, string(r))
		c.name(at, string(r))
		c.must(r != c.a.Region, at, "%q is the region of this host; name the others, and its own store under store", r)
		c.must(len(e.Endpoints) > 0, child(at, "endpoints"), "missing; write the client URLs of the etcd there, like [https://10.1.3.21:2379]")
		where := "store.tls"
		if e.TLS != nil {
			where = child(at, "tls")
		}
		c.endpoints(at, e.Endpoints, e.TLS != nil || c.a.Store.TLS != nil, where)
		c.tls(child(at, "tls"), e.TLS)
	}
}

func (c agentCheck) embedded(e Embedded) {
	const path = "store.embedded"
	names := sortedKeys(e.Members)
	c.must(slices.Contains([]int{1, 3, 5}, len(names)), path+".members",
		"%d members; name 3 control agents with client and peer (or 1, or 5): a majority of them must answer", len(names))
	used := make(map[string]string)
	for _, name := range names {
		at := child(path+".members", string(name))
		control := slices.Contains(c.a.ControlAgents, name) || len(c.a.ControlAgents) == 0
		c.must(control, at, "%q is no control agent; only those run a member of the store", name)
		c.member(child(at, "client"), e.Members[name].Client, used)
		c.member(child(at, "peer"), e.Members[name].Peer, used)
	}
	if _, runs := e.Members[c.a.Host.Name]; !runs {
		c.must(e.Dir == "", path+".dir", "host %q runs no member of the store; leave the line out, or name the host under members", c.a.Host.Name)
		return
	}
	c.absolute(path+".dir", e.Dir)
	c.must(e.Dir == "" || e.Dir != c.a.StateDir, path+".dir", "%q is the agent's state_dir; give the store one of its own", e.Dir)
	c.must(!within(e.Dir, c.a.Cassandra.DataDir), path+".dir", "%q lies in Cassandra's data_dir; give the store one of its own", e.Dir)
}

// member checks one address of a member; used holds those of the others.
func (c agentCheck) member(path, address string, used map[string]string) {
	at, ok := c.address(path, address)
	if !ok {
		return
	}
	c.must(at.Addr().Unmap().IsLoopback() || c.a.Store.TLS != nil, path,
		"%s: %s; name ca, cert and key under store.tls (supervisor certs writes them)", address, noAuthentication)
	other, taken := used[address]
	c.must(!taken, path, "%q is %s too; give it its own port", address, other)
	used[address] = path
}

// within says whether a path is dir or lies below it.
func within(path, dir string) bool {
	return path != "" && dir != "" && (path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/"))
}

// endpoint checks a URL of etcd: without TLS it is loopback, since whoever
// writes to the store commands every agent.
func (c agentCheck) endpoint(path, s string, tls bool, where string) {
	u, ok := c.url(path, s, "http://127.0.0.1:2379")
	if !ok {
		return
	}
	c.must(u.Path == "" || u.Path == "/", path, "%q has a path; write https://host:2379", s)
	c.must(u.Scheme != "https" || tls, path, "%q wants TLS; name ca, cert and key under %s", s, where)
	c.must(u.Scheme != "http" || !tls, path, "%q is without TLS, but %s is given; write https://", s, where)
	c.must(u.Scheme != "http" || tls || loopback(u.Hostname()), path, "%q: %s; write https:// and name ca, cert and key under %s", s, noAuthentication, where)
}

func (c agentCheck) url(path, s, like string) (*url.URL, bool) {
	u, err := url.Parse(s)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.Port() != "" &&
		u.Opaque == "" && u.RawQuery == "" && u.Fragment == ""
	if !c.must(ok, path, "%q is no address; write it like %s", redacted(s), like) {
		return nil, false
	}
	return u, c.must(u.User == nil, path, "a user or password stands in the address; secrets stand in files")
}

// redacted keeps a password out of a message.
func redacted(s string) string {
	if scheme, rest, ok := strings.Cut(s, "//"); ok {
		if i := strings.LastIndex(rest, "@"); i >= 0 {
			return scheme + "//…" + rest[i:]
		}
	}
	return s
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

const jolokiaLike = "http://127.0.0.1:8778/jolokia/"

func (c agentCheck) cassandra() {
	s := c.a.Cassandra
	c.address("cassandra.cql", s.CQL)
	c.address("cassandra.storage", s.Storage)
	c.must(s.CQL == "" || s.CQL != s.Storage, "cassandra.storage", "%q is the CQL address too", s.Storage)
	if c.must(s.Jolokia != "", "cassandra.jolokia", "missing; write it like "+jolokiaLike) {
		if u, ok := c.url("cassandra.jolokia", s.Jolokia, jolokiaLike); ok {
			c.must(u.Scheme == "https" || loopback(u.Hostname()), "cassandra.jolokia",
				"%q: %s; bind Jolokia to 127.0.0.1", s.Jolokia, noAuthentication)
		}
	}
	c.absolute("cassandra.data_dir", s.DataDir)
	if s.CredentialsFile != "" {
		c.secretFile("cassandra.credentials_file", s.CredentialsFile, 0o007)
	}
	if s.PortGuard != "" {
		c.absolute("cassandra.port_guard", s.PortGuard)
	}
	c.started(s)
	c.within("cassandra.start_max", s.StartMax, time.Second, 5*time.Minute)
	c.within("cassandra.exit_max", s.ExitMax, time.Second, 5*time.Minute)
}

// aService is a name of systemd's for what it can start: no template, no path.
var aService = regexp.MustCompile(`^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]+)?\.service$`)

// started checks who starts Cassandra: systemd or a command, and not both.
func (c agentCheck) started(s Cassandra) {
	const path = "cassandra.unit"
	unit, command := c.given(path), c.given("cassandra.command")
	switch {
	case unit && command:
		c.fault(path, "stands beside cassandra.command; write unit for a Cassandra that systemd starts, command for any other, and not both")
	case unit:
		c.must(aService.MatchString(s.Unit) && len(s.Unit) < 256, path, "%q is no service; name it like cassandra.service", s.Unit)
	case command:
		c.command(s.Command)
	default:
		c.fault(path, "missing; name the service by which systemd starts Cassandra, like cassandra.service; where there is none, write command: with start and pid_file")
	}
}

func (c agentCheck) command(m Command) {
	const path = "cassandra.command"
	if c.must(len(m.Start) > 0, path+".start", "missing; write the program and its arguments as a list, never a shell line") {
		c.program(path+".start", m.Start)
	}
	if len(m.Stop) > 0 {
		c.program(path+".stop", m.Stop)
	}
	c.absolute(path+".pid_file", m.PIDFile)
	c.must(m.Match != "", path+".match", "empty; a process must be told from others that bear its number")
	if m.Log != "" {
		c.absolute(path+".log", m.Log)
	}
	c.within(path+".stop_max", m.StopMax, time.Second, 5*time.Minute)
}

func (c agentCheck) gate() {
	if c.given("cassandra.command") || c.a.Gate.OptionsFile != "" { // the gate of a unit has a place of its own
		c.absolute("gate.options_file", c.a.Gate.OptionsFile)
	}
	c.within("gate.timeout", c.a.Gate.Timeout, time.Second, 2*time.Minute)
}

// labels checks free words about a host.
func (d *document) labels(path string, labels map[string]string) {
	for _, key := range sortedKeys(labels) {
		d.must(wellNamed.MatchString(key), child(path, key), "the label %q holds what a name must not; write letters, digits and - _ .", key)
		d.must(len(labels[key]) <= 256 && !strings.ContainsFunc(labels[key], control), child(path, key), "longer than 256 bytes, or not printable")
	}
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// place checks where a host stands.
func (d *document) place(path string, h cluster.Host) {
	d.name(path+".region", string(h.Region))
	d.name(path+".datacenter", string(h.Datacenter))
	d.name(path+".rack", string(h.Rack))
}
