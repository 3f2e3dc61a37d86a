// SPDX-License-Identifier: Apache-2.0

//go:build systemd

package systemd

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

	"supervisor/internal/process"
)

// real is a systemd of a test's own, as that of a user's session: it has a bus, a
// folder for units and a file system that is booted by systemd as far as it can see.
type real struct {
	dir    string // of units
	run    string
	groups []string // its folders among the control groups
}

// begin is run in a mount namespace of its own. What it starts is found again by its
// control group.
const begin = `for d in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
	if [ -e $d/cgroup.procs ] && mkdir -p $d/$GROUP && echo $$ >$d/$GROUP/cgroup.procs; then echo $d/$GROUP >>$XDG_RUNTIME_DIR/groups; fi
done
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system
exec /lib/systemd/systemd --user --unit=begin.target
`

func newReal(t *testing.T) *real {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("a systemd of its own wants a mount namespace and a control group; run it as root")
	}
	top := t.TempDir()
	r := &real{dir: filepath.Join(top, "units"), run: filepath.Join(top, "run")}
	for _, d := range []string{r.dir, r.run} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"begin.target":    "[Unit]\nDefaultDependencies=no\nWants=dbus.socket dbus.service\n",
		"basic.target":    "[Unit]\nDefaultDependencies=no\n",
		"shutdown.target": "[Unit]\nDefaultDependencies=no\n",
		"dbus.socket":     "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=%t/bus\n",
		"dbus.service": "[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\n[Service]\nType=notify\nNotifyAccess=main\n" +
			"ExecStart=/usr/bin/dbus-daemon --session --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only\n",
		"broken.service": "[Service]\nType=oneshot\nExecStart=/bin/false\n",
	} {
		r.write(t, name, text)
	}
	c := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", begin)
	c.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+r.run, "SYSTEMD_UNIT_PATH="+r.dir, "GROUP=supervisor-test-"+strconv.Itoa(os.Getpid()), "SYSTEMD_LOG_TARGET=console")
	said, err := os.Create(filepath.Join(top, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	c.Stdout, c.Stderr = said, said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.end()
		_ = c.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(said.Name())
			t.Logf("systemd says: %s", text[max(0, len(text)-3000):])
		}
	})
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+r.run+"/bus")
	u := newUnit(t, time.Second)
	await(t, "systemd is on its bus", func() bool {
		_, _, err := u.Running(context.Background())
		return err == nil
	})
	text, err := os.ReadFile(filepath.Join(r.run, "groups"))
	if err != nil {
		t.Fatal(err)
	}
	r.groups = strings.Fields(string(text))
	return r
}

