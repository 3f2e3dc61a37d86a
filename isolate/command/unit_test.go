// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"supervisor/internal/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stubborn does not end when asked to.
const stubborn = `sh -c 'trap "" TERM; while :; do sleep 0.05; done' CassandraDaemon >/dev/null 2>&1 & echo $! >`

// obedient ends when asked to; both bear the name in their command line.
const obedient = `sh -c 'while :; do sleep 0.05; done' CassandraDaemon >/dev/null 2>&1 & echo $! >`

// unit makes a unit whose start command runs script with the pid file's path
// appended; what it started is killed when the test ends.
func unit(t *testing.T, script string, change ...func(*Options)) *Unit {
	t.Helper()
	pidFile := filepath.Join(t.TempDir(), "cassandra.pid")
	o := Options{Start: []string{"/bin/sh", "-c", script + pidFile}, PIDFile: pidFile, Match: DefaultMatch,
		StartMax: 10 * time.Second, StopMax: 10 * time.Second, ExitMax: 10 * time.Second}
	for _, c := range change {
		c(&o)
	}
	u, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Kill(context.Background()); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return u
}

func start(t *testing.T, u *Unit) process.Process {
	t.Helper()
	if err := u.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		p, running, err := u.Running(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if running {
			return p
		}
		if time.Now().After(until) {
			t.Fatal("the daemon did not come up")
		}
	}
}

func TestStartReturnsAtOnceAndTheProcessIsNoChildOfOurs(t *testing.T) {
	u := unit(t, obedient)
	began := time.Now()
	p := start(t, u)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("started after %v", took)
	}
	if session(t, p.PID) == session(t, os.Getpid()) {
		t.Error("it stands in our session: a signal to ours would reach it")
	}
	if p.Boot() == "" || p.HostBoot == "" {
		t.Errorf("got %+v", p)
	}
	if err := u.Start(context.Background()); !errors.Is(err, process.ErrRunning) {
		t.Errorf("a second start: %v", err)
	}
}

func session(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text[strings.LastIndex(string(text), ")"):]))[4]
}

func TestExitIsSeenAtOnce(t *testing.T) {
	u := unit(t, obedient)
	p := start(t, u)
	gone := process.Exited(context.Background(), p)
	select {
	case <-gone:
		t.Fatal("it has not ended")
	default:
	}
	began := time.Now()
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-gone
	if took := time.Since(began); took > time.Second {
		t.Errorf("noticed after %v", took)
	}
	if _, running, err := u.Running(context.Background()); running || err != nil {
		t.Errorf("an ended process that nobody reaped: running %v, %v", running, err)
	}
	<-process.Exited(context.Background(), p) // one that has ended already
}

func TestExitedEndsWithItsContext(t *testing.T) {
	u := unit(t, obedient)
	p := start(t, u)
	ctx, cancel := context.WithCancel(context.Background())
	gone := process.Exited(ctx, p)
	cancel()
	select { // that its goroutine ends is goleak's to see
	case <-gone:
		t.Fatal("the process lives; an end of watching is not its end")
	case <-time.After(50 * time.Millisecond):
	}
}

func TestAProcessThatCameLaterIsNotKilled(t *testing.T) {
	u := unit(t, obedient)
	meant := start(t, u)
	if err := u.KillOnly(context.Background(), meant); err != nil {
		t.Fatal(err)
	}
	later := start(t, u)
	earlier := later
	earlier.StartTicks-- // the same number, of a process before it
	for _, p := range []process.Process{meant, earlier} {
		if err := u.KillOnly(context.Background(), p); err != nil {
			t.Errorf("what is meant is gone: %v", err)
		}
	}
	// A shell's child bears no command line for the moment of its exec, so one
	// look may miss it; a killed one stays away.
	for until := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		p, running, err := u.Running(context.Background())
		if running && p == later {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("another one was killed: %+v, %v, %v", p, running, err)
		}
	}
}

// trapped waits until the script has set its trap, which the kernel shows.
func trapped(t *testing.T, p process.Process) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); !ignoresTerminate(t, p.PID); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the script does not ignore the terminate signal")
		}
	}
}

func ignoresTerminate(t *testing.T, pid int) bool {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, mask, _ := strings.Cut(string(status), "SigIgn:")
	mask, _, _ = strings.Cut(mask, "\n")
	ignored, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return ignored&(1<<(syscall.SIGTERM-1)) != 0
}

