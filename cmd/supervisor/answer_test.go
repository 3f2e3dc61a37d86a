// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/internal/settings"
	"supervisor/membership"
)

// agentAt answers on a socket of its own with the snapshot.
func agentAt(t *testing.T, s api.Snapshot) (string, *apitest.Source) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "api.sock")
	source := apitest.NewSource(s)
	server, err := api.NewServer(api.Options{Socket: socket, Source: source, ReadPolicy: readPolicy, Counters: api.NewCounters(), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return socket, source
}

// typed runs one command line.
func typed(args ...string) (exit int, stdout, stderr string) {
	var out, errs bytes.Buffer
	exit = run(args, &out, &errs)
	return exit, out.String(), errs.String()
}

func TestCommandsThatRead(t *testing.T) {
	socket, _ := agentAt(t, apitest.Returning())
	for _, tt := range []struct {
		why  string
		args string
		exit int
		says string // on stdout, or on stderr when it fails
	}{
		{"the first word answers", "status", 0, "DEGRADED  orders · 2 of 3 nodes serving"},
		{"the state by itself, for scripts", "status -o name", 0, "degraded\n"},
		{"a table of nodes", "nodes", 0, "n3    dc1  c     no       ProcessDown  fenced  out    Returning 5/13"},
		{"names for loops in a shell", "nodes -o name", 0, "n1\nn2\nn3\n"},
		{"one node", "node n3", 0, "n3 · ProcessDown · fenced: clients, reads"},
		{"a node that is not there", "node n33", 4, "NODE_UNKNOWN, exit 4\n  did you mean n3, n1, n2?\n"},
		{"why", "explain n3", 0, "n3: ProcessDown for 36.0 s, in phase Returning"},
		{"why, by the incident", "explain 42", 0, "guards   quorum-survives"},
		{"incidents", "incident list", 0, "inc-dc1-42  n3"},
		{"their IDs", "incident list -o name", 0, "inc-dc1-42\ninc-dc1-41\n"},
		{"a shortened ID", "incident show 42", 0, "inc-dc1-42 · n3 ProcessDown"},
		{"the story", "incident show 42 --timeline", 0, " T+30.4   PROVED   n1, n2 say DOWN of n3"},
		{"no such incident", "incident show 7", 4, "INCIDENT_UNKNOWN, exit 4"},
		{"findings", "finding list", 0, "CASS_PROCESS_DOWN"},
		{"a code in small letters", "finding show cass_process_down", 0, "CASS_PROCESS_DOWN · ERR · about a node"},
		{"a misspelt code", "finding show CASS_PROCES_DOWN", 4, "did you mean CASS_PROCESS_DOWN?"},
		{"pools", "pool list", 0, "cql   n3    drain"},
		{"the policy", "policy show", 0, "policy v7 by ana"},
		{"an output nobody knows", "status -o xml", 2, "USAGE, exit 2"},
		{"a flag nobody knows", "status --fast", 2, "USAGE, exit 2"},
		{"an argument too many", "status n1", 2, "USAGE, exit 2"},
		{"an argument too few", "node", 2, "one NAME is wanted"},
		{"a monitor", "check", 1, "DEGRADED: inc-dc1-42 about n3: ProcessDown, Returning · 2 of 3 nodes serve · 1 more\n"},
	} {
		exit, out, errs := typed(append(strings.Fields(tt.args), "--socket", socket)...)
		text := out
		if tt.exit > 1 {
			text = errs
			if out != "" {
				t.Errorf("%s: an error wrote results: %q", tt.args, out)
			}
		}
		if exit != tt.exit || !strings.Contains(text, tt.says) {
			t.Errorf("%s: %s: exit %d, want %d with %q\nstdout: %s\nstderr: %s", tt.why, tt.args, exit, tt.exit, tt.says, out, errs)
		}
		if strings.Contains(out+errs, "\x1b") {
			t.Errorf("%s: colour without a terminal", tt.args)
		}
	}
}

func TestUnknownCommand(t *testing.T) {
	exit, out, errs := typed("statsu")
	if exit != 2 || out != "" || !strings.Contains(errs, "USAGE, exit 2\n  did you mean status?\n  see: supervisor --help\n") {
		t.Errorf("%d %q %q", exit, out, errs)
	}
	for args, says := range map[string]string{
		"store nonsense":        `unknown argument "nonsense"`,
		"store init":            "--hosts is missing",
		"help nonsense":         `unknown command "nonsense"`,
		"help config nonsense":  `unknown command "config nonsense"`,
		"demo run --scenario x": "known: crash, outage, hang",
		"completion ksh":        "known: bash, zsh, fish, powershell",
	} {
		if exit, out, errs := typed(strings.Fields(args)...); exit != 2 || out != "" || !strings.Contains(errs, says) {
			t.Errorf("%s: %d %q %q", args, exit, out, errs)
		}
	}
	if exit, out, _ := typed("help", "store", "init"); exit != 0 || !strings.Contains(out, "Refuses a store that has an era") {
		t.Errorf("help of a command: %d %q", exit, out)
	}
	if exit, out, _ := typed(); exit != 0 || !strings.Contains(out, "status") {
		t.Errorf("nothing typed: %d %q, want the help", exit, out)
	}
}

func TestCheckExits(t *testing.T) {
	quiet := apitest.Healthy() // at an agent that does not judge
	quiet.World.View, quiet.Missing = membership.View{}, apitest.Deaf().Missing
	for _, tt := range []struct {
		s    api.Snapshot
		exit int
		says string
	}{
		{apitest.Healthy(), 0, "HEALTHY: 3 of 3 nodes serve\n"},
		{apitest.Held(), 2, "NEEDS YOU: inc-dc1-42 about n3 is held"},
		{apitest.Blind(), 3, "BLIND: the store does not answer"},
		{quiet, 3, "BLIND: 0 of 3 nodes serve, 3 unknown · missing view: this agent does not judge\n"},
		{apitest.Deaf(), 1, "DEGRADED: inc-dc1-42 about n3: ProcessDown"},
	} {
		socket, _ := agentAt(t, tt.s)
		exit, out, errs := typed("check", "--socket", socket)
		if exit != tt.exit || !strings.HasPrefix(out, tt.says) || errs != "" || strings.Count(out, "\n") != 1 {
			t.Errorf("exit %d %q %q, want %d %q", exit, out, errs, tt.exit, tt.says)
		}
	}
	if exit, _, errs := typed("check", "--no-such-flag"); exit != 3 || !strings.Contains(errs, "exit 3") {
		t.Errorf("a monitor that asks wrongly: exit %d, want 3 and not a page\n%s", exit, errs)
	}
	exit, out, _ := typed("check", "--socket", filepath.Join(t.TempDir(), "none"))
	if exit != 3 || !strings.HasPrefix(out, "BLIND: no agent answers on ") {
		t.Errorf("without an agent: exit %d %q, want 3: a monitor must not read it as healthy", exit, out)
	}
}

func TestNobodyAnswers(t *testing.T) {
	exit, out, errs := typed("status", "--socket", filepath.Join(t.TempDir(), "none"))
	if exit != 5 || out != "" || !strings.Contains(errs, "AGENT_UNREACHABLE, exit 5") || !strings.Contains(errs, "Cassandra and the pools are as they were") {
		t.Errorf("exit %d %q %q", exit, out, errs)
	}
}

func TestOutputs(t *testing.T) {
	socket, _ := agentAt(t, apitest.Returning())
	_, out, _ := typed("status", "-o", "json", "--socket", socket)
	var e api.Envelope[api.Status]
	if err := json.Unmarshal([]byte(out), &e); err != nil || e.API != "v1" || e.Data.State != api.Degraded {
		t.Errorf("json: %v %+v", err, e)
	}
	_, out, _ = typed("status", "-o", "yaml", "--socket", socket)
	var y struct {
		API  string `yaml:"api"`
		Data struct {
			State string `yaml:"state"`
		} `yaml:"data"`
	}
	if err := yaml.Unmarshal([]byte(out), &y); err != nil || y.API != "v1" || y.Data.State != "degraded" || !strings.HasPrefix(out, "api: v1\nas_of: ") {
		t.Errorf("yaml: %v\n%s", err, out)
	}
}

func TestWatchAppendsWhatChanged(t *testing.T) {
	before := "a\nb\nb\nc\n"
	for _, tt := range []struct{ why, now, want string }{
		{"nothing happened", before, ""},
		{"one line is another", "a\nB\nb\nc\n", "B\n"},
		{"a line came", "a\nb\nb\nc\nd\n", "d\n"},
		{"a line went", "a\nb\nc\n", ""},
		{"a line came a third time", "a\nb\nb\nb\nc\n", "b\n"},
	} {
		if got := changedLines(before, tt.now); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.why, got, tt.want)
		}
	}
}

