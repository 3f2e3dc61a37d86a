// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"

	"supervisor/cluster"
)

// Host is one host of a cluster: one of its nodes, or one of those beside them.
type Host struct {
	Role       Role
	Name       cluster.Name
	Datacenter cluster.Datacenter // empty where no Cassandra is
	Rack       cluster.Rack
	Address    netip.Addr

	place place
	c     *testcontainers.DockerContainer
	l     *Cluster
}

// label marks all that this package makes; its value is the cluster's own.
const label = "cassandra-supervisor.suite"

// Memory of one host: a Cassandra of half a gigabyte of heap, and what is around it;
// a member of etcd, or a proxy.
const (
	memory      = 1800 << 20
	memoryPlain = 400 << 20
)

// boot makes a host and waits until its systemd has brought it up.
func (l *Cluster) boot(ctx context.Context, p place, image string) (*Host, error) {
	c, err := testcontainers.Run(ctx, image,
		testcontainers.WithName(l.id+"-"+string(p.name)),
		testcontainers.WithLabels(map[string]string{label: l.id}),
		testcontainers.WithConfigModifier(func(c *container.Config) {
			c.Hostname, c.Tty, c.Cmd = string(p.name), true, []string{"/lib/systemd/systemd"}
			c.StopSignal = "SIGRTMIN+3" // by which systemd halts
		}),
		testcontainers.WithHostConfigModifier(func(c *container.HostConfig) {
			c.CapAdd = []string{"SYS_ADMIN", "NET_ADMIN", "SYS_NICE"}
			c.SecurityOpt = []string{"seccomp=unconfined", "apparmor=unconfined"}
			c.CgroupnsMode = container.CgroupnsModePrivate
			c.Tmpfs = map[string]string{"/run": "", "/tmp": ""}
			c.NetworkMode = container.NetworkMode(l.network)
			c.Memory = memoryPlain
			if p.role.hasCassandra() {
				c.Binds = []string{l.jars + ":" + jarsDir + ":ro"}
				c.Mounts = append(c.Mounts, l.disk(p, dataDir))
				c.Memory = memory + l.layout.disk
			}
		}),
		testcontainers.WithEndpointSettingsModifier(func(s map[string]*network.EndpointSettings) {
			s[l.network] = &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: p.address}}
		}),
	)
	h := &Host{Role: p.role, Name: p.name, Datacenter: p.datacenter, Rack: p.rack, Address: p.address, place: p, c: c, l: l}
	if err != nil {
		return h, fmt.Errorf("boot %s: %w", p.name, err)
	}
	return h, h.up(ctx)
}

// bootMax bounds the start of a host without its Cassandra.
const bootMax = time.Minute

// up waits until systemd says that the host is up. One of whose units failed is up
// too, and says degraded.
func (h *Host) up(ctx context.Context) error {
	return await(ctx, bootMax, "systemd of "+string(h.Name)+" is up", func(ctx context.Context) (bool, string) {
		out, err := h.Run(ctx, "systemctl", "is-system-running")
		word := strings.TrimSpace(out)
		return word == "running" || word == "degraded", fmt.Sprintf("%s (%v)", word, err)
	})
}

// Failed is a program that ended on a host with a code that is not 0.
type Failed struct {
	Host cluster.Name
	Argv []string
	Code int
	Said string
}

// Error quotes the program's last words.
func (f Failed) Error() string {
	said := strings.TrimSpace(f.Said)
	return fmt.Sprintf("%s on %s ended with %d: %s", strings.Join(f.Argv, " "), f.Host, f.Code, said[max(0, len(said)-800):])
}

// Run runs a program on the host as root and returns all that it said. A code that is
// not 0 is Failed.
func (h *Host) Run(ctx context.Context, argv ...string) (string, error) {
	code, out, err := h.c.Exec(ctx, argv, tcexec.Multiplexed())
	if err != nil {
		return "", fmt.Errorf("run %s on %s: %w", argv[0], h.Name, err)
	}
	var said bytes.Buffer
	if _, err := io.Copy(&said, out); err != nil {
		return "", fmt.Errorf("read what %s on %s said: %w", argv[0], h.Name, err)
	}
	if code != 0 {
		return said.String(), Failed{Host: h.Name, Argv: argv, Code: code, Said: said.String()}
	}
	return said.String(), nil
}

// Supervisor runs the supervisor's program on the host, as an operator would.
func (h *Host) Supervisor(ctx context.Context, args ...string) (string, error) {
	return h.Run(ctx, append([]string{"supervisor"}, args...)...)
}

// Write puts a file on the host, of root.
func (h *Host) Write(ctx context.Context, path string, text []byte, mode int64) error {
	if err := h.c.CopyToContainer(ctx, text, path, mode); err != nil {
		return fmt.Errorf("write %s on %s: %w", path, h.Name, err)
	}
	return nil
}

// CQL is the address of the host's Cassandra for clients.
func (h *Host) CQL() string { return h.l.layout.node(h.place).CQL() }

// await asks until holds is true, or says what was last seen.
func await(ctx context.Context, limit time.Duration, what string, holds func(context.Context) (bool, string)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var seen string
	for {
		ok, sees := holds(ctx)
		if ok {
			return nil
		}
		if ctx.Err() == nil { // else it was the look that ended, and tells nothing
			seen = sees
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("not within %s: %s; last seen: %s", limit, what, seen), context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
