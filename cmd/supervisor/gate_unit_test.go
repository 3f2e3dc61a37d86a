// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"supervisor/internal/agent"
	"supervisor/internal/settings"
	"supervisor/isolate"
)

// The gate in front of a unit: what it leaves for EnvironmentFile= and how it ends.
func TestTheGateOfAUnit(t *testing.T) {
	const named = "host: {name: n1}\ngate: {timeout: 1ms, options_file: /nowhere/options}"
	asleep := "JVM_EXTRA_OPTS=\"-Dcassandra.join_ring=false -Dcassandra.start_native_transport=false\"\n" +
		"JDK_JAVA_OPTIONS=\"-Dcassandra.join_ring=false -Dcassandra.start_native_transport=false\"\n"
	for _, row := range []struct {
		why, file string // "" stands for no file
		local     isolate.Local
		exit      int
		left      string // "none" stands for no file
	}{
		{"a host that was not set up starts plainly", "", isolate.Local{}, 0, ""},
		{"a plain start has an empty one", named, isolate.Local{}, 0, ""},
		{"a hibernating one has its own", named, isolate.Local{Returning: true}, 0, asleep},
		{"its place is not in the file", "host: {name: n1}\ngate: {timeout: 1ms}", isolate.Local{Returning: true}, 0, asleep},
		{"a refusal leaves none", named, isolate.Local{Retired: true}, exitRefused, "none"},
		{"a file that is there and does not name the host is a fault", "gate: {timeout: 1ms}", isolate.Local{}, exitUsage, "none"},
	} {
		t.Run(row.why, func(t *testing.T) {
			if row.file == "" && exists(settings.DefaultAgent().StateDir) {
				t.Skip("an agent keeps its state on this machine")
			}
			dir := t.TempDir()
			config, left := filepath.Join(dir, "agent.yaml"), filepath.Join(dir, "environment")
			disk, err := agent.NewDisk(filepath.Join(dir, "state"))
			err = errors.Join(err, disk.SaveLocal(row.local), os.WriteFile(left, []byte("JVM_EXTRA_OPTS=old\n"), 0o600))
			if row.file != "" {
				text := row.file + "\nstate_dir: " + dir + "/state\napi: {socket: " + dir + "/s}\n"
				err = errors.Join(err, os.WriteFile(config, []byte(text), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("JVM_EXTRA_OPTS", "")
			t.Setenv("JDK_JAVA_OPTIONS", "")
			var said strings.Builder
			if exit := run([]string{"gate", "--config", config, "--environment", left}, &said, &said); exit != row.exit {
				t.Errorf("exit %d, want %d: %s", exit, row.exit, &said)
			}
			got, err := os.ReadFile(left)
			if row.left == "none" && !errors.Is(err, fs.ErrNotExist) || row.left != "none" && (err != nil || string(got) != row.left) {
				t.Errorf("left %q, %v, want %q", got, err, row.left)
			}
			if strings.Contains(said.String(), "options_file") {
				t.Errorf("it asks for what a unit's gate does not use: %s", &said)
			}
			if row.file == "" && !strings.Contains(said.String(), "no supervisor watches this node") {
				t.Errorf("it is not said aloud: %s", &said)
			}
		})
	}
}

// A host whose file was lost goes by what it remembers, and asks nobody.
func TestAGateWithoutItsFileRemembers(t *testing.T) {
	cfg, err := unitConfig(filepath.Join(t.TempDir(), "agent.yaml"), t.Output())
	if !errors.Is(err, errNotSetUp) || cfg.StateDir != settings.DefaultAgent().StateDir || cfg.Gate.Timeout != 0 {
		t.Fatalf("%+v, %v", cfg, err)
	}
	cfg.StateDir = t.TempDir()
	disk, err := agent.NewDisk(cfg.StateDir)
	if err = errors.Join(err, disk.SaveLocal(isolate.Local{Returning: true})); err != nil {
		t.Fatal(err)
	}
	if ans, err := askGate(t.Context(), cfg, t.Output()); err != nil || ans.Start != isolate.Hibernate {
		t.Errorf("got %+v, %v", ans, err)
	}
}

// What the site has in the variables stays, and an earlier answer does not pile up.
func TestAUnitsEnvironmentKeepsTheSites(t *testing.T) {
	options := []string{"-Da=1", "-Db=2"}
	site := map[string]string{"JVM_EXTRA_OPTS": `-Dx="a $b" -Dc=\d`, "JDK_JAVA_OPTIONS": ""}
	want := `JVM_EXTRA_OPTS="-Dx=\"a \$b\" -Dc=\\d -Da=1 -Db=2"` + "\nJDK_JAVA_OPTIONS=\"-Da=1 -Db=2\"\n"
	get := func(name string) string { return site[name] }
	if got := unitEnvironment(options, get); got != want {
		t.Errorf("got %s", got)
	}
	site["JVM_EXTRA_OPTS"] += " -Da=1 -Db=2" // as the unit of the earlier answer passes it on
	site["JDK_JAVA_OPTIONS"] = "-Da=1 -Db=2"
	if got := unitEnvironment(options, get); got != want {
		t.Errorf("a second answer: %s", got)
	}
	if got := unitEnvironment(nil, get); got != "" {
		t.Errorf("a plain start: %s", got)
	}
}

// Root in front of an init script leaves the agent nothing that it cannot read.
// A test's own binary plays it, since there is no way back to root.
func TestAGateOfRootBecomesTheAgentsUser(t *testing.T) {
	if dirs := strings.Split(os.Getenv("GATE_BECOMES"), ":"); len(dirs) == 2 {
		err := becomeOwner(dirs[0], dirs[1])
		fmt.Printf("as uid %d: %v\n", os.Geteuid(), errors.Join(err, writeOptions(dirs[1]+"/environment", "")))
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	base, err := os.MkdirTemp("/var/tmp", "gate") // a test's own folder, and perhaps that of all, is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	state, answers := base+"/state", base+"/answers"
	err = errors.Join(os.Chmod(base, 0o755), os.Mkdir(state, 0o755), os.Mkdir(answers, 0o755), os.Chown(state, 65534, 65534))
	if err != nil {
		t.Fatal(err)
	}
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	again.Env = append(os.Environ(), "GATE_BECOMES="+state+":"+answers)
	if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "as uid 65534: <nil>") {
		t.Errorf("%v: %s", err, out)
	}
}
