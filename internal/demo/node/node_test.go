// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"supervisor/internal/demo/process"
)

func node(t *testing.T) Node {
	t.Helper()
	n := Node{Name: "n3", Address: "127.0.9.3", Datacenter: "dc1", Rack: "r3", Region: "region1", JMXPort: 17203,
		Tokens: Tokens(3, 4)[2], Seeds: []string{"127.0.9.1", "127.0.9.2", "127.0.9.3"},
		Dir: filepath.Join(t.TempDir(), "a b"), Jars: "/jars", Java: "/bin/true"}
	if err := Write(n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTokensAreEvenAndDealtInTurns(t *testing.T) {
	all := Tokens(3, 4)
	var ring []int64
	for i := range 4 {
		for n := range 3 {
			ring = append(ring, all[n][i])
		}
	}
	if !slices.IsSorted(ring) || len(ring) != 12 {
		t.Fatalf("tokens %v do not go once around the ring", ring)
	}
	for i := 1; i < len(ring); i++ {
		if step := uint64(ring[i]) - uint64(ring[i-1]); step != 1537228672809129302 {
			t.Errorf("step %d is %d, want a twelfth of the ring", i, step)
		}
	}
}

func TestYAMLSaysWhatTheNodeIs(t *testing.T) {
	n := node(t)
	var got struct {
		ClusterName  string   `yaml:"cluster_name"`
		InitialToken string   `yaml:"initial_token"`
		NumTokens    int      `yaml:"num_tokens"`
		Listen       string   `yaml:"listen_address"`
		RPC          string   `yaml:"rpc_address"`
		Data         []string `yaml:"data_file_directories"`
		Hints        string   `yaml:"hints_directory"`
		Window       string   `yaml:"max_hint_window"`
		Seeds        []struct {
			Parameters []struct{ Seeds string }
		} `yaml:"seed_provider"`
	}
	b, err := os.ReadFile(n.path("conf", "cassandra.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ why, got, want string }{
		{"nodes of one name make one cluster", got.ClusterName, "demo"},
		{"it listens on its own address", got.Listen + " " + got.RPC, "127.0.9.3 127.0.9.3"},
		{"data stands in its own folder, blanks kept", got.Data[0], n.DataDir()},
		{"hints too", got.Hints, n.path("hints")},
		{"an outage of seconds outlives the window", got.Window, "5s"},
		{"all nodes are seeds", got.Seeds[0].Parameters[0].Seeds, "127.0.9.1:7000,127.0.9.2:7000,127.0.9.3:7000"},
	} {
		if row.got != row.want {
			t.Errorf("%s: got %q, want %q", row.why, row.got, row.want)
		}
	}
	if c := strings.Count(got.InitialToken, ","); c != 3 || got.NumTokens != 4 {
		t.Errorf("tokens %q, num_tokens %d: want four", got.InitialToken, got.NumTokens)
	}
}

func TestArgv(t *testing.T) {
	n := node(t)
	argv := Argv(n, []string{"-Dcassandra.join_ring=false"})
	for why, want := range map[string]string{
		"jamm is loaded":                   "-javaagent:/jars/jamm-0.4.0.jar",
		"Jolokia binds the node's address": "-javaagent:/jars/jolokia-agent-jvm-2.2.9-javaagent.jar=port=8778,host=127.0.9.3",
		"JMX has a port of its own":        "-Dcassandra.jmx.local.port=17203",
		"blanks in a URL are escaped":      "-Dcassandra.config=file://" + strings.ReplaceAll(n.path("conf", "cassandra.yaml"), " ", "%20"),
		"temporary files stay inside":      "-Djava.io.tmpdir=" + n.path("tmp"),
	} {
		if !slices.Contains(argv, want) {
			t.Errorf("%s: %q is missing", why, want)
		}
	}
	last := slices.Index(argv, "-Dcassandra.join_ring=false")
	if cp := slices.Index(argv, "-cp"); last < 0 || cp != last+1 {
		t.Error("the gate's options are not the last ones before the class path")
	}
	if argv[len(argv)-1] != "org.apache.cassandra.service.CassandraDaemon" {
		t.Error("the main class is not last")
	}
}

// gate writes a program that stands in for the gate.
func gate(t *testing.T, n Node, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gate")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.AgentConfig(), []byte("node: n3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStartAsksTheGate(t *testing.T) {
	n := node(t)
	if err := os.WriteFile(n.OptionsFile(), []byte("-Dold=answer\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gate(t, n, `test "$1 $2 $3" = "gate --config `+n.AgentConfig()+`" || exit 1
printf '%s\n' -Dcassandra.join_ring=false '' -Dcassandra.start_native_transport=false > '`+n.OptionsFile()+"'\n")
	if _, err := Start(t.Context(), n, g, io.Discard); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(n.ArgvFile())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte("\n-Dcassandra.join_ring=false\n-Dcassandra.start_native_transport=false\n-cp\n")) {
		t.Errorf("the gate's options are missing in %s", b)
	}
	if bytes.Contains(b, []byte("-Dold")) {
		t.Error("an old answer outlived the new one")
	}
}

func TestAGateThatWritesNothingMeansNoOptions(t *testing.T) {
	n := node(t)
	if err := os.WriteFile(n.OptionsFile(), []byte("-Dold=answer\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), n, gate(t, n, "exit 0\n"), io.Discard); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(n.ArgvFile())
	if err != nil || bytes.Contains(b, []byte("-Dold")) {
		t.Errorf("an old answer outlived the new one: %v, %s", err, b)
	}
}

func TestStartObeysTheGate(t *testing.T) {
	for _, tt := range []struct {
		why, script string
		refused     bool
	}{
		{"3 is a refusal, and its reason is passed on", "echo standing fence >&2; exit 3", true},
		{"any other code is no answer, and nothing starts", "exit 1", false},
		{"an option that is none would be a class name", "echo Main > OPTIONS", false},
	} {
		t.Run(tt.why, func(t *testing.T) {
			n := node(t)
			script := strings.ReplaceAll(tt.script, "OPTIONS", "'"+n.OptionsFile()+"'")
			_, err := Start(t.Context(), n, gate(t, n, script), io.Discard)
			var r Refused
			if err == nil || errors.As(err, &r) != tt.refused {
				t.Errorf("got %v, want refused: %v", err, tt.refused)
			}
			if tt.refused && r.Reason != "standing fence" {
				t.Errorf("reason %q", r.Reason)
			}
			if _, err := process.Read(n.PidFile()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something was started: %v", err)
			}
		})
	}
}

func TestStartWithoutAgentNeedsNoGate(t *testing.T) {
	n := node(t)
	if _, err := Start(t.Context(), n, "/nowhere/gate", io.Discard); err != nil {
		t.Fatal(err)
	}
}

func TestSecondStartIsRefusedWhileTheFirstLives(t *testing.T) {
	n := node(t)
	sleep := filepath.Join(t.TempDir(), "java")
	if err := os.WriteFile(sleep, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	n.Java = sleep
	id, err := Start(t.Context(), n, "", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = id.Stop(t.Context(), 0) })
	g := gate(t, n, "touch '"+n.path("asked")+"'")
	if _, err := Start(t.Context(), n, g, io.Discard); !errors.Is(err, process.ErrRunning) {
		t.Errorf("got %v, want ErrRunning", err)
	}
	if _, err := os.Stat(n.path("asked")); err == nil {
		t.Error("the gate was asked, and may have used up a marker, for a node that runs")
	}
}
