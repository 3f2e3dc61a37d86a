// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"supervisor/internal/settings"
)

const agentFile = `cluster: orders
region: eu
host: {name: n1, datacenter: fra, rack: a}
state_dir: DIR/state
api: {socket: DIR/api.sock}
gossip: {bind: 127.0.0.1:7946, key_file: DIR/key}
control_agents: [n1]
store: {endpoints: ["http://127.0.0.1:2379"]}
cassandra:
  cql: 127.0.0.1:9042
  storage: 127.0.0.1:7000
  jolokia: http://127.0.0.1:8778/jolokia/
  data_dir: DIR/data
  credentials_file: DIR/credentials
  command: {start: [DIR/start], pid_file: DIR/pid}
gate: {options_file: DIR/options}
`

func TestConfigCheckTriesWhatTheAgentNeeds(t *testing.T) {
	const good = "username = a\npassword = b\n"
	for _, tt := range []struct {
		why, credentials, group string
		exit                    int
		says                    string
	}{
		{"in order", good, "", 0, "is in order: host n1"},
		{"a group by its number", good, "0", 0, "is in order"},
		{"no password", "username = a\n", "", 2, "it needs a line username = … and a line password = …"},
		{"a group that is not there", good, "no-such-group", 2, `there is no group "no-such-group"`},
	} {
		dir := t.TempDir()
		text := agentFile
		if tt.group != "" {
			text = strings.Replace(text, "api: {", "api: {group: \""+tt.group+"\", ", 1)
		}
		for name, content := range map[string]string{
			"agent.yaml":  strings.ReplaceAll(text, "DIR", dir),
			"key":         "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n",
			"credentials": tt.credentials,
			"start":       "#!/bin/sh\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(dir, "agent.yaml")
		exit, out, errs := typed("config", "check", file)
		if exit != tt.exit || !strings.Contains(out+errs, tt.says) {
			t.Errorf("%s: exit %d %q %q, want %d with %q", tt.why, exit, out, errs, tt.exit, tt.says)
		}
		if _, err := settings.ReadAgent(file); err != nil {
			t.Errorf("%s: the gate must be able to read it: %v", tt.why, err)
		}
	}
}

// Without systemd nobody can say whether the unit is there and gated.
func TestConfigCheckOfAUnitWantsItsHost(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+dir+"/none")
	text := strings.Replace(agentFile, "command: {start: [DIR/start], pid_file: DIR/pid}", "unit: cassandra.service", 1)
	for name, content := range map[string]string{
		"agent.yaml":  strings.ReplaceAll(text, "DIR", dir),
		"key":         "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n",
		"credentials": "username = a\npassword = b\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	exit, out, errs := typed("config", "check", dir+"/agent.yaml")
	if exit != 2 || out != "" || strings.Count(errs, "\n") != 2 || !strings.Contains(errs, "cassandra.unit: cassandra.service cannot be asked about; this wants its host") {
		t.Errorf("exit %d %q %q", exit, out, errs)
	}
}

func TestConfigCheckLooksAtThePowerHook(t *testing.T) {
	const program = "#!/bin/sh\nexit 2\n"
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(program)))
	for _, tt := range []struct {
		why, sum, options string
		mode              os.FileMode
		exit              int
		says              string
	}{
		{"in order", sum, "passwd=x\n", 0o755, 0, "is in order: host n1"},
		{"another program", strings.Repeat("0", 64), "passwd=x\n", 0o755, 2, "is pinned; if the new one is right, write its checksum"},
		{"everybody's program", sum, "passwd=x\n", 0o777, 2, "power.command: "},
		{"options that choose the action", sum, "action=on\n", 0o755, 2, "options:1: action is said by the agent"},
		{"both", sum, "x\n", 0o644, 2, "power.options_file: "},
	} {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(agentFile, "  credentials_file: DIR/credentials\n", "", 1) +
			"power: {command: [DIR/fence], sha256: \"" + tt.sum + "\", options_file: DIR/power.options, plugs: {n3: \"7\"}}\n"
		for name, content := range map[string]string{ // order: each by itself
			"agent.yaml": strings.ReplaceAll(text, "DIR", dir), "key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n",
			"start": "#!/bin/sh\n", "fence": program, "power.options": tt.options,
		} {
			mode := os.FileMode(0o600)
			switch name {
			case "start":
				mode = 0o700
			case "fence":
				mode = tt.mode
			}
			path := filepath.Join(dir, name)
			if err := errors.Join(os.WriteFile(path, []byte(content), mode), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(dir, "agent.yaml")
		exit, out, errs := typed("config", "check", file)
		if exit != tt.exit || !strings.Contains(out+errs, tt.says) {
			t.Errorf("%s: exit %d %q %q, want %d with %q", tt.why, exit, out, errs, tt.exit, tt.says)
		}
		if _, err := settings.ReadAgent(file); err != nil {
			t.Errorf("%s: an agent must start with it: %v", tt.why, err)
		}
	}
}
