// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// packages are what a host has beside Debian's smallest system. libpam-systemd
// comes before polkitd, which wants a logind and is not set up without one.
var packages = []string{"openjdk-17-jre-headless", "systemd", "systemd-sysv", "dbus", "libpam-systemd", "polkitd",
	"iproute2", "nftables", "procps", "ca-certificates", "etcd-server", "haproxy"}

// release is the Debian that hosts run.
const release = "bookworm"

// prepared is what is done to the system once, in it: Cassandra's user, as its
// package makes it, and no unit that a container cannot run or that only some hosts
// have. The journal is kept over boots. Mounts reach the units that have a view of
// their own, as they do where systemd itself is the machine's first process.
const prepared = `set -eu
adduser --system --group --home /var/lib/cassandra --no-create-home --quiet cassandra
mkdir -p /opt/cassandra/bin /srv/supervisor-store
chown cassandra: /srv/supervisor-store
mkdir -p /var/log/journal
systemctl disable --quiet etcd.service haproxy.service
rm -rf /var/lib/etcd/default
cat >/etc/systemd/system/shared-mounts.service <<END
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/mount --make-rshared /
[Install]
WantedBy=sysinit.target
END
systemctl enable --quiet shared-mounts.service
systemctl mask --quiet getty@tty1.service console-getty.service systemd-udevd.service systemd-timesyncd.service
apt-get clean
rm -rf /var/lib/apt/lists /usr/share/doc /usr/share/man /usr/share/locale
`

// imageName names the image by all that it is made of.
func imageName() string {
	sum := sha256.Sum256([]byte(release + strings.Join(packages, " ") + prepared))
	return fmt.Sprintf("cassandra-supervisor-host:%x", sum[:6])
}

// ensureImage makes the image of all hosts, unless the daemon has it. That takes
// one to three minutes, and half a gigabyte.
func ensureImage(ctx context.Context, say func(format string, args ...any)) (string, error) {
	name := imageName()
	if exec.CommandContext(ctx, "docker", "image", "inspect", name).Run() == nil {
		return name, nil
	}
	say("making the image of the hosts from Debian's packages, which takes a minute or three")
	dir, err := os.MkdirTemp("", "host-image")
	if err != nil {
		return "", fmt.Errorf("make the image: %w", err)
	}
	root := filepath.Join(dir, "root")
	err = makeImage(ctx, root, name)
	return name, errors.Join(err, os.RemoveAll(dir))
}

func makeImage(ctx context.Context, root, name string) error {
	steps := [][]string{
		{"debootstrap", "--variant=minbase", "--include=" + strings.Join(packages, ","), release, root},
		{"chroot", root, "sh", "-c", prepared},
	}
	for _, argv := range steps {
		if err := run(exec.CommandContext(ctx, argv[0], argv[1:]...)); err != nil {
			return fmt.Errorf("make the image: %w", err)
		}
	}
	tar := exec.CommandContext(ctx, "tar", "-C", root, "-c", ".")
	load := exec.CommandContext(ctx, "docker", "import", "--change", `CMD ["/lib/systemd/systemd"]`, "-", name)
	r, w := io.Pipe()
	tar.Stdout, load.Stdin = w, r
	packed := make(chan error, 1)
	go func() {
		err := run(tar)
		packed <- errors.Join(err, w.CloseWithError(err))
	}()
	err := run(load)
	_ = r.Close()
	if err = errors.Join(err, <-packed); err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	return nil
}

// run runs a program and quotes its last words when it fails.
func run(c *exec.Cmd) error {
	var said strings.Builder
	if c.Stdout == nil {
		c.Stdout = &said
	}
	c.Stderr = &said
	if err := c.Run(); err != nil {
		words := said.String()
		return fmt.Errorf("%s: %w: %s", filepath.Base(c.Path), err, strings.TrimSpace(words[max(0, len(words)-600):]))
	}
	return nil
}
