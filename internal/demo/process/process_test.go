// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func sleeper(t *testing.T, argv ...string) (Spec, ID) {
	t.Helper()
	dir := t.TempDir()
	s := Spec{Argv: argv, Dir: dir, Log: filepath.Join(dir, "log"), PidFile: filepath.Join(dir, "pid")}
	id, err := Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = id.Signal(syscall.SIGKILL) })
	return s, id
}

func TestStartedProcessStandsAlone(t *testing.T) {
	s, id := sleeper(t, "/bin/sleep", "60")
	read, err := Read(s.PidFile)
	if err != nil || read != id {
		t.Fatalf("pid file says %v, %v; want %v", read, err, id)
	}
	session, _, errno := syscall.Syscall(syscall.SYS_GETSID, uintptr(id.PID), 0, 0)
	if errno != 0 || int(session) != id.PID {
		t.Errorf("session %d of process %d: a Ctrl-C on our terminal would end it", session, id.PID)
	}
	if again, err := Start(s); !errors.Is(err, ErrRunning) || again != id {
		t.Errorf("second start: %v, %v; want the first one and ErrRunning", again, err)
	}
	if err := id.Stop(t.Context(), time.Second); err != nil || id.Alive() {
		t.Errorf("stop: %v, alive %v", err, id.Alive())
	}
	if err := id.Stop(t.Context(), time.Second); err != nil {
		t.Errorf("stopping what is gone: %v, want nothing", err)
	}
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	_, id := sleeper(t, "/bin/sleep", "60")
	if err := id.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := id.Stop(t.Context(), 50*time.Millisecond); err != nil || id.Alive() {
		t.Errorf("stop: %v, alive %v", err, id.Alive())
	}
}

func TestRetiredProcessStaysAway(t *testing.T) {
	s, id := sleeper(t, "/bin/sleep", "60")
	if err := Retire(t.Context(), s.PidFile, 0); err != nil || id.Alive() {
		t.Fatalf("retire: %v, alive %v", err, id.Alive())
	}
	if id, err := Start(s); !errors.Is(err, ErrRetired) {
		t.Errorf("start after that: %v, %v; an agent's late order would leave a process behind", id, err)
	}
	if err := Retire(t.Context(), filepath.Join(t.TempDir(), "pid"), 0); err != nil {
		t.Errorf("nothing was ever started: %v, want no fault", err)
	}
}

func TestReusedNumberIsNotTheProcess(t *testing.T) {
	s, id := sleeper(t, "/bin/sleep", "60")
	if err := os.WriteFile(s.PidFile+".start", []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := Read(s.PidFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Stop(t.Context(), 0); err != nil || other.Alive() {
		t.Errorf("stop of a process that is long gone: %v, alive %v", err, other.Alive())
	}
	if !id.Alive() {
		t.Error("the process that has the number now was killed")
	}
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		why, pid, start string
		fault           bool
	}{
		{"two numbers name a process", strconv.Itoa(os.Getpid()) + "\n", "7\n", false},
		{"an empty file is a write that did not end", "", "7\n", true},
		{"without a start time a reused number looks alive", "12\n", "", true},
		{"0 would signal our own group", "0\n", "7\n", true},
		{"a negative number would signal a group", "-1\n", "7\n", true},
	} {
		t.Run(tt.why, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			for path, text := range map[string]string{file: tt.pid, file + ".start": tt.start} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Read(file); (err != nil) != tt.fault {
				t.Errorf("got %v, want a fault: %v", err, tt.fault)
			}
		})
	}
	if _, err := Read(filepath.Join(t.TempDir(), "pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v, want os.ErrNotExist", err)
	}
}

func TestParseStat(t *testing.T) {
	const tail = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"
	for _, tt := range []struct {
		why, line string
		want      uint64
	}{
		{"a plain name", "12 (java)" + tail, 4711},
		{"a name with blanks and parentheses", "12 (a) b (c))" + tail, 4711},
	} {
		if state, got, err := parseStat(tt.line); err != nil || got != tt.want || state != "S" {
			t.Errorf("%s: got %s %d, %v", tt.why, state, got, err)
		}
	}
	if _, _, err := parseStat("12 (java) S 1"); err == nil {
		t.Error("a short line is taken for a process")
	}
}
