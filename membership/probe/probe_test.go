// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"supervisor/cluster"
	"supervisor/internal/cassandra"
	"supervisor/membership"
)

func TestEveryPathIsLookedAt(t *testing.T) {
	h := run(t)
	h.admin.say(cassandra.NodeState{OperationMode: "NORMAL",
		Peers: map[string]cassandra.PeerState{h.storage2.address: {Up: true, Phi: 0.4, PhiSeen: true}}}, nil)
	for _, p := range []membership.Path{membership.Process, membership.CQL, membership.Admin, membership.Disk} {
		h.see("n1", p, membership.Good)
	}
	for _, p := range []membership.Path{membership.CQL, membership.Storage, membership.Phi} {
		h.see("n2", p, membership.Good)
	}
	if h.Process() != "one" || h.Unwell() || len(h.Troubles()) != 0 {
		t.Errorf("process %q, unwell %v, troubles %v", h.Process(), h.Unwell(), h.Troubles())
	}
	h.stated() // what was told before the process was seen does not count
	if s, age, ok := h.State(); !ok || s.OperationMode != "NORMAL" || age < 0 || age > 5*time.Second {
		t.Errorf("state %+v, %v, %v", s, age, ok)
	}
	for _, l := range h.Looks() {
		if l.Misses != 0 || l.Age < 0 || l.Held < 0 {
			t.Errorf("look %+v", l)
		}
	}
}

func TestAnExitIsNewsAtOnce(t *testing.T) {
	h := run(t, func(o *Options) { o.Pace.ProcessEvery = time.Hour })
	h.see("n1", membership.Process, membership.Good)
	h.see("n1", membership.CQL, membership.Good)
	began := time.Now()
	h.process.exit()
	h.own.die()
	l := h.see("n1", membership.Process, membership.Exited)
	if took := time.Since(began); took > 400*time.Millisecond {
		t.Errorf("seen after %v", took)
	}
	if h.Process() != "" || l.Age > time.Millisecond {
		t.Errorf("process %q, look %+v", h.Process(), l)
	}
	h.see("n1", membership.CQL, membership.Refused)
}

func TestAnotherProcessIsNews(t *testing.T) {
	h := run(t, func(o *Options) { o.Pace.ProcessEvery = 5 * time.Millisecond })
	h.see("n1", membership.Process, membership.Good)
	h.process.exit()
	h.see("n1", membership.Process, membership.Exited)
	h.process.start("two")
	h.see("n1", membership.Process, membership.Good)
	if h.Process() != "two" {
		t.Errorf("process %q", h.Process())
	}
}

func TestAPidFileThatCannotBeReadIsNoWordAboutTheProcess(t *testing.T) {
	h := run(t, func(o *Options) {
		o.Pace.ProcessEvery = 5 * time.Millisecond
		o.Process.(*process).err = errors.New("permission denied")
	})
	for len(h.Troubles()) == 0 {
		<-time.After(time.Millisecond)
	}
	if l := h.look("n1", membership.Process); l.Outcome != membership.NoWord {
		t.Errorf("got %+v", l)
	}
}

func TestAKilledPeerIsRefusedWithoutWaitingForTheNextTurn(t *testing.T) {
	h := run(t, func(o *Options) { o.Pace.CQLEvery = 8 * time.Second })
	h.see("n2", membership.CQL, membership.Good)
	began := time.Now()
	h.n2.die()
	l := h.see("n2", membership.CQL, membership.Refused)
	if took := time.Since(began); took > time.Second {
		t.Errorf("seen after %v", took)
	}
	if l.Misses != 1 {
		t.Errorf("one refusal is enough, and it is one: %+v", l)
	}
}

func TestAClosedPortIsSeenAlthoughTheOldConnectionIsServedOn(t *testing.T) {
	h := run(t, func(o *Options) { o.Pace.CQLEvery, o.Pace.CQLRedial = 10*time.Millisecond, 50*time.Millisecond })
	h.see("n2", membership.CQL, membership.Good)
	h.n2.l.Close() // as Cassandra closes its CQL port: what is connected stays
	h.see("n2", membership.CQL, membership.Refused)
}

