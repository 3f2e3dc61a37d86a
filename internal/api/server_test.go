// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/api/apitest"
	"supervisor/isolate"
)

// served is a server on a real socket.
type served struct {
	*api.Client
	source *apitest.Source
	socket string
	raw    *http.Client
	stop   func()
}

// readPolicy reads mode=M: enough of a document to plan with.
func readPolicy(document []byte, _ []cluster.Host) (incident.Policy, []api.Fault) {
	p := *apitest.Policy()
	p.Modes = map[cluster.Datacenter]incident.Mode{}
	var m incident.Mode
	for line := range strings.Lines(string(document)) {
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), "="); key {
		case "mode":
			if err := m.UnmarshalText([]byte(value)); err != nil {
				return p, []api.Fault{{At: "1:6", Path: "modes.dc1", What: err.Error()}}
			}
			p.Modes["dc1"] = m
		case "wide":
			p.Regions = map[cluster.Region][]cluster.Datacenter{"eu-central": {"dc1", "dc2"}}
		default:
			return p, []api.Fault{{At: "1:1", What: "unknown field"}, {At: "2:1", What: "unknown field"}}
		}
	}
	return p, nil
}

func serve(t *testing.T, s api.Snapshot) *served {
	t.Helper()
	source := apitest.NewSource(s)
	out := serveFrom(t, source, zap.NewNop())
	out.source = source
	return out
}

func serveFrom(t *testing.T, source api.Source, log *zap.Logger) *served {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "api.sock")
	server, err := api.NewServer(api.Options{Socket: socket, Source: source, ReadPolicy: readPolicy, Counters: api.NewCounters(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	out := &served{Client: api.NewClient(socket), socket: socket}
	out.raw = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	var once sync.Once
	end := func() {
		out.raw.CloseIdleConnections()
		out.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
	out.stop = func() { once.Do(end) }
	t.Cleanup(out.stop)
	return out
}

func (s *served) do(t *testing.T, method, path, body string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, "http://agent"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.raw.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, b
}

var paths = []string{"/v1/status", "/v1/nodes", "/v1/nodes/n3", "/v1/explain/n3", "/v1/explain/42", "/v1/incidents", "/v1/incidents/42",
	"/v1/incidents/inc-dc1-42/timeline", "/v1/findings", "/v1/findings/CASS_PROCESS_DOWN", "/v1/pools", "/v1/policy", "/version"}

func TestEveryAnswerHasItsEnvelope(t *testing.T) {
	s := serve(t, apitest.Deaf())
	for _, path := range paths {
		status, header, b := s.do(t, http.MethodGet, path, "")
		var e map[string]any
		if err := json.Unmarshal(b, &e); err != nil || status != http.StatusOK || header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: status %d, %s, %v", path, status, header.Get("Content-Type"), err)
			continue
		}
		for _, key := range []string{"api", "as_of", "revision", "partial", "missing", "data"} {
			if _, ok := e[key]; !ok {
				t.Errorf("%s: the envelope has no %s", path, key)
			}
		}
		if e["as_of"] != "2026-11-22T03:02:00.000Z" || e["partial"] != true || len(e) != 6 {
			t.Errorf("%s: envelope %v", path, e)
		}
	}
	_, _, b := s.do(t, http.MethodGet, "/version", "")
	golden(t, "envelope.json", b)
}

func TestGetChangesNothing(t *testing.T) {
	s := serve(t, apitest.Returning())
	for _, path := range append(paths, "/v1/plans", "/v1/orders", "/v1/gate", "/metrics", "/healthz", "/readyz?verbose") {
		s.do(t, http.MethodGet, path, `{"plan":"x","reason":"y"}`)
	}
	for _, path := range []string{"/v1/plans", "/v1/orders", "/v1/gate"} {
		if status, _, _ := s.do(t, http.MethodGet, path, ""); status != http.StatusNotFound {
			t.Errorf("GET %s: %d, want 404", path, status)
		}
	}
	if len(s.source.Words()) != 0 || len(s.source.Asked()) != 0 {
		t.Errorf("a GET reached the inbox %v or the gate %v", s.source.Words(), s.source.Asked())
	}
}

// refused asks for a problem document and checks its form.
func (s *served) refused(t *testing.T, method, path, body string, want api.Code) api.Problem {
	t.Helper()
	status, header, b := s.do(t, method, path, body)
	var p api.Problem
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, b)
	}
	row := api.ErrorOf(want)
	if p.Code != want || status != row.Status || p.Status != status || p.Exit != row.Exit || header.Get("Content-Type") != "application/problem+json" ||
		p.Type != "urn:cassandra-supervisor:error:"+string(want) || p.Title == "" || p.Detail == "" || len(p.Remedy) == 0 {
		t.Errorf("%s %s: %d %s: want %s\n%s", method, path, status, header.Get("Content-Type"), want, b)
	}
	return p
}

