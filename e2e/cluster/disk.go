// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/testcontainers/testcontainers-go"
)

// disk is the mount of a host's disk: a volume that goes with its host, or with a
// limit one in memory that all hosts' keeper holds while its host is off.
func (c *Cluster) disk(p place, target string) mount.Mount {
	m := mount.Mount{Type: mount.TypeVolume, Target: target}
	if c.layout.disk > 0 {
		m.Source = c.id + "-" + string(p.name)
		m.VolumeOptions = &mount.VolumeOptions{Labels: map[string]string{label: c.id},
			DriverConfig: &mount.Driver{Name: "local", Options: map[string]string{
				"type": "tmpfs", "device": "tmpfs", "o": "mode=0755,size=" + strconv.FormatInt(c.layout.disk, 10)}}}
	}
	return m
}

// keep starts the keeper of limited disks: the daemon unmounts what no container has.
func (c *Cluster) keep(ctx context.Context, image string) error {
	_, err := testcontainers.Run(ctx, image,
		testcontainers.WithName(c.id+"-keeper"),
		testcontainers.WithLabels(map[string]string{label: c.id}),
		testcontainers.WithConfigModifier(func(c *container.Config) { c.Cmd = []string{"sleep", "infinity"} }),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			h.NetworkMode = "none"
			for _, p := range c.layout.all() {
				if p.role.hasCassandra() {
					h.Mounts = append(h.Mounts, c.disk(p, filepath.Join("/keep", string(p.name))))
				}
			}
		}),
	)
	if err != nil {
		return fmt.Errorf("keep the disks: %w", err)
	}
	return nil
}

// ballast takes all the room that a disk has left.
const ballast = dataDir + "/ballast"

// fill takes what is left, to the last page: a file system in memory keeps nothing
// back for root.
const fill = `dd if=/dev/zero of=` + ballast + ` bs=1M status=none 2>/dev/null || true
dd if=/dev/zero of=` + ballast + ` bs=4k oflag=append conv=notrunc status=none 2>/dev/null || true
df --output=avail ` + dataDir + ` | tail -n 1`

// FillDisk leaves no room on the disk of Cassandra's directory, until FreeDisk. The
// cluster wants a Disk that is limited: the machine's own is never filled.
func (h *Host) FillDisk(ctx context.Context) error {
	if h.l.layout.disk == 0 || !h.Role.hasCassandra() {
		return fmt.Errorf("fill the disk of %s: it is the machine's own; give the cluster's Options a Disk", h.Name)
	}
	left, err := h.Run(ctx, "sh", "-c", fill)
	if left = strings.TrimSpace(left); err == nil && left != "0" {
		h.l.t.Logf("%s has %s KiB left, which were freed meanwhile", h.Name, left)
	}
	return err
}

// FreeDisk gives the room back that FillDisk took.
func (h *Host) FreeDisk(ctx context.Context) error {
	_, err := h.Run(ctx, "rm", "--force", ballast)
	return err
}

// readOnly lays a read-only view of the directory over it. It is made elsewhere: units
// with a view of their own see the mount as it is laid, and no later change of it.
// Private, it does not take part in what is laid over its origin.
const readOnly = `set -eu
mkdir -p /run/read-only
mount --bind ` + dataDir + ` /run/read-only
mount --make-private /run/read-only
mount -o remount,bind,ro /run/read-only
mount --bind /run/read-only ` + dataDir + `
umount /run/read-only`

// DiskReadOnly turns Cassandra's directory read-only until DiskWritable, for agent
// and Cassandra alike: what is opened from then on is refused as a broken disk refuses
// (EROFS). Files that are open for writing can be written to on.
func (h *Host) DiskReadOnly(ctx context.Context) error {
	_, err := h.Run(ctx, "sh", "-c", readOnly)
	return err
}

// DiskWritable ends DiskReadOnly.
func (h *Host) DiskWritable(ctx context.Context) error {
	_, err := h.Run(ctx, "umount", "--lazy", dataDir)
	return err
}