// end kills all that is in its control groups, and takes them away.
func (r *real) end() {
	for range 100 {
		left := 0
		for _, g := range r.groups {
			_ = filepath.WalkDir(g, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.Name() == "cgroup.procs" {
					text, _ := os.ReadFile(path)
					for _, pid := range strings.Fields(string(text)) {
						n, _ := strconv.Atoi(pid)
						_ = syscall.Kill(n, syscall.SIGKILL)
						left++
					}
				}
				return nil
			})
		}
		if left == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, g := range r.groups {
		_ = exec.Command("find", g, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run()
	}
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(15 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func (r *real) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// systemctl must succeed, if it must.
func (r *real) systemctl(t *testing.T, must bool, words ...string) string {
	t.Helper()
	c := exec.Command("systemctl", append([]string{"--user", "--no-pager"}, words...)...)
	c.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+r.run)
	out, err := c.CombinedOutput()
	if err != nil && must {
		t.Fatalf("systemctl %s: %v: %s", strings.Join(words, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *real) lay(t *testing.T, text string, _ script, do []string) {
	t.Helper()
	// What the one before left.
	r.systemctl(t, false, "stop", "--no-block", unitName)
	r.systemctl(t, false, "kill", "--signal=SIGKILL", unitName)
	await(t, "the unit before has ended", func() bool {
		is := r.systemctl(t, false, "is-active", unitName)
		return is == "inactive" || is == "failed"
	})
	r.systemctl(t, false, "reset-failed")
	_ = os.Remove(filepath.Join(r.dir, unitName))
	switch text {
	case "":
	case masked:
		if err := os.Symlink(os.DevNull, filepath.Join(r.dir, unitName)); err != nil {
			t.Fatal(err)
		}
	default:
		r.write(t, unitName, "[Service]\n"+text)
	}
	r.systemctl(t, true, "daemon-reload")
	for _, words := range do {
		r.systemctl(t, true, strings.Fields(words)...)
	}
}

func TestStartsOnSystemd(t *testing.T) { tellStarts(t, newReal(t)) }

// The rest of a unit's life, on the same systemd.
func TestLivesOnSystemd(t *testing.T) {
	r := newReal(t)
	ctx := context.Background()
	t.Run("its process is found, ended and gone", func(t *testing.T) { lives(t, r) })
	t.Run("one that the gate turned away again and again is started when it lets", func(t *testing.T) {
		file := filepath.Join(r.run, "open")
		r.lay(t, fmt.Sprintf("ExecStartPre=/bin/sh -c 'test -e %s || exit 3 # supervisor gate'\n", file)+sleeps, script{}, nil)
		u := newUnit(t, 10*time.Second)
		for range 8 { // more than systemd lets a unit fail
			if err := u.Start(ctx); !errors.Is(err, process.ErrGate) {
				t.Fatalf("got %v", err)
			}
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := u.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Run("one that its Restart= tries again is waited for", func(t *testing.T) {
		file := filepath.Join(r.run, "again")
		r.lay(t, fmt.Sprintf("Restart=always\nRestartSec=2\nExecStartPre=/bin/sh -c 'test -e %s || exit 3 # supervisor gate'\n", file)+sleeps, script{}, nil)
		u := newUnit(t, 10*time.Second)
		if err := u.Start(ctx); !errors.Is(err, process.ErrGate) {
			t.Fatalf("got %v", err)
		}
		if got := r.systemctl(t, true, "show", "--property=SubState", "--value", unitName); got != "auto-restart" {
			t.Fatalf("it is %s", got)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := u.Start(ctx); err != nil {
			t.Error(err)
		}
		if _, is, err := u.Running(ctx); !is || err != nil {
			t.Errorf("it runs: %v, %v", is, err)
		}
	})
	t.Run("a start that was left at work is waited for, and there is one process", func(t *testing.T) {
		began, pidFile, on := filepath.Join(r.run, "began"), filepath.Join(r.run, "pid"), filepath.Join(r.run, "on")
		r.lay(t, lets+fmt.Sprintf("Type=forking\nPIDFile=%s\nExecStart=/bin/sh -c 'echo once >>%s; until test -e %s; do sleep 0.05; done; sleep 300 & echo $! >%[1]s'\n",
			pidFile, began, on), script{}, nil)
		u := newUnit(t, short)
		if err := u.Start(ctx); !errors.Is(err, process.ErrUncertain) {
			t.Fatalf("got %v", err)
		}
		goesOn := time.AfterFunc(short, func() { _ = os.WriteFile(on, nil, 0o600) })
		defer goesOn.Stop()
		if err := newUnit(t, 10*time.Second).Start(ctx); err != nil { // of a later agent
			t.Error(err)
		}
		if text, err := os.ReadFile(began); string(text) != "once\n" || err != nil {
			t.Errorf("it began %q, %v", text, err)
		}
		if _, is, err := u.Running(ctx); !is || err != nil {
			t.Errorf("it runs: %v, %v", is, err)
		}
	})
}

func lives(t *testing.T, r *real) {
	ctx := context.Background()
	r.lay(t, lets+sleeps, script{}, nil)
	u := newUnit(t, 10*time.Second)
	if _, is, err := u.Running(ctx); is || err != nil {
		t.Fatalf("not started: %v, %v", is, err)
	}
	if err := errors.Join(u.Check(ctx), u.Start(ctx)); err != nil {
		t.Fatal(err)
	}
	p, is, err := u.Running(ctx)
	if want := r.systemctl(t, true, "show", "--property=MainPID", "--value", unitName); !is || err != nil || strconv.Itoa(p.PID) != want {
		t.Fatalf("got %+v, %v, %v, want pid %s", p, is, err, want)
	}
	if err := u.Start(ctx); !errors.Is(err, process.ErrRunning) {
		t.Errorf("a second start: %v", err)
	}
	gone := process.Exited(t.Context(), p)
	if err := u.KillOnly(ctx, p); err != nil {
		t.Fatal(err)
	}
	<-gone
	if _, is, err := u.Running(ctx); is || err != nil {
		t.Errorf("after its end: %v, %v", is, err)
	}
	if err := u.Start(ctx); err != nil {
		t.Fatal(err)
	}
	later, _, _ := u.Running(ctx)
	if err := u.KillOnly(ctx, p); err != nil {
		t.Errorf("what is meant is gone: %v", err)
	}
	if now, is, err := u.Running(ctx); now != later || !is || err != nil {
		t.Errorf("a younger one was killed: %+v, %v, %v", now, is, err)
	}
	if err := u.killMain(ctx, p); err == nil {
		t.Error("systemd was told to end a younger one")
	}
	gone = process.Exited(t.Context(), later)
	if err := u.killMain(ctx, later); err != nil {
		t.Error(err)
	}
	<-gone
}