func TestProblems(t *testing.T) {
	s := serve(t, apitest.Returning())
	for _, tt := range []struct {
		method, path, body string
		want               api.Code
	}{
		{"GET", "/v1/nodes/n33", "", api.NodeUnknown},
		{"GET", "/v1/incidents/77", "", api.IncidentUnknown},
		{"GET", "/v1/incidents/77/timeline", "", api.IncidentUnknown},
		{"GET", "/v1/findings/NOTHING", "", api.FindingUnknown},
		{"GET", "/v1/explain/n33", "", api.NodeUnknown},
		{"GET", "/v2/status", "", api.RouteUnknown},
		{"DELETE", "/v1/status", "", api.RouteUnknown},
		{"POST", "/v1/plans", "", api.Usage},
		{"POST", "/v1/plans", `{"verb":"replace"}`, api.Usage},
		{"POST", "/v1/plans", `{"verb":"policy_apply","documnet":""}`, api.Usage},
		{"POST", "/v1/plans", `{"verb":"policy_apply"} {}`, api.Usage},
		{"POST", "/v1/plans", `{"verb":"policy_apply","document":"mode=fast"}`, api.ConfigInvalid},
		{"POST", "/v1/orders", `{"plan":"nope","reason":"because"}`, api.PlanUnknown},
		{"POST", "/v1/orders", `{"plan":"nope","reason":" "}`, api.ReasonMissing},
		{"POST", "/v1/gate", `{"node":"n2"}`, api.GateForeign},
	} {
		s.refused(t, tt.method, tt.path, tt.body, tt.want)
	}
	p := s.refused(t, "POST", "/v1/plans", `{"verb":"policy_apply","document":"a\nb"}`, api.ConfigInvalid)
	if len(p.Faults) != 2 || p.Detail != "the policy has 2 faults; nothing was applied, version 7 stays in force" {
		t.Errorf("faults: %+v", p)
	}
	s.source.Fail(errors.New("stopped"))
	waitFor(t, func() bool { status, _, _ := s.do(t, "GET", "/v1/status", ""); return status != http.StatusOK })
	s.refused(t, "GET", "/v1/status", "", api.AgentBusy)
}

func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come true within 10 s")
		}
	}
}

func (s *served) plan(t *testing.T, document string) api.Plan {
	t.Helper()
	raw, err := s.Post(t.Context(), "/v1/plans", api.PlanRequest{Verb: api.VerbPolicyApply, Document: document})
	if err != nil {
		t.Fatal(err)
	}
	e, err := api.Decode[api.Plan](raw)
	if err != nil {
		t.Fatal(err)
	}
	return e.Data
}

func code(err error) api.Code {
	var p *api.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return api.Code(fmt.Sprint(err))
}

