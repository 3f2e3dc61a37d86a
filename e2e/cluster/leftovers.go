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

// endMax bounds the end of a cluster, and what is collected before.
const endMax = 2 * time.Minute

// end removes all that the cluster made. A test that failed has the journals first.
func (c *Cluster) end() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), endMax)
	defer cancel()
	if c.t.Failed() {
		c.collect(ctx)
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), endMax)
	defer cancel()
	if err := remove(ctx, label+"="+c.id); err != nil {
		c.t.Errorf("end the cluster: %v", err)
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

// remove removes containers, with their volumes, networks and volumes of a label.
func remove(ctx context.Context, filter string) error {
	var errs []error
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "--all", "--quiet"}, []string{"rm", "--force", "--volumes"}},
		{[]string{"volume", "ls", "--quiet"}, []string{"volume", "rm"}},
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
