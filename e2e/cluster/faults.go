// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os/exec"
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

// KillAgent ends the agent with SIGKILL; its unit starts another one.
func (h *Host) KillAgent(ctx context.Context) error { return h.signal(ctx, agentUnit, "SIGKILL") }

// FreezeAgent stops the agent until ThawAgent, or until its unit's watchdog ends it.
func (h *Host) FreezeAgent(ctx context.Context) error { return h.signal(ctx, agentUnit, "SIGSTOP") }

// ThawAgent lets a stopped agent go on.
func (h *Host) ThawAgent(ctx context.Context) error { return h.signal(ctx, agentUnit, "SIGCONT") }

// cutTable holds the rules of cuts and losses, and nobody else's.
const cutTable = "suite"

// CutFrom drops all that comes from other hosts to this one, or with none named
// from every host of the cluster. What this host sends arrives: cut both for a cut
// both ways.
func (h *Host) CutFrom(ctx context.Context, others ...*Host) error { return h.drop(ctx, "", others) }

// LoseFrom drops a share, of 1 to 99 percent, of the packets that come from others.
func (h *Host) LoseFrom(ctx context.Context, percent int, others ...*Host) error {
	if percent < 1 || percent > 99 {
		return fmt.Errorf("lose %d %% of the packets: want 1 to 99", percent)
	}
	return h.drop(ctx, fmt.Sprintf("numgen random mod 100 < %d", percent), others)
}

func (h *Host) drop(ctx context.Context, share string, others []*Host) error {
	if len(others) == 0 {
		others = h.l.Hosts
	}
	rules := "add table inet " + cutTable + "\nadd chain inet " + cutTable + " in { type filter hook input priority raw; }\n"
	for _, o := range others {
		if o != h {
			rules += fmt.Sprintf("add rule inet %s in ip saddr %s %s drop\n", cutTable, o.Address, share)
		}
	}
	if err := h.Write(ctx, broughtDir+"/cut.nft", []byte(rules), 0o600); err != nil {
		return err
	}
	_, err := h.Run(ctx, "nft", "-f", broughtDir+"/cut.nft")
	return err
}

// Heal ends all cuts and losses at this host. It may be called without any.
func (h *Host) Heal(ctx context.Context) error {
	_, err := h.Run(ctx, "nft", "add table inet "+cutTable+"; delete table inet "+cutTable)
	return err
}
