// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"supervisor/internal/demo/load"
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
	portsUnit     = "cassandra-supervisor-ports.service"
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

// PauseCassandra lets Cassandra stand still for a time, as a long collection does.
func (h *Host) PauseCassandra(ctx context.Context, pause time.Duration) error {
	if err := h.StopCassandra(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(pause): // the pause itself, not a wait for something
	}
	return errors.Join(h.ContinueCassandra(context.WithoutCancel(ctx)), ctx.Err())
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

// TakesClients tells whether the port for clients is on, by Cassandra's own word.
func (h *Host) TakesClients(ctx context.Context) (bool, error) {
	var on bool
	return on, h.jolokia(ctx, &on, "read", storageService, "NativeTransportRunning")
}

// cassandraMax bounds the time from a boot until Cassandra answers its operator: its
// gate may ask for 20 s first.
const cassandraMax = 2 * time.Minute

// AwaitCassandra waits until a Cassandra runs and answers its operator.
func (h *Host) AwaitCassandra(ctx context.Context) error {
	return await(ctx, cassandraMax, fmt.Sprintf("Cassandra runs on %s", h.Name), func(ctx context.Context) (bool, string) {
		_, err := h.TakesClients(ctx)
		return err == nil, fmt.Sprint(err)
	})
}

// Flush makes Cassandra write what it has in memory of the suite's table to its disk.
func (h *Host) Flush(ctx context.Context) error {
	return h.jolokia(ctx, nil, "exec", storageService, "forceKeyspaceFlush", load.Keyspace, load.Table)
}

// RestartCassandra stops and starts Cassandra as an operator does, through its unit and
// its gate.
func (h *Host) RestartCassandra(ctx context.Context) error {
	return h.systemctl(ctx, "restart", cassandraUnit)
}

// KillAgent ends the agent with SIGKILL; its unit starts another one.
func (h *Host) KillAgent(ctx context.Context) error { return h.signal(ctx, agentUnit, "SIGKILL") }

// StopAgent stops the agent as an operator does, and StartAgent starts it.
func (h *Host) StopAgent(ctx context.Context) error { return h.systemctl(ctx, "stop", agentUnit) }

// StartAgent ends StopAgent; it returns when the agent says that it is ready.
func (h *Host) StartAgent(ctx context.Context) error { return h.systemctl(ctx, "start", agentUnit) }

// KeepAgent says whether the host starts its agent when it boots.
func (h *Host) KeepAgent(ctx context.Context, keep bool) error {
	if keep {
		return h.systemctl(ctx, "enable", "--quiet", agentUnit)
	}
	return h.systemctl(ctx, "disable", "--quiet", agentUnit)
}

func (h *Host) systemctl(ctx context.Context, args ...string) error {
	_, err := h.Run(ctx, append([]string{"systemctl"}, args...)...)
	return err
}

// AgentProcess is the agent's process by its unit's word; 0: none runs.
func (h *Host) AgentProcess(ctx context.Context) (int, error) {
	out, err := h.Run(ctx, "systemctl", "show", "--property=MainPID", "--value", agentUnit)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(out))
}

// agentMax bounds the time until a unit has ended a frozen agent and started another.
const agentMax = 2 * time.Minute

// AwaitAgent waits until the unit runs another agent than the old process.
func (h *Host) AwaitAgent(ctx context.Context, old int) error {
	return await(ctx, agentMax, fmt.Sprintf("%s has another agent than %d", h.Name, old), func(ctx context.Context) (bool, string) {
		pid, err := h.AgentProcess(ctx)
		return err == nil && pid != 0 && pid != old, fmt.Sprint(pid, err)
	})
}

// FreezeAgent stops the agent until ThawAgent, or until its unit's watchdog ends it.
func (h *Host) FreezeAgent(ctx context.Context) error { return h.signal(ctx, agentUnit, "SIGSTOP") }

// ThawAgent lets a stopped agent go on.
func (h *Host) ThawAgent(ctx context.Context) error { return h.signal(ctx, agentUnit, "SIGCONT") }