func TestOrders(t *testing.T) {
	s := serve(t, apitest.Healthy())
	order := func(o api.OrderRequest) error { _, err := s.Post(t.Context(), "/v1/orders", o); return err }

	same := s.plan(t, "mode=auto")
	if got := code(order(api.OrderRequest{Plan: same.Hash, Reason: "r"})); got != api.PlanEmpty {
		t.Errorf("a plan that changes nothing: %s", got)
	}
	wide := s.plan(t, "mode=auto\nwide=1")
	if got := code(order(api.OrderRequest{Plan: wide.Hash, Reason: "r", Confirm: "yes"})); got != api.ConfirmWrong {
		t.Errorf("a wider policy without its word: %s", got)
	}
	mode, old := s.plan(t, "mode=observe"), s.plan(t, "mode=assist")
	if err := order(api.OrderRequest{Plan: mode.Hash, Reason: " maintenance \n on Tuesday "}); err != nil {
		t.Fatalf("order: %v", err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	words := s.source.Words()
	if len(words) != 1 || words[0].Who != me.Username || words[0].Why != "maintenance on Tuesday" || words[0].Verb != "policy_apply" ||
		words[0].Base != 7 || words[0].Plan != mode.Hash || words[0].Policy.ModeOf("dc1") != incident.Observe {
		t.Errorf("the word: %+v", words)
	}
	if got := code(order(api.OrderRequest{Plan: old.Hash, Reason: "r"})); got != api.PlanStale {
		t.Errorf("a plan made before another version: %s", got)
	}
	lost := apitest.Blind()
	s.source.Set(lost)
	blind := s.plan(t, "mode=observe")
	if got := code(order(api.OrderRequest{Plan: blind.Hash, Reason: "r"})); got != api.StoreUnavailable {
		t.Errorf("without a store: %s", got)
	}
	lost.StoreLost = ""
	s.source.Set(lost)
	if got := code(order(api.OrderRequest{Plan: blind.Hash, Reason: "r"})); got != api.NobodyLeads {
		t.Errorf("without a leader: %s", got)
	}
	lost.Leader = "n1"
	s.source.Set(lost)
	s.source.FailSubmit(fmt.Errorf("commit: %w", api.ErrNoStore))
	if got := code(order(api.OrderRequest{Plan: blind.Hash, Reason: "r"})); got != api.StoreUnavailable {
		t.Errorf("a store that is lost while the word is written: %s", got)
	}
}

func TestGate(t *testing.T) {
	s := serve(t, apitest.Healthy())
	ans, err := s.Gate(t.Context(), api.GateQuestion{Node: "n1", Waited: time.Second})
	if err != nil || ans.Start != isolate.Hibernate || ans.Rule != "returning" {
		t.Errorf("gate: %+v, %v", ans, err)
	}
	if asked := s.source.Asked(); len(asked) != 1 || asked[0].Waited != time.Second {
		t.Errorf("the agent was asked %+v", asked)
	}
}

func TestSocket(t *testing.T) {
	s := serve(t, apitest.Healthy())
	info, err := os.Stat(s.socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode of the socket: %v, %v; want 0660", info, err)
	}
	o := api.Options{Socket: s.socket, Source: s.source, ReadPolicy: readPolicy, Counters: api.NewCounters(), Log: zap.NewNop()}
	if _, err := api.NewServer(o); err == nil || !strings.Contains(err.Error(), "another agent answers") {
		t.Errorf("a second agent on one socket: %v", err)
	}
	s.stop()
	if _, err := os.Stat(s.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left after the end: %v", err)
	}
	if _, err := s.Get(t.Context(), "/v1/status"); code(err) != api.AgentUnreachable {
		t.Errorf("nobody there: %v", err)
	}
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	_ = left.Close()
	if _, err := s.Get(t.Context(), "/v1/status"); code(err) != api.AgentUnreachable {
		t.Errorf("a socket that a killed agent left: %v", err)
	}
	again, err := api.NewServer(o)
	if err != nil {
		t.Fatalf("listen over a socket that a killed agent left: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := again.Serve(ctx); err != nil {
		t.Error(err)
	}
}

func TestReady(t *testing.T) {
	s := serve(t, apitest.Healthy())
	if status, _, b := s.do(t, "GET", "/readyz?verbose", ""); status != 200 || string(b) != "[+] agent\n[+] store\n[+] roster\nready\n" {
		t.Errorf("%d %s", status, b)
	}
	s.source.Set(apitest.Blind())
	waitFor(t, func() bool {
		status, _, b := s.do(t, "GET", "/readyz?verbose", "")
		return status == 503 && bytes.Contains(b, []byte("[-] store: 1 of 3 etcd members\n"))
	})
	if status, _, b := s.do(t, "GET", "/healthz", ""); status != 200 || string(b) != "ok\n" {
		t.Errorf("alive without a store: %d %s", status, b)
	}
}

func TestHugeBody(t *testing.T) {
	s := serve(t, apitest.Healthy())
	body := `{"verb":"policy_apply","document":"` + strings.Repeat("x", 2<<20) + `"}`
	s.refused(t, "POST", "/v1/plans", body, api.BodyTooLarge)
}

func TestHugeHeader(t *testing.T) {
	s := serve(t, apitest.Healthy())
	req, _ := http.NewRequest("GET", "http://agent/v1/status", nil)
	req.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	resp, err := s.raw.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", resp.StatusCode)
	}
}

// TestSlowClients comes with more clients than there are places, and none of
// them finishes its header: those beyond the bound are closed at once, the
// others when their time is over.
func TestSlowClients(t *testing.T) {
	s := serve(t, apitest.Healthy())
	const most = 64
	var slow []net.Conn
	for range 3 * most {
		c, err := net.Dial("unix", s.socket)
		if err != nil {
			break // the kernel's own queue is full
		}
		defer func() { _ = c.Close() }()
		_, _ = c.Write([]byte("GET /v1/status HTTP/1.1\r\nHost: a"))
		slow = append(slow, c)
	}
	if len(slow) <= most {
		t.Fatalf("only %d clients came in", len(slow))
	}
	var held atomic.Int64
	var wg sync.WaitGroup
	for _, c := range slow {
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		wg.Go(func() {
			if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
				held.Add(1)
			}
		})
	}
	wg.Wait()
	if held.Load() > most {
		t.Errorf("%d slow clients are held, at most %d may be", held.Load(), most)
	}
	waitFor(t, func() bool { _, err := s.Get(t.Context(), "/v1/status"); return err == nil })
	for _, c := range slow {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("a client that never finishes its header was not let go")
		}
	}
}

