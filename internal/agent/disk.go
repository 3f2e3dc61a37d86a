// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"supervisor/internal/obey"
	"supervisor/isolate"
)

// Disk is the agent's own directory: marks, the gate's copy of what stands.
// Every write is synced before it counts.
type Disk struct{ dir string }

// The files of the agent's directory.
const (
	marksFile   = "marks.json"
	localFile   = "state.json"
	unaskedFile = "gate-unasked"
	// unrepairedFile stands from such a start, or from one that hibernates by what
	// stands here, until a return has fenced the node.
	unrepairedFile = "unrepaired"
	lockFile       = "lock"
	aliveFile      = "alive"
	repairsFile    = "repairs.json"
)

// NewDisk uses the directory, making it when it is missing.
func NewDisk(dir string) (Disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Disk{dir}, fmt.Errorf("make state directory: %w", err)
	}
	d := Disk{dir}
	return d, d.Writable()
}

// Writable tries whether the directory takes writes.
func (d Disk) Writable() error { return d.write("writable", []byte("ok\n")) }

// Marks are the tokens obeyed so far.
func (d Disk) Marks() (obey.Marks, error) {
	marks := obey.Marks{}
	err := d.read(marksFile, &marks)
	return marks, err
}

// SaveMarks writes the marks; when it returns nil they survive a power cut.
func (d Disk) SaveMarks(m obey.Marks) error { return d.save(marksFile, m) }

// RepairsOn are those that were begun here and may go on.
func (d Disk) RepairsOn() (obey.Repairs, error) {
	var r obey.Repairs
	err := d.read(repairsFile, &r)
	return r, err
}

// SaveRepairsOn writes them.
func (d Disk) SaveRepairsOn(r obey.Repairs) error { return d.save(repairsFile, r) }

// Local is what the gate needs when nobody answers it.
func (d Disk) Local() (isolate.Local, error) {
	var l isolate.Local
	err := d.read(localFile, &l)
	return l, err
}

// SaveLocal writes it. A marker of a clean drain that the gate has used up
// meanwhile is not set up again by a copy from before.
func (d Disk) SaveLocal(l isolate.Local) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if stands, err := d.Local(); err == nil && usedUp(l, stands) {
		l.Clean = false
	}
	return d.save(localFile, l)
}

// usedUp tells whether the marker in a copy is one that the gate used up since:
// it takes the marker and leaves its moment.
func usedUp(l, stands isolate.Local) bool {
	return l.Clean && !stands.Clean && !l.CleanFrom.IsZero() && l.CleanFrom.Equal(stands.CleanFrom)
}

// Alone is the gate's answer when nobody else gives one, by what stands here
// now. A marker of a clean drain is used up by it; one that cannot be is none.
func (d Disk) Alone(wall time.Time) (isolate.Answer, error) {
	unlock, unlocked := d.lock()
	if unlocked == nil {
		defer unlock()
	}
	l, err := d.Local()
	if err != nil {
		return isolate.Answer{}, err
	}
	ans := isolate.Alone(l, wall)
	if ans.UsesUp() {
		used := l
		used.Clean = false
		if unlocked != nil || d.save(localFile, used) != nil {
			return isolate.Unasked(l.Unasked), nil
		}
	}
	return ans, nil
}

// lockMax is how long a lock is waited for: it is held for one reading and one
// writing of a small file, and the desk may not wait for a gate that hangs.
const lockMax = 500 * time.Millisecond

// lock keeps agent and gate from writing over each other's word.
func (d Disk) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(d.dir, lockFile), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	for waited := time.Duration(0); ; waited += lockMax / 50 {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // lets go of it
		}
		if waited >= lockMax || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock the state directory: %w", err)
		}
		time.Sleep(lockMax / 50)
	}
}

// NoteAlone leaves word of an answer that this host gave itself: that the node may
// lack writes, and that no agent was there to say how to start.
func (d Disk) NoteAlone(ans isolate.Answer, l isolate.Local) error {
	word := []byte(ans.Why + "\n")
	if l.MayLack(ans) {
		if err := d.write(unrepairedFile, word); err != nil {
			return err
		}
	}
	if ans.Unasked() {
		return d.write(unaskedFile, word)
	}
	return nil
}

// NoteOrphan leaves word that the node was in an incident of which the store knows
// nothing any more.
func (d Disk) NoteOrphan(incident string) error {
	return d.write(unrepairedFile, []byte("the recovered store does not know its incident "+incident+"\n"))
}

// Unrepaired tells whether such a start is not made good yet.
func (d Disk) Unrepaired() bool {
	_, err := os.Stat(filepath.Join(d.dir, unrepairedFile))
	return err == nil
}

// Repairs forgets it: a return has fenced the node and repairs it.
func (d Disk) Repairs() { _ = os.Remove(filepath.Join(d.dir, unrepairedFile)) }

// unaskedKept is how long an unasked start stays a finding.
const unaskedKept = time.Hour

// Unasked takes that word up; an old one is forgotten.
func (d Disk) Unasked(wall time.Time) (found bool) {
	info, err := os.Stat(filepath.Join(d.dir, unaskedFile))
	if err != nil {
		return false
	}
	if wall.Sub(info.ModTime()) > unaskedKept {
		d.forgetUnasked()
		return false
	}
	return true
}

func (d Disk) forgetUnasked() { _ = os.Remove(filepath.Join(d.dir, unaskedFile)) }

// Alive is when this host's Cassandra was last seen in order; zero when nobody
// knows. A person may write the file too: one time as RFC 3339.
func (d Disk) Alive() time.Time {
	b, err := os.ReadFile(filepath.Join(d.dir, aliveFile))
	if err != nil {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(string(b)))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// SaveAlive writes it, not synced: what a power cut loses is an older proof of
// life, and an older one is only more careful.
func (d Disk) SaveAlive(at time.Time) error {
	path := filepath.Join(d.dir, aliveFile)
	if err := os.WriteFile(path+".new", []byte(at.UTC().Format(time.RFC3339)+"\n"), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", aliveFile, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", aliveFile, err)
	}
	return nil
}

func (d Disk) read(name string, into any) error {
	b, err := os.ReadFile(filepath.Join(d.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

func (d Disk) save(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return d.write(name, b)
}

// write replaces a file as a whole: written beside, synced, renamed, and the
// directory synced, so that a crash leaves the old or the new one.
func (d Disk) write(name string, b []byte) error {
	f, err := os.CreateTemp(d.dir, name+".*.new") // agent and gate may write the same file
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(d.dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", name, err)
	}
	dir, err := os.Open(d.dir)
	if err != nil {
		return fmt.Errorf("sync state directory: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