func TestALostConnectionAloneIsNotTheEnd(t *testing.T) {
	h := run(t)
	h.see("n2", membership.CQL, membership.Good)
	_, before := h.n2.counts()
	asked, _ := h.n2.counts()
	h.n2.drop()
	for {
		if l := h.look("n2", membership.CQL); l.Outcome != membership.Good {
			t.Fatalf("got %+v before the next connection was tried", l)
		}
		if now, dials := h.n2.counts(); dials > before && now > asked {
			break
		}
		<-time.After(time.Millisecond)
	}
	if l := h.see("n2", membership.CQL, membership.Good); l.Misses != 0 {
		t.Errorf("got %+v: a server that takes the next connection lives", l)
	}
}

func TestAServerThatDropsEveryConnectionIsNotAskedWithoutEnd(t *testing.T) {
	h := run(t)
	h.see("n2", membership.CQL, membership.Good)
	before, _ := h.n2.counts()
	for until := time.Now().Add(300 * time.Millisecond); time.Now().Before(until); {
		h.n2.drop()
		<-time.After(100 * time.Microsecond)
	}
	if after, _ := h.n2.counts(); after-before > 60 {
		t.Errorf("asked %d times in 0.3 s", after-before)
	}
}

func TestSilenceIsCountedAndDelaysNobodyElse(t *testing.T) {
	h := run(t, func(o *Options) { o.Pace.DiskEvery = time.Hour }) // the test ends as the second one would be under way
	h.see("n2", membership.CQL, membership.Good)
	h.see("n1", membership.CQL, membership.Good)
	h.n2.hang(true)
	first := h.see("n2", membership.CQL, membership.Silent)
	for h.look("n2", membership.CQL).Misses < 3 {
		<-h.Changes()
	}
	third := h.look("n2", membership.CQL)
	if third.Held <= first.Held || third.Outcome != membership.Silent {
		t.Errorf("held %v, then %v", first.Held, third.Held)
	}
	if l := h.look("n1", membership.CQL); l.Outcome != membership.Good || l.Age > 900*time.Millisecond {
		t.Errorf("the own node was looked at late: %+v", l)
	}
	if l := h.look("n2", membership.Storage); l.Outcome != membership.Good {
		t.Errorf("its storage port accepts: %+v", l)
	}
	h.n2.hang(false)
	if l := h.see("n2", membership.CQL, membership.Good); l.Misses != 0 {
		t.Errorf("got %+v", l)
	}
}

func TestLookNow(t *testing.T) {
	h := run(t, func(o *Options) { o.Pace.CQLEvery, o.Pace.StorageEvery = time.Second, time.Hour })
	h.LookNow("nobody")
	h.see("n2", membership.CQL, membership.Good)
	asked, _ := h.n2.counts()
	began := time.Now()
	for range 100 {
		h.LookNow("n2")
	}
	for {
		if now, _ := h.n2.counts(); now > asked {
			break
		}
		<-time.After(time.Millisecond)
	}
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("looked after %v", took)
	}
}

func TestPhiOfAPeer(t *testing.T) {
	rows := []struct {
		phi  float64
		want membership.Outcome
	}{{0, membership.Good}, {1.99, membership.Good}, {2, membership.Late}, {4.99, membership.Late}, {5, membership.Silent}, {20, membership.Silent}}
	for _, row := range rows {
		if got := phiOutcome(row.phi); got != row.want {
			t.Errorf("phi %v is %v, want %v", row.phi, got, row.want)
		}
	}
}

