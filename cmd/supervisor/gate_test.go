// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supervisor/internal/agent"
	"supervisor/internal/api"
	"supervisor/internal/settings"
	"supervisor/isolate"
)

// Nobody answers these gates; what they say is what stands on the disk.
func TestAGateAlone(t *testing.T) {
	asleep := &isolate.Fence{Levels: isolate.Clients | isolate.Reads, Start: isolate.Hibernate, Incident: "inc"}
	drained := isolate.Local{Clean: true, CleanFrom: time.Now().Add(-time.Minute), HintWindow: time.Hour}
	rows := []struct {
		why    string
		local  isolate.Local
		broken string // the file that cannot be written
		start  isolate.Start
		rule   string
	}{
		{"nothing stands: the policy's word", isolate.Local{Unasked: isolate.Refuse}, "", isolate.Refuse, "gate-unasked"},
		{"a fence hibernates", isolate.Local{Fence: asleep}, "", isolate.Hibernate, "fenced"},
		{"a clean drain starts, once", drained, "", isolate.Normal, "clean-drain"},
		{"a marker that cannot be used up is none", drained, "lock", isolate.Normal, "gate-unasked"},
		{"a note that cannot be left keeps nothing from starting", isolate.Local{}, "gate-unasked", isolate.Normal, "gate-unasked"},
		{"a directory without room keeps nothing from starting", isolate.Local{}, "writable", isolate.Normal, "gate-unasked"},
		{"nor does it lift a fence", isolate.Local{Fence: asleep}, "writable", isolate.Hibernate, "fenced"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			cfg := settings.Agent{StateDir: t.TempDir()}
			cfg.API.Socket = filepath.Join(cfg.StateDir, "nobody.sock")
			cfg.Gate.Timeout = time.Millisecond
			disk, err := agent.NewDisk(cfg.StateDir)
			if err == nil {
				err = disk.SaveLocal(r.local)
			}
			if r.broken != "" && err == nil {
				// No file can be made of that name, not even by root.
				_ = os.Remove(filepath.Join(cfg.StateDir, r.broken))
				err = os.Mkdir(filepath.Join(cfg.StateDir, r.broken), 0o700)
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := askGate(t.Context(), cfg, io.Discard)
			if err != nil || got.Start != r.start || got.Rule != r.rule {
				t.Errorf("got %+v, %v, want %s by %s", got, err, r.start, r.rule)
			}
			if disk.Unrepaired() != (got.Start == isolate.Hibernate) {
				t.Errorf("it may lack writes: %v", disk.Unrepaired())
			}
			after, err := disk.Local()
			if err != nil || after.Clean != (r.local.Clean && got.Rule != "clean-drain") {
				t.Errorf("left behind: %+v, %v", after, err)
			}
		})
	}
}

// gateAgent answers a gate as an agent does, with what say returns.
func gateAgent(t *testing.T, cfg *settings.Agent, say func() isolate.Answer) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate") // a short path: a socket's has a limit
	if err != nil {
		t.Fatal(err)
	}
	cfg.API.Socket = filepath.Join(dir, "api.sock")
	l, err := net.Listen("unix", cfg.API.Socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(api.Envelope[isolate.Answer]{API: api.Version, Data: say()})
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); _ = os.RemoveAll(dir) })
}

