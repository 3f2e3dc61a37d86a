// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// docker does something to the host's container from outside.
func (h *Host) docker(ctx context.Context, verb string) error {
	if err := run(exec.CommandContext(ctx, "docker", verb, h.c.GetContainerID())); err != nil {
		return fmt.Errorf("%s %s: %w", verb, h.Name, err)
	}
	return nil
}

// Freeze stops everything that runs on the host, until Thaw: its kernel answers
// pings, and no process of it anything.
func (h *Host) Freeze(ctx context.Context) error { return h.docker(ctx, "pause") }

// Thaw lets a frozen host go on where it stood.
func (h *Host) Thaw(ctx context.Context) error { return h.docker(ctx, "unpause") }

// PowerCut ends everything that runs on the host at once, and leaves it off.
func (h *Host) PowerCut(ctx context.Context) error { return h.docker(ctx, "kill") }

// PowerOn boots a host that is off, with the data that it has.
func (h *Host) PowerOn(ctx context.Context) error {
	if err := h.c.Start(ctx); err != nil {
		return fmt.Errorf("power %s on: %w", h.Name, err)
	}
	return h.up(ctx)
}

// rebootMax bounds the way down of a host: each unit has its own time to stop.
const rebootMax = 2 * time.Minute

// Reboot takes a host down as its operator does, each unit stopped in its turn, and
// boots it again with the data that it has.
func (h *Host) Reboot(ctx context.Context) error {
	limit := rebootMax
	if err := h.c.Stop(ctx, &limit); err != nil {
		return fmt.Errorf("take %s down: %w", h.Name, err)
	}
	return h.PowerOn(ctx)
}

// signal sends a signal to the main process of a unit.
func (h *Host) signal(ctx context.Context, unit, name string) error {
	_, err := h.Run(ctx, "systemctl", "kill", "--kill-whom=main", "--signal="+name, unit)
	return err
}

// The units of a host.
const (
	cassandraUnit = "cassandra.service"
	agentUnit     = "cassandra-supervisor.service"
)

// KillCassandra ends Cassandra with SIGKILL: what it had not synced is lost.
func (h *Host) KillCassandra(ctx context.Context) error {
	return h.signal(ctx, cassandraUnit, "SIGKILL")
}

// StopCassandra makes Cassandra hang, its ports open, until ContinueCassandra.
func (h *Host) StopCassandra(ctx context.Context) error {
	return h.signal(ctx, cassandraUnit, "SIGSTOP")
}

// ContinueCassandra lets a hung Cassandra go on.
func (h *Host) ContinueCassandra(ctx context.Context) error {
	return h.signal(ctx, cassandraUnit, "SIGCONT")
}

// CloseCQL turns Cassandra's port for clients off, as a person or a full disk does,
// until OpenCQL. Who is connected stays so; Cassandra goes on, and so does its gossip.
func (h *Host) CloseCQL(ctx context.Context) error {
	return h.jolokia(ctx, nil, "exec", storageService, "stopNativeTransport()")
}

// OpenCQL turns the port on again.
func (h *Host) OpenCQL(ctx context.Context) error {
	return h.jolokia(ctx, nil, "exec", storageService, "startNativeTransport()")
}

// KillAgent ends the agent with SIGKILL; its unit starts another one.
func (h *Host) KillAgent(ctx context.Context) error { return h.signal(ctx, agentUnit, "SIGKILL") }

// FreezeAgent stops the agent until ThawAgent, or until its unit's watchdog ends it.
func (h *Host) FreezeAgent(ctx context.Context) error { return h.signal(ctx, agentUnit, "SIGSTOP") }

// ThawAgent lets a stopped agent go on.
func (h *Host) ThawAgent(ctx context.Context) error { return h.signal(ctx, agentUnit, "SIGCONT") }

// cutTable holds the rules of cuts and losses, and nobody else's.
const cutTable = "suite"

// Cut drops all packets between this host and others, or with none named between it
// and every host of the cluster, until Cluster.Heal.
func (h *Host) Cut(ctx context.Context, others ...*Host) error {
	others = h.others(others)
	errs := []error{h.CutFrom(ctx, others...)}
	for _, o := range others {
		errs = append(errs, o.CutFrom(ctx, h))
	}
	return errors.Join(errs...)
}

// CutFrom drops all that comes from other hosts to this one, or with none named
// from every host of the cluster. What this host sends arrives. (Packets are dropped
// where they arrive: a sender's own rule would tell it that it may not send.)
func (h *Host) CutFrom(ctx context.Context, others ...*Host) error { return h.drop(ctx, "", others) }

// LoseFrom drops a share, of 1 to 99 percent, of the packets that come from others.
func (h *Host) LoseFrom(ctx context.Context, percent int, others ...*Host) error {
	if percent < 1 || percent > 99 {
		return fmt.Errorf("lose %d %% of the packets: want 1 to 99", percent)
	}
	return h.drop(ctx, fmt.Sprintf("numgen random mod 100 < %d", percent), others)
}

// others are these hosts, or with none named all but this one.
func (h *Host) others(named []*Host) []*Host {
	if len(named) == 0 {
		named = h.l.Hosts
	}
	return slices.DeleteFunc(slices.Clone(named), func(o *Host) bool { return o == h })
}

func (h *Host) drop(ctx context.Context, share string, others []*Host) error {
	rules := "add table inet " + cutTable + "\nadd chain inet " + cutTable + " in { type filter hook input priority raw; }\n"
	for _, o := range h.others(others) {
		rules += fmt.Sprintf("add rule inet %s in ip saddr %s %s counter drop\n", cutTable, o.Address, share)
	}
	if err := h.Write(ctx, broughtDir+"/cut.nft", []byte(rules), 0o600); err != nil {
		return err
	}
	_, err := h.Run(ctx, "nft", "-f", broughtDir+"/cut.nft")
	return err
}

var dropped = regexp.MustCompile(`counter packets (\d+) `)

// Dropped is how many packets were dropped here since the last Heal.
func (h *Host) Dropped(ctx context.Context) (int, error) {
	text, err := h.Run(ctx, "nft", "list", "table", "inet", cutTable)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, found := range dropped.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(found[1])
		if err != nil {
			return 0, fmt.Errorf("count what %s dropped: %w", h.Name, err)
		}
		sum += n
	}
	return sum, nil
}

// Heal ends all cuts and losses of the cluster.
func (c *Cluster) Heal(ctx context.Context) error {
	return c.each(ctx, func(ctx context.Context, h *Host) error { return h.Heal(ctx) })
}

// Heal ends all cuts and losses at this host. It may be called without any.
func (h *Host) Heal(ctx context.Context) error {
	_, err := h.Run(ctx, "nft", "add table inet "+cutTable+"; delete table inet "+cutTable)
	return err
}
