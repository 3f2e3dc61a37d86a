// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Peer is who is at the other end of the socket, by the kernel's word.
type Peer struct {
	UID, GID uint32
	PID      int32
	Name     string // of the user; "uid 1000" where it has none
}

// groupID finds a group by name or number; -1 for no group.
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if gid, err := strconv.Atoi(name); err == nil && gid >= 0 {
		return gid, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return -1, fmt.Errorf("find group %q of the socket: %w", name, err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return -1, fmt.Errorf("find group %q of the socket: %w", name, err)
	}
	return gid, nil
}

// groupActs permits root, the user the agent runs as, and the members of a
// group to act. All others who reach the socket may look.
func groupActs(gid int) func(Peer) bool {
	self := os.Geteuid()
	return func(p Peer) bool {
		switch {
		case p.UID == 0, int(p.UID) == self:
			return true
		case gid < 0:
			return false
		case int(p.GID) == gid:
			return true
		}
		u, err := user.LookupId(strconv.Itoa(int(p.UID)))
		if err != nil {
			return false
		}
		groups, err := u.GroupIds()
		return err == nil && slices.Contains(groups, strconv.Itoa(gid))
	}
}

type peerKey struct{}

// withPeer asks the kernel who connected. A connection of which it does not
// know has no peer, and may not act.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if l, ok := c.(*limited); ok {
		c = l.Conn
	}
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *unix.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) { cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil || asked != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, Peer{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid, Name: userName(cred.Uid)})
}

func peerOf(ctx context.Context) (Peer, bool) {
	p, ok := ctx.Value(peerKey{}).(Peer)
	return p, ok
}

func userName(uid uint32) string {
	u, err := user.LookupId(strconv.Itoa(int(uid)))
	if err != nil {
		return fmt.Sprintf("uid %d", uid)
	}
	return u.Username
}