func gateOn(t *testing.T) (settings.Agent, agent.Disk) {
	t.Helper()
	cfg := settings.Agent{StateDir: t.TempDir()}
	cfg.API.Socket = filepath.Join(cfg.StateDir, "nobody.sock")
	cfg.Gate.Timeout = 200 * time.Millisecond
	disk, err := agent.NewDisk(cfg.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, disk
}

// A state that cannot be read was one: the agent may know it, and without the
// agent neither a plain start nor a hibernation is more than a guess.
func TestAStateThatCannotBeRead(t *testing.T) {
	for why, text := range map[string]string{"cut short": "{", "of a later version": `{"unasked":"a_later_word"}`} {
		t.Run(why, func(t *testing.T) {
			cfg, _ := gateOn(t)
			if err := os.WriteFile(filepath.Join(cfg.StateDir, "state.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := askGate(t.Context(), cfg, io.Discard)
			if err != nil || got.Start != isolate.Refuse || got.Rule != "state-unread" || !strings.Contains(got.Why, "state.json") {
				t.Errorf("nobody answers: %+v, %v", got, err)
			}
			gateAgent(t, &cfg, func() isolate.Answer { return isolate.Answer{Start: isolate.Normal, Rule: "cold-start"} })
			var said strings.Builder
			if got, err := askGate(t.Context(), cfg, &said); err != nil || got.Rule != "cold-start" || !strings.Contains(said.String(), "state.json") {
				t.Errorf("the agent answers: %+v, %v, said %q", got, err, said.String())
			}
		})
	}
	_, err := stateUnread(settings.Agent{StateDir: "/var/lib/s"}, fmt.Errorf("read state.json: %w", fs.ErrPermission))
	var f failure
	if !errors.As(err, &f) || f.exit != exitFailed || !strings.Contains(f.Error(), "/var/lib/s") || !strings.Contains(f.Error(), fmt.Sprint("uid ", os.Geteuid())) {
		t.Errorf("a user who may not read it: %v", err)
	}
}

// While the gate asks, the agent goes on: what it writes counts, and stays.
func TestAFenceThatCameWhileTheGateAskedIsObeyedAndKept(t *testing.T) {
	cfg, disk := gateOn(t)
	drained := isolate.Local{Clean: true, CleanFrom: time.Now().Add(-time.Minute), HintWindow: time.Hour}
	if err := disk.SaveLocal(drained); err != nil {
		t.Fatal(err)
	}
	gateAgent(t, &cfg, func() isolate.Answer {
		fenced := drained
		fenced.Returning, fenced.Incident = true, "inc"
		if err := disk.SaveLocal(fenced); err != nil {
			t.Error(err)
		}
		return isolate.Answer{Start: isolate.Wait}
	})
	if got, err := askGate(t.Context(), cfg, io.Discard); err != nil || got.Start != isolate.Hibernate || got.Rule != "returning" {
		t.Errorf("got %+v, %v", got, err)
	}
	if after, err := disk.Local(); err != nil || !after.Returning || after.Incident != "inc" {
		t.Errorf("left behind: %+v, %v", after, err)
	}
}

func TestAMarkerThatWasUsedUpIsNotSetUpAgain(t *testing.T) {
	_, disk := gateOn(t)
	drained := isolate.Local{Clean: true, CleanFrom: time.Now().Add(-time.Minute), HintWindow: time.Hour}
	if err := disk.SaveLocal(drained); err != nil {
		t.Fatal(err)
	}
	if got, err := disk.Alone(time.Now()); err != nil || got.Rule != "clean-drain" {
		t.Fatalf("the first: %+v, %v", got, err)
	}
	drained.EverServed = true // an agent's copy from before
	if err := disk.SaveLocal(drained); err != nil {
		t.Fatal(err)
	}
	if got, err := disk.Alone(time.Now()); err != nil || got.Rule != "gate-unasked" {
		t.Errorf("the second: %+v, %v", got, err)
	}
	drained.CleanFrom = time.Now() // another stop
	if err := disk.SaveLocal(drained); err != nil {
		t.Fatal(err)
	}
	if got, err := disk.Alone(time.Now()); err != nil || got.Rule != "clean-drain" {
		t.Errorf("the next stop: %+v, %v", got, err)
	}
}

// The options of an earlier start are those of this one under no circumstance.
func TestTheOptionsFile(t *testing.T) {
	stale := "-Dcassandra.join_ring=false\n"
	for _, row := range []struct {
		why, file string
		local     isolate.Local
		exit      int
		options   string // "" stands for no file
	}{
		{"a plain start has an empty one", "host: {name: n1}\ngate: {options_file: DIR/options, timeout: 1ms}", isolate.Local{}, 0, "\n"},
		{"a hibernating one has its own", "host: {name: n1}\ngate: {options_file: DIR/options, timeout: 1ms}", isolate.Local{Returning: true}, 0,
			"-Dcassandra.join_ring=false\n-Dcassandra.start_native_transport=false\n"},
		{"a refusal leaves none", "host: {name: n1}\ngate: {options_file: DIR/options, timeout: 1ms}", isolate.Local{Retired: true}, exitRefused, ""},
		{"a file that does not name the host leaves none", "gate: {options_file: DIR/options, timeout: 1ms}", isolate.Local{}, exitUsage, ""},
		{"without a place nothing is started", "host: {name: n1}\ngate: {option_file: DIR/options, timeout: 1ms}", isolate.Local{Returning: true}, exitUsage, stale},
	} {
		t.Run(row.why, func(t *testing.T) {
			dir := t.TempDir()
			disk, err := agent.NewDisk(filepath.Join(dir, "state"))
			config, options := filepath.Join(dir, "agent.yaml"), filepath.Join(dir, "options")
			text := strings.ReplaceAll(row.file, "DIR", dir) + "\nstate_dir: " + dir + "/state\napi: {socket: " + dir + "/s}\n"
			err = errors.Join(err, disk.SaveLocal(row.local), os.WriteFile(config, []byte(text), 0o600), os.WriteFile(options, []byte(stale), 0o644))
			if err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			if exit := run([]string{"gate", "--config", config}, &said, &said); exit != row.exit {
				t.Errorf("exit %d, want %d: %s", exit, row.exit, &said)
			}
			got, err := os.ReadFile(options)
			if row.options == "" && !errors.Is(err, fs.ErrNotExist) || row.options != "" && string(got) != strings.TrimPrefix(row.options, "\n") {
				t.Errorf("options %q, %v, want %q", got, err, row.options)
			}
			if info, err := os.Stat(options); err == nil && info.Mode().Perm() != 0o644 {
				t.Errorf("mode %v: the start command's user must be able to read it", info.Mode())
			}
		})
	}
}

// A host with a unit needs no place for a script's options; a gate that is run there
// as a script's says so before it asks, since an answer may be given once only.
func TestTheGateOfAScriptOnAHostWithAUnit(t *testing.T) {
	dir := t.TempDir()
	text := strings.Replace(agentFile, "command: {start: [DIR/start], pid_file: DIR/pid}", "unit: cassandra.service", 1)
	text = strings.Replace(text, "gate: {options_file: DIR/options}\n", "", 1)
	for name, content := range map[string]string{
		"agent.yaml":  strings.ReplaceAll(text, "DIR", dir),
		"key":         "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n",
		"credentials": "username = a\npassword = b\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := settings.ReadAgent(dir + "/agent.yaml"); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if exit := run([]string{"gate", "--config", dir + "/agent.yaml"}, &said, &said); exit != exitUsage || !strings.Contains(said.String(), "gate.options_file is missing") {
		t.Errorf("exit %d: %s", exit, &said)
	}
	if _, err := os.Stat(dir + "/state"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it has asked: %v", err)
	}
}

func TestOptionsDoNotFollowALinkAndDoNotReplaceADirectory(t *testing.T) {
	dir := t.TempDir()
	precious, path := filepath.Join(dir, "precious"), filepath.Join(dir, "options")
	if err := errors.Join(os.WriteFile(precious, []byte("mine"), 0o600), os.Symlink(precious, path)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(dropOptions(path), writeOptions(path, lines(isolate.Options(isolate.Hibernate)))); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "mine" {
		t.Errorf("what the link named: %q, %v", text, err)
	}
	if dropOptions(dir) == nil || writeOptions("", "") == nil {
		t.Error("no place for options passed for one")
	}
}
