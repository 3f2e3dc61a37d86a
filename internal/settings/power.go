// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"encoding/hex"
	"strings"
	"time"

	"supervisor/cluster"
)

// Power is the site's program that turns hosts off, on a control agent. Its files
// are looked at right before each run, not when the agent starts: a package that
// brings another program must not keep the agent down.
type Power struct {
	Command     []string                `yaml:"command"`      // argv of a fence agent, never a shell
	SHA256      string                  `yaml:"sha256"`       // of the program
	OptionsFile string                  `yaml:"options_file"` // name=value lines for its standard input, mode 0600 or 0640; empty: none
	Plugs       map[cluster.Name]string `yaml:"plugs"`        // what the program calls the plug of a host
	Timeout     time.Duration           `yaml:"timeout"`      // one run has ended by then
}

const (
	powerTimeout = time.Minute
	// powerTimeoutMax lets an order ask, turn off and ask again within its limit of
	// five minutes.
	powerTimeoutMax = 90 * time.Second
	plugMax         = 256
)

func (c agentCheck) power() {
	const path = "power"
	p := c.a.Power
	if p == nil {
		return
	}
	c.must(c.a.IsControl() || len(c.a.ControlAgents) == 0, path, "host %q is no control agent, and only those turn hosts off; leave the section out here", c.a.Host.Name)
	if c.must(len(p.Command) > 0, path+".command", "missing; write the program and its arguments as a list, never a shell line") {
		at := item(path+".command", 0)
		c.absolute(at, p.Command[0])
		c.must(!strings.HasSuffix(p.Command[0], "/"), at, "%q is a directory; write the whole path of the program", p.Command[0])
	}
	sum, err := hex.DecodeString(p.SHA256)
	c.must(err == nil && len(sum) == 32, path+".sha256", "%q; write the 64 hex digits that sha256sum prints for the program", p.SHA256)
	if p.OptionsFile != "" {
		c.absolute(path+".options_file", p.OptionsFile)
	}
	c.within(path+".timeout", p.Timeout, time.Second, powerTimeoutMax)
	c.must(len(p.Plugs) > 0, path+".plugs", "missing; write the plug of each host that may be turned off, like n1: \"7\"")
	used := map[string]cluster.Name{}
	for _, n := range sortedKeys(p.Plugs) {
		at, plug := child(path+".plugs", string(n)), p.Plugs[n]
		c.must(wellNamed.MatchString(string(n)), at, "%q is no name of a host", n)
		c.must(plug != "" && len(plug) <= plugMax && !strings.ContainsFunc(plug, control), at, "%q; write what the program calls the host's plug, at most %d bytes in one line", plug, plugMax)
		other, taken := used[plug]
		c.must(!taken || plug == "", at, "%q is the plug of %s too; each host has its own", plug, other)
		used[plug] = n
	}
}
