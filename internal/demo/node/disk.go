// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrNotRoot says that nobody but root mounts.
var ErrNotRoot = errors.New("only root can turn a folder read-only")

// TurnReadOnly lays a read-only view of the node's tables over them: whatever is
// opened for writing from then on, by Cassandra or by the agent, is refused as by a
// file system that the kernel no longer trusts. What is open already is written to on.
func TurnReadOnly(n Node) error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	dir := n.DataDir()
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s over itself: %w", dir, err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		return errors.Join(fmt.Errorf("turn %s read-only: %w", dir, err), TurnWritable(n))
	}
	return nil
}

// TurnWritable takes that away again. A folder that is no mount is no error.
func TurnWritable(n Node) error {
	for {
		err := syscall.Unmount(n.DataDir(), syscall.MNT_DETACH|umountNoFollow)
		switch {
		case errors.Is(err, syscall.EINVAL), errors.Is(err, os.ErrNotExist):
			return nil
		case errors.Is(err, syscall.EPERM):
			return nil // who may not unmount did not mount, root of a container perhaps
		case err != nil:
			return fmt.Errorf("turn %s writable again: %w", n.DataDir(), err)
		}
	}
}

// umountNoFollow is UMOUNT_NOFOLLOW of the kernel, which syscall does not name.
const umountNoFollow = 8
