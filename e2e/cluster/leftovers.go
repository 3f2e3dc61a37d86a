// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endMax bounds the end of a cluster.
const endMax = 2 * time.Minute

// end removes all that the cluster made. A test that failed has the journals first.
func (c *Cluster) end() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), endMax)
	defer cancel()
	if c.t.Failed() {
		c.tell(ctx)
	}
	if err := remove(ctx, label+"="+c.id); err != nil {
		c.t.Errorf("end the cluster: %v", err)
	}
}

// tell prints what every host's agent and Cassandra said last.
func (c *Cluster) tell(ctx context.Context) {
	for _, h := range c.Hosts {
		_ = h.docker(ctx, "unpause") // one that is frozen says nothing
		for _, argv := range [][]string{
			{"systemctl", "--no-pager", "--failed"},
			{"journalctl", "--no-pager", "--lines", "60", "--unit", "cassandra-supervisor.service", "--output", "cat"},
			{"journalctl", "--no-pager", "--lines", "20", "--unit", "cassandra.service", "--output", "short-iso"},
			{"tail", "-n", "20", dataDir + "/log/system.log"},
			{"tail", "-n", "10", dataDir + "/log/output.log"},
		} {
			out, err := h.Run(ctx, argv...)
			c.t.Logf("%s: %s (%v)\n%s", h.Name, strings.Join(argv, " "), err, out)
		}
	}
}

// removeLeftovers removes the clusters of processes that are no more.
func removeLeftovers(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "docker", "ps", "--all", "--filter", "label="+label, "--format", "{{.Label \""+label+"\"}}").Output()
	nets, err2 := exec.CommandContext(ctx, "docker", "network", "ls", "--filter", "label="+label, "--format", "{{.Label \""+label+"\"}}").Output()
	if err := errors.Join(err, err2); err != nil {
		return fmt.Errorf("look for what an earlier run left: %w", err)
	}
	for id := range strings.FieldsSeq(string(out) + string(nets)) {
		_, rest, _ := strings.Cut(id, "-")
		pid, _, _ := strings.Cut(rest, "-")
		n, err := strconv.Atoi(pid)
		if err != nil || n == os.Getpid() || syscall.Kill(n, 0) == nil {
			continue
		}
		if err := remove(ctx, label+"="+id); err != nil {
			return err
		}
	}
	return nil
}

// remove removes containers, with their volumes, and networks of a label.
func remove(ctx context.Context, filter string) error {
	var errs []error
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "--all", "--quiet"}, []string{"rm", "--force", "--volumes"}},
		{[]string{"network", "ls", "--quiet"}, []string{"network", "rm"}},
	} {
		out, err := exec.CommandContext(ctx, "docker", append(kind.list, "--filter", "label="+filter)...).Output()
		if ids := strings.Fields(string(out)); err == nil && len(ids) > 0 {
			err = run(exec.CommandContext(ctx, "docker", append(kind.remove, ids...)...))
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove what is labelled %s: %w", filter, err)
	}
	return nil
}
