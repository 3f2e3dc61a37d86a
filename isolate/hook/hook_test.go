// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"supervisor/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "s3cret-of-the-board"

// site is a directory of a site: the program, its options, and what the program
// writes.
type site struct {
	dir string
	o   Options
}

// newSite writes a program; SITE in it is the site's directory.
func newSite(t *testing.T, script string) *site {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil { // whatever the umask
		t.Fatal(err)
	}
	s := &site{dir: dir, o: Options{Command: []string{filepath.Join(dir, "fence_test"), "--of-the-site"}, OptionsFile: filepath.Join(dir, "options"),
		Plugs: map[cluster.Name]string{"n1": "10.0.9.1", "n3": "$(touch SITE/injected); --plug=x"}, Timeout: 20 * time.Second, User: os.Geteuid()}}
	s.write(t, "options", "# of the board\nlogin=admin\npasswd="+secret+"\n\nlanplus=1\n", 0o600)
	s.program(t, script)
	return s
}

func (s *site) program(t *testing.T, script string) {
	t.Helper()
	text := "#!/bin/sh\n" + strings.ReplaceAll(script, "SITE", s.dir) + "\n"
	s.write(t, "fence_test", text, 0o755)
	sum := sha256.Sum256([]byte(text))
	s.o.SHA256 = hex.EncodeToString(sum[:])
}

func (s *site) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

func (s *site) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (s *site) hook(t *testing.T) *Hook {
	t.Helper()
	h, err := New(s.o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTheProgramIsToldByItsStandardInputAlone(t *testing.T) {
	s := newSite(t, `cat > SITE/in; env > SITE/env; tr '\0' '\n' < /proc/$$/cmdline > SITE/argv; pwd > SITE/cwd; ps -o pgid= -p $$ > SITE/group 2>/dev/null; exit 0`)
	t.Setenv("OF_THE_AGENT", "x")
	if err := s.hook(t).Off(t.Context(), "n3"); err != nil {
		t.Fatal(err)
	}
	want := "login=admin\npasswd=" + secret + "\nlanplus=1\naction=off\nplug=$(touch SITE/injected); --plug=x\n"
	if got := s.read(t, "in"); got != want {
		t.Errorf("it read %q, want %q", got, want)
	}
	for _, line := range strings.Split(strings.TrimSpace(s.read(t, "env")), "\n") {
		name, _, _ := strings.Cut(line, "=")
		if !slices.Contains([]string{"PATH", "LANG", "PWD", "_", "SHLVL", "OLDPWD"}, name) { // a shell sets the last four itself
			t.Errorf("it has %s in its environment", line)
		}
	}
	if argv := s.read(t, "argv"); strings.Contains(argv, secret) || strings.Contains(argv, "plug") || !strings.Contains(argv, "--of-the-site") {
		t.Errorf("its arguments are %q", argv)
	}
	if cwd := s.read(t, "cwd"); cwd != "/\n" {
		t.Errorf("it works in %q", cwd)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "injected")); err == nil {
		t.Error("the plug was run as a command")
	}
}

func TestStatusIsOnOffOrUnknown(t *testing.T) {
	for code, want := range map[int]State{0: On, 2: Off, 1: StateUnknown, 3: StateUnknown} { // order: each by itself
		s := newSite(t, fmt.Sprintf("cat > SITE/in; echo Status: whatever; exit %d", code))
		got, err := s.hook(t).Status(t.Context(), "n1")
		if got != want || (err != nil) != (want == StateUnknown) {
			t.Errorf("exit code %d: %v, %v", code, got, err)
		}
		if in := s.read(t, "in"); !strings.HasSuffix(in, "action=status\nplug=10.0.9.1\n") {
			t.Errorf("it was told %q", in)
		}
	}
}

func TestOffIsDoneByExitCodeZeroOnly(t *testing.T) {
	for _, tt := range []struct{ script, says string }{
		{"exit 2", "fence_test off of n1: exit code 2"},
		{"echo first; echo Failed: no such plug >&2; exit 1", `exit code 1, it says "Failed: no such plug"`},
		{"kill -9 $$", "signal: killed"},
	} {
		if err := newSite(t, tt.script).hook(t).Off(t.Context(), "n1"); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.script, err)
		} else if errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v: it ran", tt.script, err)
		}
	}
}