func TestStop(t *testing.T) {
	t.Run("the terminate signal is enough", func(t *testing.T) {
		u := unit(t, obedient)
		start(t, u)
		if err := u.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, running, _ := u.Running(context.Background()); running {
			t.Fatal("it runs")
		}
	})
	t.Run("one that will not go is an error, and is killed", func(t *testing.T) {
		u := unit(t, stubborn, func(o *Options) { o.ExitMax = 300 * time.Millisecond })
		trapped(t, start(t, u))
		if err := u.Stop(context.Background()); !errors.Is(err, process.ErrStillRunning) {
			t.Fatalf("got %v", err)
		}
		u.o.ExitMax = 10 * time.Second
		if err := u.Kill(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, running, _ := u.Running(context.Background()); running {
			t.Fatal("it runs")
		}
	})
	t.Run("a hung one does not hear, and is killed", func(t *testing.T) {
		u := unit(t, obedient, func(o *Options) { o.ExitMax = 200 * time.Millisecond })
		p := start(t, u)
		freeze(t, p.PID)
		if err := u.Stop(context.Background()); !errors.Is(err, process.ErrStillRunning) {
			t.Fatalf("got %v", err)
		}
		u.o.ExitMax = 10 * time.Second
		if err := u.Kill(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("the site's stop command is used where there is one", func(t *testing.T) {
		u := unit(t, stubborn, func(o *Options) { o.Stop = []string{"/bin/sh", "-c", "kill -9 $(cat " + o.PIDFile + ")"} })
		start(t, u)
		if err := u.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a context that ends is not an exit", func(t *testing.T) {
		u := unit(t, stubborn)
		trapped(t, start(t, u))
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		if err := u.Stop(ctx); !errors.Is(err, process.ErrStillRunning) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("nothing running is done already", func(t *testing.T) {
		u := unit(t, obedient)
		if err := errors.Join(u.Stop(context.Background()), u.Kill(context.Background())); err != nil {
			t.Fatal(err)
		}
	})
}

// freeze stops a process and waits until it stands.
func freeze(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || time.Now().After(until) {
			t.Fatalf("it does not stop: %s %v", text, err)
		}
		if strings.Contains(string(text), ") T ") {
			return
		}
	}
}

func TestStartCommandThatDoesNotStart(t *testing.T) {
	rows := []struct {
		why, script string
		want        error
		text        string
	}{
		{"the gate refuses", "exit 3 #", process.ErrGate, ""},
		{"it fails by itself", "exit 1 #", nil, "exit status 1"},
	}
	for _, row := range rows {
		u := unit(t, row.script, func(o *Options) { o.StartMax = 500 * time.Millisecond })
		err := u.Start(context.Background())
		if err == nil || row.want != nil && !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.text) {
			t.Errorf("%s: got %v", row.why, err)
		}
	}
	missing := unit(t, "", func(o *Options) { o.Start = []string{"/nowhere/start"} })
	if err := missing.Start(context.Background()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
}

// A start command that was killed between the launch of Cassandra and the pid
// file would leave a Cassandra that nobody knows of, and the next start would
// begin a second one.
func TestAStartCommandThatIsSlowIsLeftAloneAndWaitedFor(t *testing.T) {
	for why, cut := range map[string]func(*Options) context.Context{
		"its time is over": func(o *Options) context.Context {
			o.StartMax = 100 * time.Millisecond
			return context.Background()
		},
		"the agent ends": func(*Options) context.Context {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			t.Cleanup(cancel)
			return ctx
		},
	} {
		t.Run(why, func(t *testing.T) {
			began := filepath.Join(t.TempDir(), "began")
			var ctx context.Context
			u := unit(t, "echo once >>"+began+"; sleep 1; "+obedient, func(o *Options) { ctx = cut(o) })
			if err := u.Start(ctx); !errors.Is(err, process.ErrUncertain) {
				t.Fatalf("cut off: %v", err)
			}
			if _, running, err := u.Running(context.Background()); running || err != nil {
				t.Fatalf("it has written its pid file already: %v", err)
			}
			if err := u.Start(ctx); !errors.Is(err, process.ErrUncertain) {
				t.Errorf("again, while it goes on: %v", err)
			}
			later, err := New(u.o) // of the next start of the agent
			if err != nil {
				t.Fatal(err)
			}
			later.o.StartMax = 10 * time.Second
			if err := later.Start(context.Background()); !errors.Is(err, process.ErrRunning) {
				t.Errorf("a later start: %v", err)
			}
			if text, err := os.ReadFile(began); err != nil || string(text) != "once\n" {
				t.Errorf("started %q, %v", text, err)
			}
		})
	}
}

func TestANoteOfAnotherTimeKeepsNothingFromStarting(t *testing.T) {
	ours, _, err := process.Find(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ours.StartTicks = 1
	for _, text := range []string{"", "soon", string(ours.Boot()), fmt.Sprintf("%d:1:", os.Getpid())} {
		u := unit(t, obedient)
		if err := os.WriteFile(u.startingFile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := u.Start(context.Background()); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOutputGoesToTheLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "start.log")
	u := unit(t, "echo refused by hand; exit 1 #", func(o *Options) { o.Log = log })
	if err := u.Start(context.Background()); err == nil {
		t.Fatal("want an error")
	}
	text, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(text), "refused by hand") {
		t.Fatalf("got %q, %v", text, err)
	}
}

// other starts a child of the test that has no business with Cassandra.
func other(t *testing.T, args ...string) int {
	t.Helper()
	c := exec.Command(args[0], args[1:]...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return c.Process.Pid
}

func TestAPidFileIsNotBelieved(t *testing.T) {
	stranger := other(t, "sleep", "300")
	named := other(t, "sh", "-c", "while :; do sleep 0.05; done", "CassandraDaemon")
	p, _, err := process.Find(named)
	if err != nil {
		t.Fatal(err)
	}
	ticks := p.StartTicks
	long := time.Now().Add(-time.Hour)
	rows := []struct {
		why       string
		pid       string
		start     string // "" is no file
		startTime time.Time
		running   bool
		fault     bool
	}{
		{why: "no pid file: not running"},
		{why: "a number nobody has", pid: "4194303"},
		{why: "a number somebody else has by now", pid: strconv.Itoa(stranger)},
		{why: "no start time: the command line decides", pid: strconv.Itoa(named), running: true},
		{why: "the start time agrees", pid: strconv.Itoa(named), start: fmt.Sprint(ticks), running: true},
		{why: "the start time disagrees: the number was used again, even by a namesake",
			pid: strconv.Itoa(named), start: fmt.Sprint(ticks - 1)},
		{why: "a start time much older than the pid file belongs to an earlier process",
			pid: strconv.Itoa(named), start: fmt.Sprint(ticks - 1), startTime: long, running: true},
		{why: "and does not vouch for a stranger", pid: strconv.Itoa(stranger), start: fmt.Sprint(ticks), startTime: long},
		{why: "a pid file that says nothing is no word about the process", pid: "soon\n", fault: true},
		{why: "zero would mean our own group", pid: "0", fault: true},
		{why: "a start time that is no number", pid: strconv.Itoa(named), start: "x", fault: true},
	}
	for _, row := range rows {
		path := filepath.Join(t.TempDir(), "pid")
		u, err := New(Options{Start: []string{"x"}, PIDFile: path, Match: DefaultMatch, StartMax: 1, StopMax: 1, ExitMax: 1})
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{path + ".start": row.start, path: row.pid} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if !row.startTime.IsZero() {
			if err := os.Chtimes(path+".start", row.startTime, row.startTime); err != nil {
				t.Fatal(err)
			}
		}
		_, running, err := u.Running(context.Background())
		if running != row.running || (err != nil) != row.fault {
			t.Errorf("%s: running %v, %v", row.why, running, err)
		}
		if !row.running {
			if err := u.Kill(context.Background()); (err != nil) != row.fault {
				t.Errorf("%s: kill: %v", row.why, err)
			}
		}
	}
	for name, pid := range map[string]int{"stranger": stranger, "namesake": named} {
		if _, alive, err := process.Find(pid); !alive || err != nil {
			t.Errorf("the %s was killed", name)
		}
	}
}

func TestNewReportsAllFaultsAtOnce(t *testing.T) {
	_, err := New(Options{Stop: []string{""}})
	if err == nil || strings.Count(err.Error(), "\n") != 6 {
		t.Fatalf("got %v", err)
	}
}