// next reads one event of the stream.
func next(t *testing.T, st *api.Stream) api.StreamEvent {
	t.Helper()
	e, err := st.Next()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestStreamResumes(t *testing.T) {
	full := apitest.Returning()
	part := full
	part.Log = full.Log[:3]
	s := serve(t, part)
	st, err := s.Events(t.Context(), "", true)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range 3 {
		ids = append(ids, next(t, st).ID)
	}
	if strings.Join(ids, " ") != "dc1-101 dc1-102 dc1-103" || st.Last != "dc1-103" {
		t.Errorf("IDs %v, last %s", ids, st.Last)
	}
	st.Close()
	s.source.Set(full) // six more were written while nobody listened
	st, err = s.Events(t.Context(), st.Last, false)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	e := next(t, st)
	var ev api.Event
	if err := json.Unmarshal(e.Data, &ev); err != nil || e.ID != "dc1-104" || ev.Entry.ID != "dc1-104" || ev.Sentence != "proxies of cql read back: n3 is out" {
		t.Errorf("the first after the break: %s %s %v", e.ID, e.Data, err)
	}
}

func TestStreamTellsAGap(t *testing.T) {
	snap := apitest.Returning()
	snap.Log = snap.Log[4:]
	s := serve(t, snap)
	st, err := s.Events(t.Context(), "dc1-102", false)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	e := next(t, st)
	if e.Name != "gap" || string(e.Data) != `{"datacenter":"dc1","missing":2}` {
		t.Errorf("got %s %s, want a gap of 2", e.Name, e.Data)
	}
	if e = next(t, st); e.ID != "dc1-105" {
		t.Errorf("after the gap: %s", e.ID)
	}
}

func TestStreamBeginsNow(t *testing.T) {
	full := apitest.Returning()
	part := full
	part.Log = full.Log[:3]
	s := serve(t, part)
	st, err := s.Events(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	s.source.Set(full)
	if e := next(t, st); e.ID != "dc1-104" {
		t.Errorf("first event %s, want the first that was written later", e.ID)
	}
	go s.stop() // a stream must not keep the server from ending
	for {
		if _, err := st.Next(); err != nil {
			return
		}
	}
}

// broken is an agent that breaks when it is asked, or that never answers.
type broken struct {
	*apitest.Source
	stuck chan struct{}
}

func (b broken) Snapshot(ctx context.Context) (api.Snapshot, error) {
	if b.stuck == nil {
		panic("a map that nobody made")
	}
	<-ctx.Done()
	return api.Snapshot{}, ctx.Err()
}

func TestBrokenAgent(t *testing.T) {
	core, logged := observer.New(zap.ErrorLevel)
	s := serveFrom(t, broken{Source: apitest.NewSource(apitest.Healthy())}, zap.New(core))
	p := s.refused(t, "GET", "/v1/status", "", api.Internal)
	if strings.Contains(p.Detail, "map") || logged.Len() != 1 {
		t.Errorf("the reason is for the log, not for the reader: %q, %d lines", p.Detail, logged.Len())
	}
	s.refused(t, "GET", "/v1/nodes", "", api.Internal) // the lock was let go
}

func TestStuckAgentCostsAllReadersOneWait(t *testing.T) {
	s := serveFrom(t, broken{Source: apitest.NewSource(apitest.Healthy()), stuck: make(chan struct{})}, zap.NewNop())
	began := time.Now()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := s.Get(context.Background(), "/v1/status"); code(err) != api.AgentBusy {
				t.Errorf("a stuck agent: %v", err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("20 readers waited %s for one agent, one after the other", took)
	}
}

// TestReadersShareOneSnapshot: with the race detector, a page that changes
// what another one reads is found here.
func TestReadersShareOneSnapshot(t *testing.T) {
	s := serve(t, apitest.Returning())
	var wg sync.WaitGroup
	for range 4 {
		for _, path := range append(paths, "/metrics", "/readyz") {
			wg.Go(func() {
				if b, err := s.Get(context.Background(), path); err != nil || len(b) == 0 {
					t.Errorf("%s: %v", path, err)
				}
			})
		}
	}
	wg.Wait()
	if _, _, b := s.do(t, http.MethodGet, "/version", ""); !bytes.Contains(b, []byte(`"agent":"n1"`)) {
		t.Errorf("version: %s", b)
	}
}