func TestNoSecretIsTold(t *testing.T) {
	s := newSite(t, `while read line; do last="$last $line"; done; echo "$last" >&2; exit 1`)
	err := s.hook(t).Off(t.Context(), "n1")
	if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "admin") || !strings.Contains(err.Error(), "passwd=…") {
		t.Errorf("got %v", err)
	}
	// The secret lies across the place where the output is cut.
	s.program(t, fmt.Sprintf(`head -c %d /dev/zero | tr '\0' '\n'; printf '%s and more'; exit 1`, outputMax-10, secret))
	if err := s.hook(t).Off(t.Context(), "n1"); err == nil || strings.Contains(err.Error(), secret[:6]) {
		t.Errorf("got %v", err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	s := newSite(t, `echo it begins; head -c 1048576 /dev/zero | tr '\0' 'x'; exit 1`)
	err := s.hook(t).Off(t.Context(), "n1")
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("(64 KiB of its output kept, %d bytes dropped)", 1048576+10-outputMax)) {
		t.Errorf("got %v", err)
	} else if len(err.Error()) > 400 {
		t.Errorf("%d bytes of it are told", len(err.Error()))
	}
}

// waitFor waits for what the script of a test does.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal(what)
		}
	}
}

func TestAHangIsKilledWithItsChildren(t *testing.T) {
	// The grandchild holds the output, too, and does not end when asked.
	s := newSite(t, `sh -c 'trap "" TERM HUP INT; echo $$ > SITE/pid; while :; do sleep 0.05; done' & trap "" TERM; echo waiting; wait`)
	s.o.Timeout = time.Second
	began := time.Now()
	_, err := s.hook(t).Status(t.Context(), "n1")
	if err == nil || !strings.Contains(err.Error(), `it did not end within 1s and was killed, it says "waiting"`) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	var pid int
	if _, err := fmt.Sscan(s.read(t, "pid"), &pid); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the grandchild lives on", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // a zombie waits for its reaper only
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

func TestTheEndOfTheCallerEndsTheProgram(t *testing.T) {
	s := newSite(t, `echo $$ > SITE/pid; while :; do sleep 0.05; done`)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.hook(t).Off(ctx, "n1") }()
	waitFor(t, "it did not begin", func() bool { b, _ := os.ReadFile(filepath.Join(s.dir, "pid")); return len(b) > 1 })
	cancel()
	if err := <-done; err == nil {
		t.Error("an end that was not waited for passes for done")
	}
}

func TestAProcessLeftBehindIsNoSuccess(t *testing.T) {
	s := newSite(t, `setsid sh -c 'echo $$ > SITE/pid; exec sleep 60' & while ! [ -s SITE/pid ]; do sleep 0.02; done; exit 0`)
	err := s.hook(t).Off(t.Context(), "n1")
	var pid int
	if _, e := fmt.Sscan(s.read(t, "pid"), &pid); e != nil {
		t.Fatal(e)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if err == nil || !strings.Contains(err.Error(), "it left a process behind that holds its output") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNotAsPinnedIsNotRun(t *testing.T) {
	for _, tt := range []struct {
		why   string
		spoil func(t *testing.T, s *site)
		says  string
	}{
		{"other bytes", func(t *testing.T, s *site) { s.write(t, "fence_test", "#!/bin/sh\ntouch "+s.dir+"/ran\n", 0o755) }, "is pinned; if the new one is right"},
		{"others may write", func(t *testing.T, s *site) { chmod(t, s.o.Command[0], 0o757) }, "has mode 0757, others may change it; make it 0755"},
		{"its group may write", func(t *testing.T, s *site) { chmod(t, s.o.Command[0], 0o775) }, "make it 0755"},
		{"not executable", func(t *testing.T, s *site) { chmod(t, s.o.Command[0], 0o644) }, "is not executable; make it 0755"},
		{"directory of everybody", func(t *testing.T, s *site) { chmod(t, s.dir, 0o777) }, "others may put another file there"},
		{"somebody else's", func(t *testing.T, s *site) {
			if os.Geteuid() != 0 {
				s.o.User = -1
			} else if err := os.Chown(s.o.Command[0], 12345, -1); err != nil { // root's files are everybody's to run
				t.Fatal(err)
			}
		}, "belongs to neither root nor the agent's user"},
		{"not there", func(_ *testing.T, s *site) { s.o.Command[0] += "x" }, "there is no file"},
		{"a link", func(t *testing.T, s *site) {
			if err := os.Symlink(s.o.Command[0], s.o.Command[0]+"2"); err != nil {
				t.Fatal(err)
			}
			s.o.Command[0] += "2"
		}, "leads through a symbolic link to"},
		{"a pipe", func(t *testing.T, s *site) {
			s.o.Command[0] += "3"
			if err := syscall.Mkfifo(s.o.Command[0], 0o755); err != nil {
				t.Fatal(err)
			}
		}, "is no plain file"},
		{"no interpreter", func(t *testing.T, s *site) {
			text := "#!/no/such/interpreter\n"
			s.write(t, "fence_test", text, 0o755)
			sum := sha256.Sum256([]byte(text))
			s.o.SHA256 = hex.EncodeToString(sum[:])
		}, "it cannot be run: no such file or directory"},
		{"no plug", func(_ *testing.T, s *site) { delete(s.o.Plugs, "n1") }, "no plug is named for it"},
		{"options of everybody", func(t *testing.T, s *site) { chmod(t, s.o.OptionsFile, 0o644) }, "has mode 0644, others may read or change it; make it 0600 or 0640"},
		{"options that are not there", func(_ *testing.T, s *site) { s.o.OptionsFile += "x" }, "there is no file"},
		{"options that say what to do", func(t *testing.T, s *site) { s.write(t, "options", "passwd="+secret+"\naction=on\n", 0o600) }, "options:2: action is said by the agent"},
		{"options that say to whom", func(t *testing.T, s *site) { s.write(t, "options", "Plug=7\n", 0o600) }, "options:1: Plug is said by the agent"},
		{"a line without a name", func(t *testing.T, s *site) { s.write(t, "options", secret+"\n", 0o600) }, "options:1: no line like name=value"},
		{"a line twice", func(t *testing.T, s *site) { s.write(t, "options", "ip=1.2.3.4\nip=1.2.3.5\n", 0o600) }, "options:2: ip stands there twice"},
		{"a value with a line break", func(t *testing.T, s *site) { s.write(t, "options", "passwd="+secret+"\raction=on\n", 0o600) }, "options:1: the value of passwd holds a control character"},
		{"too many options", func(t *testing.T, s *site) { s.write(t, "options", strings.Repeat("#", optionsMax+1), 0o600) }, "is larger than 16 KiB"},
	} {
		s := newSite(t, "touch SITE/ran; exit 0")
		tt.spoil(t, s)
		h := s.hook(t)
		err := h.Off(t.Context(), "n1")
		if err == nil || !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", tt.why, err)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "ran")); err == nil {
			t.Errorf("%s: it ran", tt.why)
		}
		if tt.why != "no plug" && tt.why != "no interpreter" {
			if err := h.Check(); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: a check says %v", tt.why, err)
			}
		}
	}
	if err := newSite(t, "exit 0").hook(t).Check(); err != nil {
		t.Errorf("in order: %v", err)
	}
}

