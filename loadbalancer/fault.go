// SPDX-License-Identifier: Apache-2.0

package loadbalancer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"supervisor/cluster"
)

// Fault is one thing wrong in a declaration.
type Fault struct {
	Path  string // where: pools[0].members[2]
	Wrong string
	Right string // what would be right
}

// String renders a fault as one line.
func (f Fault) String() string { return f.Path + ": " + f.Wrong + "; " + f.Right }

// Faults returns everything that is wrong in the declared pools, in the order
// of the document; nil when all is well. hosts is the roster; with none, names
// are not looked up.
func Faults(pools []Declared, hosts []cluster.Name) []Fault {
	c := check{hosts: hosts, names: map[string]string{}, owners: map[string]string{}, sockets: map[string]Proxy{}}
	for i, d := range pools {
		c.pool(fmt.Sprintf("pools[%d]", i), d)
	}
	return c.faults
}

// check gathers faults and what must not occur twice.
type check struct {
	hosts   []cluster.Name
	faults  []Fault
	names   map[string]string // pool name -> where it stands
	owners  map[string]string // socket and backend -> pool that writes it
	sockets map[string]Proxy  // proxy name -> its first mention
}

func (c *check) add(path, wrong, right string) {
	c.faults = append(c.faults, Fault{path, wrong, right})
}

func (c *check) pool(path string, d Declared) {
	c.word(path+".name", d.Name)
	if at, twice := c.names[d.Name]; twice && d.Name != "" {
		c.add(path+".name", fmt.Sprintf("%q is the name of %s too", d.Name, at), "give each pool its own")
	} else {
		c.names[d.Name] = path
	}
	c.word(path+".backend", d.Backend)
	c.list(path+".members", d.Members, "a pool without members serves nobody; name the nodes as the proxies do")
	c.list(path+".writers", d.Writers, "nobody may write this pool; name at least one agent")
	if len(d.Proxies) == 0 {
		c.add(path+".proxies", "empty", "name at least one proxy with name and socket")
	}
	for i, p := range d.Proxies {
		c.proxy(fmt.Sprintf("%s.proxies[%d]", path, i), d, p)
	}
}

func (c *check) list(path string, names []cluster.Name, empty string) {
	if len(names) == 0 {
		c.add(path, "empty", empty)
	}
	for i, n := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		if !c.word(at, string(n)) {
			continue
		}
		if slices.Contains(names[:i], n) {
			c.add(at, fmt.Sprintf("%q stands here twice", n), "name it once")
		}
		if len(c.hosts) > 0 && !slices.Contains(c.hosts, n) {
			c.add(at, fmt.Sprintf("no host %q on the roster", n), fmt.Sprintf("known: %v", slices.Sorted(slices.Values(c.hosts))))
		}
	}
}

func (c *check) proxy(path string, d Declared, p Proxy) {
	c.word(path+".name", p.Name)
	if err := CheckSocket(p.Socket); err != nil {
		c.add(path+".socket", err.Error(), "write an absolute path or IP:port, as in /run/haproxy/admin.sock")
		return
	}
	if first, known := c.sockets[p.Name]; known && first.Socket != p.Socket {
		c.add(path+".socket", fmt.Sprintf("proxy %q stands at %s elsewhere", p.Name, first.Socket), "one name, one socket")
	} else {
		c.sockets[p.Name] = p
	}
	key := p.Socket + " " + d.Backend
	if owner, taken := c.owners[key]; taken {
		c.add(path, fmt.Sprintf("backend %q behind %s is written by pool %q already", d.Backend, p.Socket, owner),
			"a backend belongs to one pool and stands in it once")
	} else {
		c.owners[key] = d.Name
	}
}

// word checks a name that is sent to proxies.
func (c *check) word(path, name string) bool {
	err := CheckName(name)
	if err != nil {
		c.add(path, err.Error(), "write letters, digits and any of - _ . :")
	}
	return err == nil
}

// NameMax is the longest name of a pool, backend or server, in bytes: it
// keeps one command far below the input buffer of any proxy.
const NameMax = 128

// CheckName says whether a proxy takes this as the name of a backend or
// server. The allowed letters are those HAProxy allows in names, without a
// blank, a slash or a semicolon that would end or split a command.
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("the name is empty")
	}
	if len(name) > NameMax {
		return fmt.Errorf("the name has %d bytes, more than %d", len(name), NameMax)
	}
	for _, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !strings.ContainsRune("-_.:", r) {
			return fmt.Errorf("the name %q holds %q", name, r)
		}
	}
	return nil
}

// socketMax is the longest unix socket path Linux takes, in bytes.
const socketMax = 107

// CheckSocket says whether this can be the address of a proxy's runtime
// interface: an absolute path or IP:port. Host names are refused, since a name
// server must not decide who is told to drain.
func CheckSocket(socket string) error {
	switch {
	case socket == "":
		return fmt.Errorf("the socket is empty")
	case strings.HasPrefix(socket, "/"):
		if len(socket) > socketMax {
			return fmt.Errorf("the path has %d bytes, more than the %d a socket may have", len(socket), socketMax)
		}
		return nil
	}
	if at, err := netip.ParseAddrPort(socket); err != nil || at.Port() == 0 {
		return fmt.Errorf("%q is neither an absolute path nor IP:port", socket)
	}
	return nil
}