func TestAdminOutcomes(t *testing.T) {
	rows := []struct {
		why  string
		err  error
		want membership.Outcome
	}{
		{"a starting process says no", &cassandra.AdminError{Status: 404}, membership.Wrong},
		{"a hung one says nothing", fmt.Errorf("x: %w", cassandra.ErrSilent), membership.Silent},
		{"a dead one's kernel refuses", fmt.Errorf("x: %w", cassandra.ErrRefused), membership.Refused},
		{"garbage", fmt.Errorf("x: %w", cassandra.ErrNonsense), membership.Wrong},
	}
	for _, row := range rows {
		t.Run(row.why, func(t *testing.T) {
			h := run(t, func(o *Options) { o.Pace.AdminEvery = 5 * time.Millisecond })
			h.admin.say(cassandra.NodeState{}, row.err)
			h.see("n1", membership.Admin, row.want)
			if tr := h.Troubles(); len(tr) == 0 || tr[0].Path != membership.Admin {
				t.Errorf("troubles %v", tr)
			}
		})
	}
}

func TestAnOwnTroubleLetsTheLastLookGrowOld(t *testing.T) {
	h := run(t, func(o *Options) { o.Pace.AdminEvery = 5 * time.Millisecond })
	h.see("n1", membership.Admin, membership.Good)
	h.admin.say(cassandra.NodeState{}, fmt.Errorf("dial: %w", syscall.EMFILE))
	for len(h.Troubles()) == 0 {
		<-time.After(time.Millisecond)
	}
	first := h.look("n1", membership.Admin)
	<-time.After(50 * time.Millisecond)
	if l := h.look("n1", membership.Admin); l.Outcome != membership.Good || l.Age < first.Age+40*time.Millisecond {
		t.Errorf("got %+v after %+v", l, first)
	}
}

func TestDiskOutcomes(t *testing.T) {
	path := func(err error) error { return &os.PathError{Op: "sync", Path: "x", Err: err} }
	rows := []struct {
		why    string
		err    error
		took   time.Duration
		worked bool
		want   membership.Outcome
	}{
		{"written", nil, 0, true, membership.Good},
		{"written slowly", nil, 2 * time.Second, true, membership.Late},
		{"the disk fails", path(syscall.EIO), 0, true, membership.Wrong},
		{"the kernel made it read-only", path(syscall.EROFS), 0, false, membership.Wrong},
		{"it was there and is gone", path(syscall.ENOENT), 0, true, membership.Wrong},
		{"it never was there: a wrong configuration", path(syscall.ENOENT), 0, false, membership.NoWord},
		{"we may not write there: a person's matter", path(syscall.EACCES), 0, true, membership.NoWord},
		{"it is full: a person's matter", path(syscall.ENOSPC), 0, true, membership.NoWord},
		{"we have too many files open", path(syscall.EMFILE), 0, true, membership.NoWord},
	}
	for _, row := range rows {
		if got := diskOutcome(row.err, row.took, time.Second, row.worked); got != row.want {
			t.Errorf("%s: %v, want %v", row.why, got, row.want)
		}
	}
}

func TestADirectoryThatVanishes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h := run(t, func(o *Options) { o.DataDir, o.Pace.DiskEvery = dir, 10*time.Millisecond })
	h.see("n1", membership.Disk, membership.Good)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	h.see("n1", membership.Disk, membership.Wrong)
}

func TestASyncThatDoesNotEnd(t *testing.T) {
	mend := make(chan struct{})
	h := build(t, func(o *Options) { o.Pace.DiskLate, o.Pace.DiskMax = 20*time.Millisecond, 100*time.Millisecond })
	h.write = func(string) error { <-mend; return errors.New("it ended") }
	h.begin()
	h.see("n1", membership.Disk, membership.Late)
	h.see("n1", membership.Disk, membership.Silent)
	h.see("n1", membership.CQL, membership.Good)
	close(mend)
	ended := func() bool {
		tr := h.Troubles()
		return len(tr) == 1 && tr[0].Err.Error() == "it ended"
	}
	for until := time.Now().Add(10 * time.Second); !ended(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("troubles %v", h.Troubles())
		}
	}
}

