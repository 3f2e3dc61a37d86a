// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"supervisor/internal/process"
)

// fake is a bus with one unit on it, as systemd shows it. It decides nothing: what
// a job comes to is in its script.
type fake struct {
	mu     sync.Mutex
	ln     net.Listener
	conns  []*dbus.Conn
	files  []net.Conn
	props  map[string]any
	s      script
	jobs   []string // modes of the start jobs that were asked for
	killed []string
	resets int
	muted  int           // so many connections, the first ones, get no answers
	mute   chan struct{} // until this is closed
	mains  []uint32      // what MainPID is said to be, one question after the other
	done   sync.WaitGroup
}

// command is one of ExecStartPre, as systemd shows it.
func command(argv string, code, status int32) []any {
	words := strings.Fields(argv)
	return []any{words[0], words, false, uint64(1), uint64(1), uint64(2), uint64(2), uint32(0), code, status}
}

func gated(code, status int32) []any {
	return command("/bin/sh -c exec /usr/bin/supervisor gate --environment /run/x", code, status)
}

func ignored(c []any) []any { c[2] = true; return c }

// preCommand has the signature of systemd's.
type preCommand struct {
	Path         string
	Argv         []string
	Ignore       bool
	A, B, C, D   uint64
	PID          uint32
	Code, Status int32
}

func pre(commands ...[]any) []preCommand {
	out := []preCommand{}
	for _, c := range commands {
		out = append(out, preCommand{c[0].(string), c[1].([]string), c[2].(bool), 1, 1, 2, 2, 0, c[8].(int32), c[9].(int32)})
	}
	return out
}

type loadError struct{ Name, Message string }

// still are the properties of a unit that is loaded, gated and not started.
func still() map[string]any {
	return map[string]any{"LoadState": "loaded", "LoadError": loadError{}, "ActiveState": "inactive", "SubState": "dead", "Result": "success",
		"MainPID": uint32(0), "ExecMainCode": int32(0), "ExecMainStatus": int32(0), "ConditionResult": true,
		"ExecStartPre": pre(gated(0, 0))}
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{props: still()}
	path := filepath.Join(t.TempDir(), "bus")
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+path)
	f.listen(t, path)
	t.Cleanup(f.end)
	return f
}

func (f *fake) listen(t *testing.T, path string) {
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	f.ln = ln
	f.done.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f.done.Go(func() { f.serve(c) })
		}
	})
}

// end ends the bus and all its connections.
func (f *fake) end() {
	_ = f.ln.Close()
	f.mu.Lock()
	conns, files := f.conns, f.files
	f.conns, f.files = nil, nil
	f.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
	for _, c := range files {
		_ = c.Close()
	}
	f.done.Wait()
}

// served is a connection whose client has said who it is. The library speaks as a
// client only, so it is given the answers that it expects.
type served struct {
	net.Conn
	in     io.Reader
	answer *strings.Reader
	begun  bool
}

func (s *served) Read(b []byte) (int, error) {
	if s.answer.Len() > 0 {
		return s.answer.Read(b)
	}
	return s.in.Read(b)
}

func (s *served) Write(b []byte) (int, error) {
	if !s.begun {
		s.begun = strings.HasPrefix(string(b), "BEGIN")
		return len(b), nil
	}
	return s.Conn.Write(b)
}

func (f *fake) serve(c net.Conn) {
	f.mu.Lock()
	f.files = append(f.files, c)
	f.mu.Unlock()
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(strings.TrimPrefix(line, "\x00"))
		answer := "ERROR"
		switch {
		case len(words) == 1 && words[0] == "AUTH":
			answer = "REJECTED EXTERNAL"
		case words[0] == "AUTH":
			answer = "OK 1234"
		case words[0] == "BEGIN":
			f.open(&served{Conn: c, in: in, answer: strings.NewReader("REJECTED EXTERNAL\r\nOK 1234\r\n")})
			return
		}
		if _, err := io.WriteString(c, answer+"\r\n"); err != nil {
			return
		}
	}
}

