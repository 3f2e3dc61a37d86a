// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keptMax is more than the largest state takes.
const keptMax = 1 << 17

// kept is the file of a guard. Nothing wanted is written down as well, so that a
// file which is gone is never taken for a fence that was lifted.
type kept struct {
	Version int   `json:"version"`
	Wanted  State `json:"wanted"`
}

// readKept reads the wanted state; there is false where no file is. Without ports
// any are let through.
func readKept(path string, ports Ports) (s State, there bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, true, err
	}
	if info.Size() > keptMax {
		return State{}, true, fmt.Errorf("read %s: %d bytes, at most %d", path, info.Size(), keptMax)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return State{}, true, err
	}
	var k kept
	if err := decode(text, &k); err != nil {
		return State{}, true, fmt.Errorf("read %s: %w", path, err)
	}
	if k.Version != wireVersion {
		return State{}, true, fmt.Errorf("read %s: version %d, this program writes %d", path, k.Version, wireVersion)
	}
	if len(ports.Clients)+len(ports.Ring) == 0 {
		ports = k.Wanted.ports()
	}
	s, err = Canonical(k.Wanted, ports)
	if err != nil {
		return State{}, true, fmt.Errorf("read %s: %w", path, err)
	}
	return s, true, nil
}

// writeKept puts the file there as a whole, on the disk before it returns.
func writeKept(path string, s State) error {
	text, err := json.Marshal(kept{Version: wireVersion, Wanted: s})
	if err != nil {
		return fmt.Errorf("keep what is wanted: %w", err)
	}
	// Only one guard writes here.
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("keep what is wanted: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("keep what is wanted: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("keep what is wanted: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
