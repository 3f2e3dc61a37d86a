// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"supervisor/internal/demo/haproxy"
	"supervisor/internal/demo/node"
)

// Place of every demo node: one datacenter, a rack for each node.
const (
	Datacenter = "dc1"
	Region     = "region1"
	nodeCount  = 3
	tokenCount = 4
)

// Plan is all that was decided before anything was started. Its file marks a
// folder as a demo's.
type Plan struct {
	Format  int           `json:"format"` // 1
	Dir     string        `json:"dir"`    // absolute
	MadeDir bool          `json:"made_dir"`
	Nodes   []node.Node   `json:"nodes"`
	Proxy   haproxy.Proxy `json:"proxy"`
}

const (
	planFile   = "plan.json"
	planFormat = 1
)

var (
	// ErrNetwork says that a network is not a loopback one.
	ErrNetwork = errors.New("want three numbers of a loopback network, like 127.0.0")
	// ErrNotOurs says that a folder holds something else than a demo.
	ErrNotOurs = errors.New("the folder is not empty and holds no demo")
	// ErrNoDemo says that there is no demo in a folder.
	ErrNoDemo = errors.New("there is no demo in this folder")
	// ErrInUse says that a folder holds a demo already, running or not.
	ErrInUse = errors.New("the folder holds a demo already")
)

// Load reads the plan of the demo in dir.
func Load(dir string) (Plan, error) {
	b, err := os.ReadFile(filepath.Join(dir, planFile))
	if errors.Is(err, os.ErrNotExist) {
		return Plan{}, fmt.Errorf("%s: %w", dir, ErrNoDemo)
	}
	if err != nil {
		return Plan{}, fmt.Errorf("read the demo's plan: %w", err)
	}
	var p Plan
	if err := json.Unmarshal(b, &p); err != nil {
		return Plan{}, fmt.Errorf("read %s: %w", filepath.Join(dir, planFile), err)
	}
	if p.Format != planFormat {
		return Plan{}, fmt.Errorf("%s has format %d, this program knows %d", filepath.Join(dir, planFile), p.Format, planFormat)
	}
	return p, nil
}

// Node returns the node of that name.
func (p Plan) Node(name string) (node.Node, error) {
	names := make([]string, len(p.Nodes))
	for i, n := range p.Nodes {
		if n.Name == name {
			return n, nil
		}
		names[i] = n.Name
	}
	return node.Node{}, fmt.Errorf("no node %q; known: %s", name, strings.Join(names, ", "))
}

// newPlan lays out nodes and proxy; it looks for free ports and starts nothing.
func newPlan(dir, network string, t tools) (Plan, error) {
	base, err := parseNet(network)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Format: planFormat, Dir: dir}
	tokens := node.Tokens(nodeCount, tokenCount)
	var seeds []string
	for i := range nodeCount {
		seeds = append(seeds, fmt.Sprintf("%s.%d", network, i+1))
	}
	ports := newPorts()
	for i := range nodeCount {
		name := fmt.Sprintf("n%d", i+1)
		n := node.Node{Name: name, Address: seeds[i], Datacenter: Datacenter, Rack: fmt.Sprintf("r%d", i+1),
			Region: Region, Tokens: tokens[i], Seeds: seeds, Dir: filepath.Join(dir, name), Jars: t.jars, Java: t.java}
		n.JMXPort = ports.free("127.0.0.1", firstJMXPort+nodeCount*base)
		ports.need(n.CQL(), n.Storage(), fmt.Sprintf("%s:%d", n.Address, node.JolokiaPort))
		p.Nodes = append(p.Nodes, n)
	}
	p.Proxy = haproxy.Proxy{Dir: filepath.Join(dir, "haproxy"), Binary: t.haproxy,
		Frontend: fmt.Sprintf("127.0.0.1:%d", ports.free("127.0.0.1", firstFrontend+base))}
	return p, errors.Join(ports.err(), p.Proxy.Check())
}

// parseNet takes the first three numbers of a loopback network and returns
// the third one. Other networks are refused: a demo is nobody else's to reach.
func parseNet(network string) (int, error) {
	a, err := netip.ParseAddr(network + ".1")
	if err != nil || !a.Is4() || !a.IsLoopback() {
		return 0, fmt.Errorf("network %q: %w", network, ErrNetwork)
	}
	return int(a.As4()[2]), nil
}

// vacant says whether a demo may take the folder, and whether it exists.
func vacant(dir string) (exists bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read the demo's folder: %w", err)
	case slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == planFile }):
		return true, fmt.Errorf("%s: %w", dir, ErrInUse)
	case len(entries) > 0:
		return true, fmt.Errorf("%s: %w", dir, ErrNotOurs)
	}
	return true, nil
}

// claim makes the folder ours, or says why it cannot be.
func (p *Plan) claim() error {
	exists, err := vacant(p.Dir)
	if err != nil {
		return err
	}
	p.MadeDir = !exists
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return fmt.Errorf("make the demo's folder: %w", err)
	}
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(p.Dir, planFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) { // another demo was faster
		return fmt.Errorf("%s: %w", p.Dir, ErrInUse)
	}
	if err != nil {
		return fmt.Errorf("write the demo's plan: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Close())
}

// made lists what a demo writes in its folder, and so may remove again.
func (p Plan) made() []string {
	names := []string{manifestFile, manifestFile + ".new", filepath.Base(p.Proxy.Dir), "gossip.key", "hosts.yaml", "policy.yaml"}
	for _, n := range p.Nodes {
		names = append(names, n.Name)
	}
	return append(names, planFile) // last: until then the folder is known as ours
}
