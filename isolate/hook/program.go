// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	sumBytes = sha256.Size
	// programMax bounds what is copied into memory for one run.
	programMax = 64 << 20
)

// program is a copy of the program that nobody can change any more, with the
// checksum that was pinned. What is hashed and what is run are the same bytes,
// also while somebody writes to the file or puts another in its place.
func (h *Hook) program() (*os.File, error) {
	path := h.o.Command[0]
	f, info, err := openTrusted(path, h.o.User)
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	defer f.Close()
	switch perm := info.Mode().Perm(); {
	case perm&0o022 != 0:
		return nil, fmt.Errorf("command: %s has mode %04o, others may change it; make it 0755", path, perm)
	case perm&0o111 == 0:
		return nil, fmt.Errorf("command: %s has mode %04o and is not executable; make it 0755", path, perm)
	case info.Size() > programMax:
		return nil, fmt.Errorf("command: %s is larger than %d MiB", path, programMax>>20)
	}
	copied, sum, err := sealed(f)
	if err != nil {
		return nil, fmt.Errorf("command: copy %s: %w", path, err)
	}
	if !strings.EqualFold(sum, h.o.SHA256) {
		_ = copied.Close()
		return nil, fmt.Errorf("command: %s has the SHA-256 %s, and %s is pinned; if the new one is right, write its checksum into the agent's file", path, sum, strings.ToLower(h.o.SHA256))
	}
	return copied, nil
}

// sealed copies a file into memory, seals it and tells its checksum.
func sealed(from io.Reader) (*os.File, string, error) {
	memory, err := memoryFile()
	if err != nil {
		return nil, "", err
	}
	defer memory.Close()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(memory, hash), io.LimitReader(from, programMax)); err != nil {
		return nil, "", err
	}
	const all = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(memory.Fd(), unix.F_ADD_SEALS, all); err != nil {
		return nil, "", fmt.Errorf("seal it: %w", err)
	}
	// What is open for writing may be refused by exec as busy.
	readOnly, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", memory.Fd()))
	return readOnly, hex.EncodeToString(hash.Sum(nil)), err
}

// memoryFile makes a file without a name. Kernels before 6.3 do not know the flag
// that says it is to be run; later ones may want it.
func memoryFile() (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("power-hook", flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate("power-hook", flags)
	}
	if err != nil {
		return nil, fmt.Errorf("no file in memory that can be run (sysctl vm.memfd_noexec is to be 0 or 1): %w", err)
	}
	return os.NewFile(uintptr(fd), "power-hook"), nil
}

// openTrusted opens a plain file that only root and user can have put there.
func openTrusted(path string, user int) (*os.File, fs.FileInfo, error) {
	if err := trustedPath(path, user); err != nil {
		return nil, nil, err
	}
	// Not blocking: a pipe in the place of the file would be waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("%s cannot be read by this user: %w", path, errors.Unwrap(err))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no plain file", path)
	}
	if err == nil {
		err = ownerFault(path, info, user)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// trustedPath wants a path without links, below directories in which nobody but
// root and user can put another file in the place of the one that is meant.
func trustedPath(path string, user int) error {
	real, err := filepath.EvalSymlinks(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s", path)
	case err != nil:
		return err
	case real != path:
		return fmt.Errorf("%s leads through a symbolic link to %s; write that path", path, real)
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		if err := ownerFault(dir, info, user); err != nil {
			return err
		}
		// In a sticky one nobody can rename or remove what others own.
		if perm := info.Mode().Perm(); perm&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("directory %s has mode %04o, others may put another file there; take their right to write", dir, perm)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func ownerFault(path string, info fs.FileInfo, user int) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid != 0 && int(stat.Uid) != user {
		return fmt.Errorf("%s belongs to neither root nor the agent's user (%d); give it to root", path, user)
	}
	return nil
}
