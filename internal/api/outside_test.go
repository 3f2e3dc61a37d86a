// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
)

func TestMetrics(t *testing.T) {
	api.TestMetrics(t, map[string]api.Snapshot{"healthy": apitest.Healthy(), "returning": apitest.Returning(), "held": apitest.Held(),
		"blind": apitest.Blind(), "recovered": apitest.Recovered(), "back": apitest.Back(), "deaf": apitest.Deaf(), "unsure": apitest.Unsure(), "observing": apitest.Observing(), "empty": {Version: "0.1.0"}})
	_, families := api.Gathered(t, apitest.Returning())
	golden(t, "metrics.txt", []byte(api.NamesOf(families)))
	for _, tt := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"cluster_state", []string{"state=degraded"}, 1},
		{"node_verdict", []string{"node=n3", "verdict=process_down"}, 1},
		{"node_verdict", []string{"node=n1", "verdict=alive"}, 1},
		{"node_serving", []string{"node=n3"}, 0},
		{"node_observers", []string{"node=n3", "vote=for"}, 3},
		{"incidents_open", []string{"datacenter=dc1", "phase=returning"}, 1},
		{"incidents_open", []string{"datacenter=dc1", "phase=held"}, 0},
		{"incidents_total", []string{"cause=process_down", "datacenter=dc1", "outcome=returned"}, 1},
		{"incident_stage_seconds", []string{"cause=process_down", "stage=verdict"}, 1},
		{"quorum_margin_nodes", []string{"datacenter=dc1", "keyspace=orders"}, 0},
		{"budget_used", []string{"datacenter=dc1"}, 1},
		{"fence_standing", []string{"level=reads", "node=n3"}, 1},
		{"fence_standing", []string{"level=process", "node=n3"}, 0},
		{"finding_active", []string{"code=CASS_PROCESS_DOWN", "handled=true", "muted=false", "severity=error", "subject=n3"}, 1},
		{"pool_members", []string{"pool=cql", "state=drain"}, 1},
		{"policy_version", nil, 7},
		{"refusals_total", []string{"rule=pool-floor"}, 1},
		{"effects_total", []string{"kind=repair", "result=done"}, 1},
		{"store_commit_seconds", nil, 1},
	} {
		if got := api.Value(families["cassandra_supervisor_"+tt.name], tt.labels...); got != tt.want {
			t.Errorf("%s%v is %g, want %g", tt.name, tt.labels, got, tt.want)
		}
	}
	_, others := api.Gathered(t, apitest.Deaf())
	if others["cassandra_supervisor_node_verdict"] != nil || others["cassandra_supervisor_incidents_open"] != nil {
		t.Error("an agent that does not lead exports nodes: a sum would count them twice")
	}
}

func TestScrape(t *testing.T) {
	s := serve(t, apitest.Returning())
	status, _, b := s.do(t, http.MethodGet, "/metrics", "")
	if status != http.StatusOK || !bytes.Contains(b, []byte(`cassandra_supervisor_node_verdict{node="n3",verdict="process_down"} 1`)) {
		t.Errorf("%d\n%s", status, b)
	}
}

func TestWhoMayAct(t *testing.T) {
	may, self := api.GroupActs(4242), uint32(os.Geteuid())
	nobodys := api.GroupActs(-1)
	for _, tt := range []struct {
		why  string
		may  func(api.Peer) bool
		peer api.Peer
		want bool
	}{
		{"root", may, api.Peer{UID: 0, GID: 0}, true},
		{"the user the agent runs as", may, api.Peer{UID: self, GID: 9}, true},
		{"whose group it is", may, api.Peer{UID: 65001, GID: 4242}, true},
		{"another user of another group", may, api.Peer{UID: 65001, GID: 65001}, false},
		{"no group is named: its number must not fit anybody", nobodys, api.Peer{UID: 65001, GID: 1<<32 - 1}, false},
		{"no group is named: root still may", nobodys, api.Peer{UID: 0}, true},
	} {
		if got := tt.may(tt.peer); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.why, got, tt.want)
		}
	}
	if _, err := api.GroupID("no-such-group-here"); err == nil {
		t.Error("a group that does not exist must not become nobody's or everybody's")
	}
	if gid, err := api.GroupID("4242"); err != nil || gid != 4242 {
		t.Errorf("a group by number: %d, %v", gid, err)
	}
}

// TestOthersMayLook connects as another user where the test may become one;
// else the server is told that this user is another one.
func TestOthersMayLook(t *testing.T) {
	// Not below TMPDIR: that may be a folder which the other user may not enter.
	dir, err := os.MkdirTemp("/tmp", "api")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	socket := filepath.Join(dir, "s")
	source := apitest.NewSource(apitest.Healthy())
	server, err := api.NewServer(api.Options{Socket: socket, Source: source, ReadPolicy: readPolicy, Counters: api.NewCounters(), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	root := os.Geteuid() == 0
	if !root {
		server.LetAct(func(p api.Peer) bool { return p.UID != uint32(os.Geteuid()) })
	}
	if err := os.Chmod(socket, 0o666); err != nil { // somebody set it wider
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	defer func() { cancel(); <-ended }()

	cmd := exec.Command("/proc/self/exe", "-test.run=^TestAsAnother$", "-test.v")
	cmd.Env = append(os.Environ(), "API_SOCKET="+socket)
	if root {
		self, err := os.ReadFile("/proc/self/exe") // the test binary's own folder may be closed to others
		if err != nil {
			t.Fatal(err)
		}
		cmd.Path = filepath.Join(dir, "test")
		if err := os.WriteFile(cmd.Path, self, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "status 1 NOT_PERMITTED NOT_PERMITTED NOT_PERMITTED") {
		t.Errorf("as another user: %v\n%s", err, out)
	}
	if len(source.Words()) != 0 || len(source.Asked()) != 0 {
		t.Error("a word, or a gate's question, of somebody who may only look was taken")
	}
}

// TestAsAnother is the other side of TestOthersMayLook; by itself it checks
// that without a socket nobody answers.
func TestAsAnother(t *testing.T) {
	socket := os.Getenv("API_SOCKET")
	c := api.NewClient(socket)
	defer c.Close()
	_, err := c.Get(t.Context(), "/v1/status")
	if socket == "" {
		if err == nil {
			t.Error("an empty address answers")
		}
		return
	}
	looked := 0
	if err == nil {
		looked = 1
	}
	_, plan := c.Post(t.Context(), "/v1/plans", api.PlanRequest{Verb: api.VerbPolicyApply, Document: "mode=observe"})
	_, order := c.Post(t.Context(), "/v1/orders", api.OrderRequest{Plan: "x", Reason: "r"})
	_, gate := c.Gate(t.Context(), api.GateQuestion{})
	fmt.Println("status", looked, code(plan), code(order), code(gate))
}