func (f *fake) open(s *served) {
	c, err := dbus.NewConn(s)
	if err != nil {
		return
	}
	f.mu.Lock()
	f.conns = append(f.conns, c)
	n := side{f, len(f.conns)}
	f.mu.Unlock()
	for _, err := range []error{
		c.Export(theBus{n}, "/org/freedesktop/DBus", "org.freedesktop.DBus"),
		c.Export(theManager{n}, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"),
		c.Export(theUnit{n}, "/org/freedesktop/systemd1/unit/cassandra_2eservice", "org.freedesktop.DBus.Properties"),
		c.Auth([]dbus.Auth{dbus.AuthExternal("0")}),
	} {
		if err != nil {
			panic(err)
		}
	}
}

// side is one connection, by when it was opened.
type side struct {
	f *fake
	n int
}

// waits holds an answer back while its connection is mute.
func (s side) waits() {
	s.f.mu.Lock()
	mute, muted := s.f.mute, s.n <= s.f.muted
	s.f.mu.Unlock()
	if muted {
		<-mute
	}
}

// hush makes the first connections get no answers, until the test ends or the
// returned function is called.
func (f *fake) hush(t *testing.T, first int) func() {
	mute := make(chan struct{})
	f.mu.Lock()
	f.mute, f.muted = mute, first
	f.mu.Unlock()
	speak := sync.OnceFunc(func() { close(mute) })
	t.Cleanup(speak)
	return speak
}

type theBus struct{ side }

// Hello gives the client its name.
func (b theBus) Hello() (string, *dbus.Error) { b.waits(); return ":1.1", nil }

// AddMatch takes every match: all signals go to all.
func (b theBus) AddMatch(string) *dbus.Error { b.waits(); return nil }

type theUnit struct{ side }

// GetAll is all that is known of the unit.
func (u theUnit) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	u.waits()
	u.f.mu.Lock()
	defer u.f.mu.Unlock()
	out := map[string]dbus.Variant{}
	for k, v := range u.f.props {
		out[k] = dbus.MakeVariant(v)
	}
	return out, nil
}

// Get is one property.
func (u theUnit) Get(_, name string) (dbus.Variant, *dbus.Error) {
	all, err := u.GetAll("")
	u.f.mu.Lock()
	defer u.f.mu.Unlock()
	if name == "MainPID" && len(u.f.mains) > 0 {
		all[name] = dbus.MakeVariant(u.f.mains[0])
		u.f.mains = u.f.mains[1:]
	}
	return all[name], err
}

type theManager struct{ side }

// ResetFailedUnit counts.
func (m theManager) ResetFailedUnit(string) *dbus.Error {
	m.waits()
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	m.f.resets++
	return nil
}

// KillUnit ends the main process, as systemd would.
func (m theManager) KillUnit(unit, whom string, signal int32) *dbus.Error {
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	m.f.killed = append(m.f.killed, whom)
	p, _ := os.FindProcess(int(m.f.props["MainPID"].(uint32)))
	_ = p.Kill()
	return nil
}

const job = dbus.ObjectPath("/org/freedesktop/systemd1/job/7")

// StartUnit does what the script says.
func (m theManager) StartUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	m.waits()
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	m.f.jobs = append(m.f.jobs, mode)
	if m.f.s.refuses != "" {
		return "", dbus.NewError(m.f.s.refuses, []any{"by the script"})
	}
	maps.Copy(m.f.props, m.f.s.after)
	if m.f.s.job != "" {
		for _, c := range m.f.conns {
			_ = c.Emit("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager.JobRemoved", uint32(7), job, unit, m.f.s.job)
		}
	}
	return job, nil
}

// ends lets the job that is at work end.
func (f *fake) ends(result string, after props) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.Copy(f.props, after)
	for _, c := range f.conns {
		_ = c.Emit("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager.JobRemoved", uint32(7), job, unitName, result)
	}
}

func (f *fake) lay(_ *testing.T, _ string, s script, _ []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.props, f.s, f.jobs, f.resets = still(), s, nil, 0
	maps.Copy(f.props, s.before)
	if e, is := f.props["LoadError"].([]any); is {
		f.props["LoadError"] = loadError{e[0].(string), e[1].(string)}
	}
}

func (f *fake) set(p props) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.Copy(f.props, p)
}

func TestStartsOnTheFake(t *testing.T) { tellStarts(t, newFake(t)) }