func TestOptionsOfRootAloneAreNoUse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes a file of root")
	}
	s := newSite(t, "exit 0")
	s.o.User = 12345
	if err := s.hook(t).Check(); err == nil || !strings.Contains(err.Error(), "the agent's user (12345) cannot read it") {
		t.Errorf("got %v", err)
	}
	chmod(t, s.o.OptionsFile, 0o640)
	if err := s.hook(t).Check(); err != nil {
		t.Errorf("its group may read it: %v", err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// What was hashed runs, also when another program stands in its place by then.
func TestWhatWasHashedIsWhatRuns(t *testing.T) {
	s := newSite(t, "echo the pinned one > SITE/ran")
	h := s.hook(t)
	program, err := h.program()
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	s.write(t, "fence_test", "#!/bin/sh\necho another one > "+s.dir+"/ran\n", 0o755)
	if _, err := program.WriteAt([]byte("#"), 0); err == nil {
		t.Error("the copy can be written to")
	}
	if f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", program.Fd()), os.O_WRONLY, 0); err == nil {
		if _, err := f.WriteAt([]byte("#"), 0); err == nil {
			t.Error("the copy can be opened anew and written to")
		}
		_ = f.Close()
	}
	cmd := h.command(t.Context(), program, "", &output{})
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if got := s.read(t, "ran"); got != "the pinned one\n" {
		t.Errorf("%q ran", got)
	}
}

func TestNewTellsAllFaultsAtOnce(t *testing.T) {
	_, err := New(Options{Command: []string{"fence_ipmilan"}, SHA256: "12", OptionsFile: "options",
		Plugs: map[cluster.Name]string{"n1": "", "n2": "1\naction=on", "n3": strings.Repeat("x", plugMax+1)}})
	for _, want := range []string{"command: the whole path of a program", "sha256: 64 hex digits", "options_file: a whole path",
		"timeout: a run needs a limit", "plugs.n1: it is empty", "plugs.n2: it holds a line break", "plugs.n3: it is longer than 256 bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	if _, err := New(Options{Command: []string{"/x"}, SHA256: strings.Repeat("a", 64), Timeout: 1}); err == nil || !strings.Contains(err.Error(), "plugs: name at least one host") {
		t.Errorf("got %v", err)
	}
}