func TestFitted(t *testing.T) {
	const text = "head\n1\n2\n3\n4\n5\n6\n"
	for _, tt := range []struct {
		why        string
		rows       int
		newestLast bool
		want       string
	}{
		{"there is room", 8, true, text},
		{"nobody knows how much room there is", 0, true, text},
		{"a row too few, and the cursor's", 7, true, "head\n… 2 more lines\n3\n4\n5\n6\n"},
		{"the beginning matters", 7, false, "head\n1\n2\n3\n4\n… 2 more lines\n"},
		{"no room for anything", 3, true, text},
	} {
		if got := fitted(text, tt.rows, tt.newestLast); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.why, got, tt.want)
		}
	}
}

// TestWatch follows a cluster that falls ill and whose agent goes away.
func TestWatch(t *testing.T) {
	texts := []string{"one\n", "one\n", "", "", "two\n"}
	i := 0
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs bytes.Buffer
	c := newRoot()
	c.SetOut(&out)
	c.SetErr(&errs)
	err := follow(ctx, c, time.Millisecond, nil, func() (string, error) {
		if i == len(texts) {
			cancel()
			return "", ctx.Err()
		}
		i++
		if texts[i-1] == "" {
			return "", errors.New("no agent answers")
		}
		return texts[i-1], nil
	})
	if err != nil || out.String() != "one\ntwo\n" || errs.String() != "no answer now: no agent answers\n" {
		t.Errorf("%v %q %q", err, out.String(), errs.String())
	}
}