// A stop that waits or is at work is somebody's, and no start may take it back.
func TestAStartReplacesNoJob(t *testing.T) {
	f := newFake(t)
	f.lay(t, "", script{job: "done"}, nil)
	if err := newUnit(t, time.Second).Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(f.jobs) != 1 || f.jobs[0] != "fail" || f.resets != 1 {
		t.Errorf("asked for jobs %q, forgot %d times", f.jobs, f.resets)
	}
}

// sleeper is a process that a test may end.
func sleeper(t *testing.T) process.Process {
	t.Helper()
	c := exec.Command("sleep", "300")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	reaped := make(chan struct{})
	go func() { defer close(reaped); _ = c.Wait() }()
	t.Cleanup(func() { _ = c.Process.Kill(); <-reaped })
	p, alive, err := process.Find(c.Process.Pid)
	if err != nil || !alive {
		t.Fatalf("%v, %v", alive, err)
	}
	return p
}

func running(p process.Process) props {
	return props{"MainPID": uint32(p.PID), "ActiveState": "active", "SubState": "running"}
}

func TestAStartOfWhatRunsIsNone(t *testing.T) {
	f := newFake(t)
	f.set(running(sleeper(t)))
	if err := newUnit(t, time.Second).Start(context.Background()); !errors.Is(err, process.ErrRunning) || len(f.jobs) != 0 {
		t.Errorf("got %v, %d jobs", err, len(f.jobs))
	}
}

// A bus that answers nobody costs each asker its own time and no more, and what was
// seen to run is still known.
func TestABusThatIsStuckDelaysNobodyElse(t *testing.T) {
	f := newFake(t)
	p := sleeper(t)
	f.set(running(p))
	u := newUnit(t, time.Second)
	u.o.CallMax = 300 * time.Millisecond
	stranger := newUnit(t, time.Second)
	stranger.o.CallMax = u.o.CallMax
	if got, is, err := u.Running(context.Background()); got != p || !is || err != nil {
		t.Fatalf("got %+v, %v, %v", got, is, err)
	}
	speak := f.hush(t, math.MaxInt)
	began := time.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got, is, err := u.Running(context.Background()); got != p || !is || err != nil {
				t.Errorf("a process that it had seen: %+v, %v, %v", got, is, err)
			}
			if _, is, err := stranger.Running(context.Background()); is || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("one that it had not: %v, %v", is, err)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > 4*u.o.CallMax {
		t.Errorf("8 askers took %v, each may take %v twice", took, u.o.CallMax)
	}
	if err := u.Start(context.Background()); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, process.ErrUncertain) {
		t.Errorf("a start that was never asked for: %v", err)
	}
	speak()
	for _, u := range []*Unit{u, stranger} {
		if got, is, err := u.Running(context.Background()); got != p || !is || err != nil {
			t.Errorf("the bus speaks again: %+v, %v, %v", got, is, err)
		}
	}
}

// A connection that answers no more, and does not break either, is not asked twice.
func TestAConnectionThatIsStuckIsGivenUp(t *testing.T) {
	f := newFake(t)
	p := sleeper(t)
	f.set(running(p))
	u := newUnit(t, time.Second)
	u.o.CallMax = 300 * time.Millisecond
	if _, is, err := u.Running(context.Background()); !is || err != nil {
		t.Fatalf("%v, %v", is, err)
	}
	u.known.Store(nil)
	f.hush(t, 2) // the two halves of the one that is kept
	if _, is, err := u.Running(context.Background()); is || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("it is stuck: %v, %v", is, err)
	}
	if got, is, err := u.Running(context.Background()); got != p || !is || err != nil {
		t.Errorf("over another: %+v, %v, %v", got, is, err)
	}
}

// The number of a process that has ended may be another's by the next look.
func TestAMainProcessThatChangesIsLookedAtAgain(t *testing.T) {
	f := newFake(t)
	before, after := sleeper(t), sleeper(t)
	f.set(running(after))
	f.mains = []uint32{uint32(before.PID)}
	u := newUnit(t, time.Second)
	if got, is, err := u.Running(context.Background()); got != after || !is || err != nil {
		t.Errorf("got %+v, %v, %v, want %+v", got, is, err, after)
	}
	f.mains = []uint32{0}
	if got, is, err := u.Running(context.Background()); got != after || !is || err != nil {
		t.Errorf("it came just now: %+v, %v, %v", got, is, err)
	}
	f.mains = []uint32{1, 2, 1, 2, 1, 2}
	u.known.Store(nil)
	if _, is, err := u.Running(context.Background()); is || err == nil || !strings.Contains(err.Error(), "again and again") {
		t.Errorf("it changes all the time: %v, %v", is, err)
	}
}