func TestADiskThatCannotBeLookedAtIsTold(t *testing.T) {
	var wrong atomic.Pointer[error]
	h := build(t, func(o *Options) { o.Pace.DiskEvery = 5 * time.Millisecond })
	h.write = func(string) error {
		if err := wrong.Load(); err != nil {
			return *err
		}
		return nil
	}
	h.begin()
	h.see("n1", membership.Disk, membership.Good)
	for _, err := range []error{syscall.EACCES, syscall.ENOSPC, errNotOurs} {
		wrong.Store(&err)
		h.unwatched(err)
	}
	if l := h.look("n1", membership.Disk); l.Outcome != membership.Good {
		t.Errorf("our own trouble became a word about the disk: %+v", l)
	}
	failed := error(syscall.EIO) // a look that was made, and told as such
	wrong.Store(&failed)
	h.see("n1", membership.Disk, membership.Wrong)
	h.unwatched(nil)
	for _, c := range []countedAs{{membership.Disk, membership.Good}, {membership.Disk, membership.NoWord}, {membership.Disk, membership.Wrong},
		{membership.CQL, membership.Good}, {membership.Process, membership.Good}, {membership.Storage, membership.Good}} {
		if _, counted := h.counted.Load(c); !counted {
			t.Errorf("no look of %s that was %s was counted", c.path, c.outcome)
		}
	}
}

// The directory is Cassandra's, and the agent may be root.
func TestWhatCassandrasUserLaidInThePlaceOfTheProbesFile(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	for i, row := range []struct {
		why string
		lay func(path string) error
	}{
		{"a link to another file", func(path string) error { return os.Symlink(precious, path) }},
		{"a second name of another file", func(path string) error { return os.Link(precious, path) }},
		{"a link to a file that is not there", func(path string) error { return os.Symlink(filepath.Join(dir, "new"), path) }},
		{"a pipe that nobody reads", func(path string) error { return syscall.Mkfifo(path, 0o600) }},
		{"a socket", func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err == nil {
				l.SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		}},
	} {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(precious, []byte("a secret of root"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := row.lay(path); err != nil {
			t.Fatal(err)
		}
		err := writeSynced(path)
		if err == nil || diskOutcome(err, 0, time.Second, true) != membership.NoWord {
			t.Errorf("%s: %v must be our own trouble and no word about the disk", row.why, err)
		}
		if text, err := os.ReadFile(precious); err != nil || string(text) != "a secret of root" {
			t.Errorf("%s: overwritten with %q, %v", row.why, text, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("a file was made where a link pointed")
	}
	if err := errors.Join(writeSynced(filepath.Join(dir, diskFile)), writeSynced(filepath.Join(dir, diskFile))); err != nil {
		t.Errorf("its own file: %v", err)
	}
}

func TestAStalledObserverIsUnwellForAWhile(t *testing.T) {
	var ahead atomic.Int64
	now := func() cluster.Moment { return bootClock().Add(time.Duration(ahead.Load())) }
	h := run(t, func(o *Options) { o.Now, o.Pace.LagMax, o.Pace.UnwellFor = now, time.Second, 200*time.Millisecond })
	h.see("n1", membership.CQL, membership.Good)
	if h.Unwell() {
		t.Fatal("unwell before it stalled")
	}
	ahead.Store(int64(2 * time.Second)) // as after a suspend
	for !h.Unwell() {
		<-h.Changes()
	}
	for until := time.Now().Add(10 * time.Second); h.Unwell(); <-time.After(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("unwell for ever")
		}
	}
}

func TestNewReportsAllFaultsAtOnce(t *testing.T) {
	_, err := New(Options{Own: Target{Name: "n1"}, Peers: []Target{{Name: "n1"}}})
	for _, want := range []string{"clock", "data directory", `"n1" wants`, "twice", "positive"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
}