// policyFile writes a policy that differs from the one that stands.
func policyFile(t *testing.T, change func(*incident.Policy)) string {
	t.Helper()
	p := *apitest.Policy()
	change(&p)
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, settings.RenderPolicy(p), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPolicyApply(t *testing.T) {
	socket, source := agentAt(t, apitest.Healthy())
	observe := policyFile(t, func(p *incident.Policy) { p.Modes = map[cluster.Datacenter]incident.Mode{"dc1": incident.Observe} })
	exit, _, errs := typed("policy", "apply", observe, "--socket", socket)
	if exit != 2 || !strings.Contains(errs, "--reason is missing") {
		t.Errorf("without a reason: %d %s", exit, errs)
	}
	exit, out, errs := typed("policy", "apply", observe, "--reason", "r", "--socket", socket)
	if exit != 3 || !strings.Contains(errs, "add --yes") || !strings.Contains(out, "modes.dc1") || len(source.Words()) != 0 {
		t.Errorf("nobody can be asked: %d %s %s", exit, out, errs)
	}
	exit, out, errs = typed("policy", "apply", observe, "--reason", "a drill", "--yes", "--socket", socket)
	if exit != 0 || !strings.Contains(out, "PLAN ") || !strings.Contains(out, "auto -> observe") || !strings.Contains(out, "policy v8 by ") || len(source.Words()) != 1 {
		t.Errorf("apply: %d %s %s", exit, out, errs)
	}
	exit, out, _ = typed("policy", "apply", observe, "--reason", "again", "--yes", "--socket", socket)
	if exit != 0 || !strings.Contains(out, "it says the same") || len(source.Words()) != 1 {
		t.Errorf("the same again: %d %s", exit, out)
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("modes:\n  dc1: fast\nbudgts: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exit, _, errs = typed("policy", "apply", bad, "--reason", "r", "--yes", "--socket", socket)
	if exit != 2 || !strings.Contains(errs, "CONFIG_INVALID, exit 2") || !strings.Contains(errs, bad+" has ") || !strings.Contains(errs, "2:8") {
		t.Errorf("faults: %d %s", exit, errs)
	}
}

// A policy of that number, or a later one, may be somebody else's: only the
// journal's answer to this very order tells. And how a reason is spelled does not.
func TestAPolicyIsKnownByItsOrder(t *testing.T) {
	observe := policyFile(t, func(p *incident.Policy) { p.Modes = map[cluster.Datacenter]incident.Mode{"dc1": incident.Observe} })
	socket, source := agentAt(t, apitest.Healthy())
	source.Precede(func(s *api.Snapshot) {
		p := *apitest.Policy()
		p.Version, p.By, p.Why = 9, "ana", "two of mine"
		s.World.Policy = &p
	})
	exit, out, errs := typed("policy", "apply", observe, "--reason", "r", "--yes", "--socket", socket)
	if exit != exitRefused || strings.Contains(out, "stands") || !strings.Contains(errs, "PLAN_STALE, exit 3") || len(source.Words()) != 1 {
		t.Errorf("v9 of somebody else stands, and this was turned away: exit %d\n%s%s", exit, out, errs)
	}
	socket, _ = agentAt(t, apitest.Healthy())
	exit, out, errs = typed("policy", "apply", observe, "--reason", "a\x01drill", "--yes", "--socket", socket)
	if exit != 0 || !strings.Contains(out, "policy v8 by ") {
		t.Errorf("one's own, with a reason that is spelled otherwise: exit %d\n%s%s", exit, out, errs)
	}
}

func TestPolicyApplyAsksForItsName(t *testing.T) {
	s := apitest.Healthy()
	narrow := *s.World.Policy
	narrow.Residency.Rules = nil
	s.World.Policy = &narrow
	socket, source := agentAt(t, s)
	wide := policyFile(t, func(*incident.Policy) {})
	exit, out, errs := typed("policy", "apply", wide, "--reason", "r", "--yes", "--socket", socket)
	if exit != 3 || !strings.Contains(out, "WIDENS") || !strings.Contains(errs, "--confirm v8") || len(source.Words()) != 0 {
		t.Errorf("--yes is not enough to widen: %d\n%s\n%s", exit, out, errs)
	}
	hash := strings.TrimSuffix(strings.Fields(out)[1], ":")
	exit, _, errs = typed("policy", "apply", wide, "--reason", "r", "--plan", "000000000000", "--confirm", "v8", "--socket", socket)
	if exit != 3 || !strings.Contains(errs, "PLAN_STALE") || len(source.Words()) != 0 {
		t.Errorf("another plan: %d %s", exit, errs)
	}
	exit, out, errs = typed("policy", "apply", wide, "--reason", "r", "--plan", hash, "--confirm", "v8", "--socket", socket)
	if exit != 0 || len(source.Words()) != 1 {
		t.Errorf("typed: %d %s %s", exit, out, errs)
	}
}

func TestAPolicyThatCannotBeRead(t *testing.T) {
	s := apitest.Healthy()
	version := int64(8)
	s.World.PolicyUnread = &version
	socket, source := agentAt(t, s)
	for args, want := range map[string]string{"policy show": "policy v8 stands and cannot be read", "status": "policy v8 unread"} {
		if exit, out, errs := typed(append(strings.Fields(args), "--socket", socket)...); exit != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d\n%s%s", args, exit, out, errs)
		}
	}
	exit, _, errs := typed("mode", "dc1", "observe", "--yes", "--reason", "night", "--socket", socket)
	if exit != exitRefused || !strings.Contains(errs, "policy v8 cannot be read") || len(source.Words()) != 0 {
		t.Errorf("one line of what nobody can read: exit %d, %s", exit, errs)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range shells {
		if exit, out, errs := typed("completion", shell); exit != 0 || !strings.Contains(out, "supervisor") {
			t.Errorf("%s: %d %s", shell, exit, errs)
		}
	}
	if exit, _, _ := typed("completion", "sh"); exit != 2 {
		t.Errorf("a shell nobody knows: exit %d, want 2", exit)
	}
	socket, _ := agentAt(t, apitest.Healthy())
	if _, out, _ := typed("__complete", "node", "--socket", socket, ""); !strings.Contains(out, "n1\nn2\nn3\n") {
		t.Errorf("names of nodes: %q", out)
	}
}