func TestABusThatBreaksIsOpenedAnew(t *testing.T) {
	f := newFake(t)
	p := sleeper(t)
	u := newUnit(t, time.Minute)
	if _, is, err := u.Running(context.Background()); is || err != nil {
		t.Fatalf("%v, %v", is, err)
	}
	f.lay(t, "", script{after: props{"ActiveState": "activating"}}, nil)
	started := make(chan error, 1)
	go func() { started <- u.Start(context.Background()) }()
	for until := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		asked := len(f.jobs)
		f.mu.Unlock()
		if asked > 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatal("no job was asked for")
		}
	}
	path := f.ln.Addr().String()
	f.end()
	broke := time.Now()
	if err := <-started; !errors.Is(err, process.ErrUncertain) || time.Since(broke) > 10*time.Second {
		t.Errorf("a job whose end nobody saw: %v after %v", err, time.Since(broke))
	}
	if _, is, err := u.Running(context.Background()); is || err == nil {
		t.Errorf("without a bus: %v, %v", is, err)
	}
	f.set(running(p))
	f.listen(t, path)
	if got, is, err := u.Running(context.Background()); got != p || !is || err != nil {
		t.Errorf("got %+v, %v, %v", got, is, err)
	}
}

// The next start finds the job of the one before, and waits for it.
func TestAStartThatWasLeftIsWaitedFor(t *testing.T) {
	f := newFake(t)
	f.lay(t, "", script{after: props{"ActiveState": "activating", "SubState": "auto-restart"}}, nil)
	u := newUnit(t, 200*time.Millisecond)
	if err := u.Start(context.Background()); !errors.Is(err, process.ErrUncertain) {
		t.Fatalf("got %v", err)
	}
	u.o.StartMax = 10 * time.Second
	ended := time.AfterFunc(300*time.Millisecond, func() { f.ends("done", running(sleeper(t))) })
	defer ended.Stop()
	if err := u.Start(context.Background()); err != nil {
		t.Errorf("got %v", err)
	}
}

// systemd is told to end whoever is the main process, so it is told so only while
// that is the one that is meant.
func TestSystemdEndsNobodyElse(t *testing.T) {
	f := newFake(t)
	meant, other := sleeper(t), sleeper(t)
	u := newUnit(t, time.Second)
	f.set(running(other))
	if err := u.killMain(context.Background(), meant); err == nil || len(f.killed) != 0 {
		t.Errorf("another is the main one: %v, killed %q", err, f.killed)
	}
	f.set(running(meant))
	earlier := meant
	earlier.StartTicks--
	if err := u.killMain(context.Background(), earlier); err == nil || len(f.killed) != 0 {
		t.Errorf("another has its number: %v, killed %q", err, f.killed)
	}
	if err := u.killMain(context.Background(), meant); err != nil || len(f.killed) != 1 || f.killed[0] != "main" {
		t.Errorf("got %v, killed %q", err, f.killed)
	}
	<-process.Exited(t.Context(), meant)
	if _, alive, err := process.Find(other.PID); !alive || err != nil {
		t.Errorf("another was killed: %v", err)
	}
}

func TestAnEndSaysWhenNothingKeepsAnotherFromStarting(t *testing.T) {
	f := newFake(t)
	u := newUnit(t, time.Second)
	p := sleeper(t)
	if err := u.KillOnly(context.Background(), p); err != nil {
		t.Errorf("behind its gate: %v", err)
	}
	p = sleeper(t)
	f.set(props{"ExecStartPre": pre()})
	if err := u.KillOnly(context.Background(), p); err == nil || !strings.Contains(err.Error(), "nothing keeps another from starting") {
		t.Errorf("without a gate: %v", err)
	}
	<-process.Exited(t.Context(), p)
	p = sleeper(t)
	f.end()
	if err := u.KillOnly(context.Background(), p); err != nil {
		t.Errorf("it needs no bus: %v", err)
	}
	<-process.Exited(t.Context(), p)
}

func TestNewReportsAllFaultsAtOnce(t *testing.T) {
	if _, err := New(Options{}); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Fatalf("got %v", err)
	}
}
