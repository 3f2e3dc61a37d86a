// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// diskFile stands in Cassandra's data directory, which passes over files.
const diskFile = ".supervisor-disk-probe"

// watchDisk writes and syncs a small file in the data directory. A sync that
// does not end holds only its own goroutine: while one hangs none is started.
func (p *Probe) watchDisk(ctx context.Context) {
	k := key{p.o.Own.Name, membership.Disk}
	done := make(chan error, 1)
	tick := time.NewTicker(min(p.o.Pace.DiskEvery, p.o.Pace.DiskLate))
	defer tick.Stop()
	var began, last cluster.Moment
	busy, worked := false, false
	start := func() {
		busy, began = true, p.o.Now()
		go func() { done <- p.write(filepath.Join(p.o.DataDir, diskFile)) }()
	}
	start()
	for {
		select {
		case <-ctx.Done():
			if busy { // a disk that works ends it at once
				await(done, p.o.Pace.DiskLate)
			}
			return
		case err := <-done:
			busy, last = false, p.o.Now()
			p.note(ctx, k, diskOutcome(err, last.Sub(began), p.o.Pace.DiskLate, worked), err)
			worked = worked || err == nil
		case <-tick.C:
			now := p.o.Now()
			switch took := now.Sub(began); {
			case !busy && now.Sub(last) >= p.o.Pace.DiskEvery-p.o.Pace.DiskEvery/4:
				start()
			case busy && took >= p.o.Pace.DiskMax:
				p.note(ctx, k, membership.Silent, fmt.Errorf("a sync has not ended for %v", took.Round(time.Second)))
			case busy && took >= p.o.Pace.DiskLate:
				p.note(ctx, k, membership.Late, fmt.Errorf("a sync has not ended for %v", took.Round(time.Second)))
			}
		}
	}
}

// await waits for a sync that is on its way, or gives it up.
func await(done <-chan error, atMost time.Duration) {
	t := time.NewTimer(atMost)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

// errNotOurs: what stands in the place of the probe's file is none of its own.
var errNotOurs = errors.New("no plain file with one name, remove it")

// writeSynced overwrites the probe's file in place and syncs it. The directory
// is Cassandra's: what its user laid there, a link to another file or a pipe,
// is not followed, waited for or written to by an agent that may more.
func writeSynced(path string) error {
	// Opening a socket fails as a device does that is gone: it is looked at first.
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", path, errNotOurs)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	err = alone(f)
	if err == nil {
		_, err = f.WriteAt([]byte("supervisor\n"), 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// alone tells whether an open file is a plain one that has no second name.
func alone(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || !info.Mode().IsRegular() || s.Nlink != 1 {
		return fmt.Errorf("%s: %w", f.Name(), errNotOurs)
	}
	return nil
}

// diskErrors are what a failing disk answers. A file system that turned
// read-only is one: the kernel does that to a disk it no longer trusts.
var diskErrors = []error{syscall.EIO, syscall.EROFS, syscall.ENXIO, syscall.ENODEV, syscall.EUCLEAN, syscall.ESTALE,
	syscall.EREMOTEIO, syscall.EBADMSG}

// diskOutcome is Wrong only when the disk itself failed. A directory that we
// may not write, that never was there, or that is full is a trouble for a
// person and no word for taking the node away.
func diskOutcome(err error, took, late time.Duration, worked bool) membership.Outcome {
	switch {
	case err == nil && took > late:
		return membership.Late
	case err == nil:
		return membership.Good
	case worked && errors.Is(err, fs.ErrNotExist): // it was there: unmounted, or lost
		return membership.Wrong
	}
	for _, failed := range diskErrors {
		if errors.Is(err, failed) {
			return membership.Wrong
		}
	}
	return membership.NoWord
}
