// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"supervisor/internal/settings"
)

// unitGate is the gate in front of a unit. The package puts it there on every
// host, before anybody has written a file for the agent, and an init script's
// unit runs it as root.
func unitGate(c *cobra.Command, config, environment string) error {
	if err := dropOptions(environment); err != nil {
		return err
	}
	warn := c.ErrOrStderr()
	cfg, err := unitConfig(config, warn)
	switch {
	case errors.Is(err, errNotSetUp):
		fmt.Fprintf(warn, "warning: there is no %s: no supervisor watches this node, Cassandra starts plainly\n", config)
		if !exists(cfg.StateDir) {
			return writeOptions(environment, "")
		}
	case err != nil:
		return inFile(err)
	}
	if err := becomeOwner(cfg.StateDir, filepath.Dir(environment)); err != nil {
		fmt.Fprintf(warn, "warning: %v; goes on as root\n", err)
	}
	return answerGate(c, cfg, environment, func(options []string) string { return unitEnvironment(options, os.Getenv) })
}

// errNotSetUp: the agent's file was not written yet.
var errNotSetUp = errors.New("no agent is set up here")

// unitConfig reads what the gate needs. Without the agent's file that is where
// a package keeps its state: a host whose file was lost may have something to
// remember there. Nobody is asked then, since it is not known who this host is.
func unitConfig(config string, warn io.Writer) (settings.Agent, error) {
	if !exists(config) {
		cfg := settings.DefaultAgent()
		cfg.Gate.Timeout = 0
		return cfg, errNotSetUp
	}
	cfg, err := gateConfig(config, warn)
	var without noOptionsFile
	if errors.As(err, &without) { // this gate has a place of its own
		fmt.Fprintf(warn, "warning: %v\n", without.faults)
		err = nil
	}
	return cfg, err
}

// exists is false only for what is certainly not there.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// becomeOwner turns a gate that runs as root into the agent's user: what root
// leaves in the state directory the agent could not read. The directory of the
// answer is the unit's own and goes along.
func becomeOwner(stateDir, answers string) error {
	info, err := os.Stat(stateDir)
	if os.Geteuid() != 0 || err != nil {
		return nil //nolint:nilerr // what is not there belongs to nobody yet; its agent's unit gives it an owner
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	uid, gid := int(owner.Uid), int(owner.Gid)
	if err := errors.Join(os.Chown(answers, uid, gid), syscall.Setgroups([]int{gid}), syscall.Setgid(gid), syscall.Setuid(uid)); err != nil {
		return fmt.Errorf("become uid %d, which owns %s: %w", uid, stateDir, err)
	}
	return nil
}

// optionNames are read by Cassandra's own script and by the java command. A
// site's script may set the first anew; the second is older than no Java that
// Cassandra 5.0 runs on, and stands before what the script says.
var optionNames = []string{"JVM_EXTRA_OPTS", "JDK_JAVA_OPTIONS"}

// unitEnvironment spells options as a unit's environment file. What the site
// has in these variables stays: the file comes after the unit's own
// Environment=. Without options it is empty, and the site's stand alone. What
// an earlier answer put behind them is seen here too, and not repeated.
func unitEnvironment(options []string, site func(name string) string) string {
	if len(options) == 0 {
		return ""
	}
	var b strings.Builder
	own := strings.Join(options, " ")
	for _, name := range optionNames {
		kept := strings.TrimSpace(strings.TrimSuffix(site(name), own))
		all := slices.DeleteFunc([]string{kept, own}, func(s string) bool { return s == "" })
		fmt.Fprintf(&b, "%s=\"%s\"\n", name, unitQuote.Replace(strings.Join(all, " ")))
	}
	return b.String()
}

// unitQuote is how systemd wants these within double quotes.
var unitQuote = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`)
